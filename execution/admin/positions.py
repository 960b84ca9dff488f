"""Positions and what corporate actions did to them."""

from django.contrib import admin

from execution.admin.columns import money, shares
from execution.models import Position, PositionAdjustment
from marketdata.admin import ReadOnlyAdmin


@admin.register(Position)
class PositionAdmin(ReadOnlyAdmin):
    """Lines of the sub-ledgers; they follow from fills and adjustments alone."""

    list_display = (
        "account",
        "strategy",
        "instrument",
        shares("quantity"),
        money("cost_basis"),
        shares("current_price"),
        money("realized_pnl"),
        money("fees"),
        shares("open_buy_quantity"),
        shares("open_sell_quantity"),
        "open_order_count",
        "updated_at",
    )
    list_filter = ("strategy", "account")
    list_select_related = ("account", "strategy", "instrument")
    search_fields = ("instrument__symbol",)


@admin.register(PositionAdjustment)
class PositionAdjustmentAdmin(ReadOnlyAdmin):
    """Splits and dividends, once for each position."""

    list_display = (
        "trading_date",
        "position",
        "corporate_action",
        shares("quantity_before"),
        shares("quantity_after"),
        money("cash_amount"),
    )
    list_select_related = (
        "position__account",
        "position__strategy",
        "position__instrument",
        "corporate_action__instrument",
    )
    search_fields = ("position__instrument__symbol",)
    date_hierarchy = "trading_date"
