"""Tries to log in, to look at."""

from django.contrib import admin

from marketdata.admin import ReadOnlyAdmin
from ops_console.models import LoginTries


@admin.register(LoginTries)
class LoginTriesAdmin(ReadOnlyAdmin):
    """Counts of the last minutes; whose they are is not kept."""

    list_display = ("ends_at", "count")
