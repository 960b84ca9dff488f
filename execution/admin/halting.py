"""Halts and what they have left: shown here, moved on by the dispatcher, accepted in the console."""

from django.contrib import admin

from execution.admin.columns import shares
from execution.models import HaltProcedure, HaltResidue
from marketdata.admin import ReadOnlyAdmin


@admin.register(HaltProcedure)
class HaltProcedureAdmin(ReadOnlyAdmin):
    """Every halt until it is proved."""

    list_display = ("asked_at", "account", "scope", "level", "state", "flatten", "operator", "problem", "finished_at")
    list_filter = ("state", "level", "account")
    list_select_related = ("account",)
    search_fields = ("scope", "operator", "reason")
    date_hierarchy = "asked_at"


@admin.register(HaltResidue)
class HaltResidueAdmin(ReadOnlyAdmin):
    """What a halt did not get rid of."""

    list_display = (
        "seen_at",
        "procedure",
        "kind",
        "name",
        shares("quantity"),
        "why",
        "failures",
        "gone_at",
        "accepted_by",
    )
    list_filter = ("kind", "why")
    list_select_related = ("procedure",)
    search_fields = ("name", "symbol", "accepted_by")
    date_hierarchy = "found_at"
