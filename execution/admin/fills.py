"""Executions, cash and refused reports: append-only."""

from django.contrib import admin

from execution.admin.columns import money, shares
from execution.models import CashEntry, Fill, RefusedReport
from marketdata.admin import ReadOnlyAdmin


@admin.register(Fill)
class FillAdmin(ReadOnlyAdmin):
    """Every execution as the broker told it."""

    list_display = (
        "executed_at",
        "account",
        "strategy",
        "instrument",
        "side",
        shares("quantity"),
        shares("price"),
        money("fee"),
        money("realized_pnl"),
        "broker_execution_id",
    )
    list_filter = ("side", "strategy", "account")
    list_select_related = ("account", "strategy", "instrument")
    search_fields = ("broker_execution_id", "order__client_order_id", "instrument__symbol")
    date_hierarchy = "trading_date"
    show_full_result_count = False


@admin.register(CashEntry)
class CashEntryAdmin(ReadOnlyAdmin):
    """Every movement of cash."""

    list_display = ("market_at", "account", "strategy", "kind", money("amount"), "reference")
    list_filter = ("kind", "strategy", "account")
    list_select_related = ("account", "strategy")
    search_fields = ("reference",)
    date_hierarchy = "trading_date"
    show_full_result_count = False


@admin.register(RefusedReport)
class RefusedReportAdmin(ReadOnlyAdmin):
    """Broker reports that could not be booked; each one is to be looked into."""

    list_display = ("created_at", "account", "sequence", "reason")
    list_filter = ("reason", "account")
    list_select_related = ("account",)
    search_fields = ("reason",)
    date_hierarchy = "created_at"
