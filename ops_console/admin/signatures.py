"""Signatures that were used, to look at."""

from django.contrib import admin

from marketdata.admin import ReadOnlyAdmin
from ops_console.models import SeenSignature


@admin.register(SeenSignature)
class SeenSignatureAdmin(ReadOnlyAdmin):
    """Signed requests that were accepted in the last minutes."""

    list_display = ("at", "digest")
    search_fields = ("digest",)
