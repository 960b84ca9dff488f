"""Versions of the code that traded."""

from django.contrib import admin

from marketdata.admin import ReadOnlyAdmin
from risk.models import Release


@admin.register(Release)
class ReleaseAdmin(ReadOnlyAdmin):
    """The newest trades; starting the platform announces it."""

    list_display = ("at", "version", "operator")
    search_fields = ("version", "operator")
