"""The built-in exchange in the admin: settings can be changed, its books only be read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from execution.models.paper import (
    PaperCorporateAction,
    PaperMark,
    PaperOrder,
    PaperPosition,
    PaperReport,
    PaperVenue,
)


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Rows that only the exchange writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False


@admin.register(PaperVenue)
class PaperVenueAdmin(admin.ModelAdmin[PaperVenue]):
    """Cost models may be set; what is done is done at the costs of its time."""

    list_display = ("account_name", "cash", "participation", "slippage_model", "commission_model")
    search_fields = ("account_name",)
    readonly_fields = ("account_name", "starting_cash", "cash", "order_count", "report_count", "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: a venue opens with its account's first order."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: PaperVenue | None = None) -> bool:
        """Refuse."""
        return False


@admin.register(PaperOrder)
class PaperOrderAdmin(ReadOnlyAdmin):
    """Orders as the exchange works them."""

    list_display = (
        "venue",
        "sequence",
        "symbol",
        "side",
        "quantity",
        "filled_quantity",
        "order_type",
        "status",
        "entered_at",
    )
    list_filter = ("status", "order_type", "time_in_force")
    list_select_related = ("venue",)
    search_fields = ("client_order_id", "symbol")


@admin.register(PaperReport)
class PaperReportAdmin(ReadOnlyAdmin):
    """What the exchange told."""

    list_display = ("venue", "sequence", "kind", "order", "quantity", "price", "fee", "at")
    list_filter = ("kind",)
    list_select_related = ("venue", "order")
    search_fields = ("order__client_order_id",)


@admin.register(PaperPosition)
class PaperPositionAdmin(ReadOnlyAdmin):
    """What is held at the exchange."""

    list_display = ("venue", "symbol", "quantity", "average_price")
    list_select_related = ("venue",)
    search_fields = ("symbol",)


@admin.register(PaperMark)
class PaperMarkAdmin(ReadOnlyAdmin):
    """How far events have counted."""

    list_display = ("venue", "symbol", "kind", "at")
    list_filter = ("kind",)
    list_select_related = ("venue",)


@admin.register(PaperCorporateAction)
class PaperCorporateActionAdmin(ReadOnlyAdmin):
    """Splits and dividends that were applied."""

    list_display = ("venue", "symbol", "kind", "ex_date", "value", "quantity_before", "cash_amount")
    list_filter = ("kind",)
    list_select_related = ("venue",)
