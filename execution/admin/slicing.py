"""Orders that are worked in slices: shown here, steered in the console."""

from django.contrib import admin

from execution.admin.columns import shares
from execution.admin.orders import ReadOnlyInline
from execution.models import ParentEvent, ParentOrder, Slice
from marketdata.admin import ReadOnlyAdmin


class SliceInline(ReadOnlyInline):
    """The plan of a parent order."""

    model = Slice
    fields = ("number", "plan", "due_at", "quantity", "max_quantity", "status", "order", "reason")
    ordering = ("number",)


class ParentEventInline(ReadOnlyInline):
    """What happened to a parent order."""

    model = ParentEvent
    fields = ("step", "from_status", "to_status", "actor", "detail", "market_at", "created_at")
    ordering = ("id",)


@admin.register(ParentOrder)
class ParentOrderAdmin(ReadOnlyAdmin):
    """Parent orders; what of them is filled is that of their orders."""

    list_display = (
        "client_order_id",
        "account",
        "strategy",
        "instrument",
        "side",
        shares("quantity"),
        "algo",
        "status",
        "reason",
        "starts_at",
        "ends_at",
    )
    list_filter = ("status", "algo", "side", "strategy", "account")
    list_select_related = ("account", "strategy", "instrument")
    search_fields = ("client_order_id", "instrument__symbol", "source_ref")
    date_hierarchy = "trading_date"
    show_full_result_count = False
    inlines = (SliceInline, ParentEventInline)


@admin.register(Slice)
class SliceAdmin(ReadOnlyAdmin):
    """Slices of all plans."""

    list_display = ("parent", "number", "plan", "due_at", shares("quantity"), "status", "order", "reason")
    list_filter = ("status",)
    list_select_related = ("parent", "order")
    search_fields = ("parent__client_order_id",)
    ordering = ("-id",)
    show_full_result_count = False


@admin.register(ParentEvent)
class ParentEventAdmin(ReadOnlyAdmin):
    """Every step of every parent order."""

    list_display = ("created_at", "parent", "step", "from_status", "to_status", "actor", "market_at")
    list_filter = ("step",)
    list_select_related = ("parent",)
    search_fields = ("parent__client_order_id", "actor")
    ordering = ("-id",)
    show_full_result_count = False
