"""What differed from the broker and what became of it: shown here, decided in the console and by services."""

from django.contrib import admin

from execution.admin.columns import money, shares
from execution.models import (
    Break,
    CashActivity,
    Correction,
    ForcedCompletion,
    InferredFill,
    ReconciliationRun,
    Supersession,
)
from marketdata.admin import ReadOnlyAdmin


@admin.register(ReconciliationRun)
class ReconciliationRunAdmin(ReadOnlyAdmin):
    """Every comparison with the broker."""

    list_display = (
        "started_at",
        "account",
        "trigger",
        "started_by",
        "state",
        "orders_compared",
        "positions_compared",
        "adopted",
        "inferred",
        "open_breaks",
        money("cash_difference"),
        "problem",
    )
    list_filter = ("state", "trigger", "account")
    list_select_related = ("account",)
    date_hierarchy = "started_at"
    show_full_result_count = False


@admin.register(Break)
class BreakAdmin(ReadOnlyAdmin):
    """Every difference from its first sighting."""

    list_display = ("last_seen_at", "account", "kind", "subject", "ours", "theirs", "state", "sightings", "decided_by")
    list_filter = ("state", "kind", "account")
    list_select_related = ("account",)
    search_fields = ("subject", "symbol", "cause", "reason")
    date_hierarchy = "first_seen_at"


@admin.register(ForcedCompletion)
class ForcedCompletionAdmin(ReadOnlyAdmin):
    """Accounts that were allowed to trade without a clean run."""

    list_display = ("requested_at", "account", "requested_by", "decided_by", "state", "expires_at", "reason")
    list_filter = ("state", "account")
    list_select_related = ("account",)


@admin.register(InferredFill)
class InferredFillAdmin(ReadOnlyAdmin):
    """Fills that no execution told."""

    list_display = ("created_at", "order", "fill", shares("from_quantity"), shares("to_quantity"))
    list_select_related = ("order", "fill")
    search_fields = ("order__client_order_id",)
    show_full_result_count = False


@admin.register(Supersession)
class SupersessionAdmin(ReadOnlyAdmin):
    """Executions that came after they had been inferred."""

    list_display = ("created_at", "inferred", "broker_execution_id", shares("quantity"), shares("price"))
    list_select_related = ("inferred",)
    search_fields = ("broker_execution_id",)
    show_full_result_count = False


@admin.register(Correction)
class CorrectionAdmin(ReadOnlyAdmin):
    """Executions that were taken back or changed, as they were booked."""

    list_display = ("created_at", "account", "key", "operator", "reason", "order", "corrects")
    list_filter = ("account",)
    list_select_related = ("account", "order", "corrects")
    search_fields = ("key", "reason", "operator")


@admin.register(CashActivity)
class CashActivityAdmin(ReadOnlyAdmin):
    """Cash that no trade moved, as the broker told it."""

    list_display = ("at", "account", "kind", money("amount"), "symbol", "description", "entry", "matches")
    list_filter = ("kind", "account")
    list_select_related = ("account", "entry", "matches")
    search_fields = ("activity_id", "symbol", "description")
    date_hierarchy = "at"
