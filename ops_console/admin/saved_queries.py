"""Queries that people keep, to look at; they are changed on the page SQL."""

from django.contrib import admin

from marketdata.admin import ReadOnlyAdmin
from ops_console.models import SavedQuery


@admin.register(SavedQuery)
class SavedQueryAdmin(ReadOnlyAdmin):
    """Who keeps what."""

    list_display = ("name", "owner", "updated_at")
    list_select_related = ("owner",)
    search_fields = ("name", "text", "owner__username")
