"""Orders and their events."""

from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse

from execution.admin.columns import shares
from execution.errors import ExecutionError
from execution.models import Fill, Order, OrderEvent
from execution.services.cancels import request_cancel
from execution.states import OPEN
from marketdata.admin import ReadOnlyAdmin
from marketdata.clock import wall_now
from risk.admin.confirmation import Question, ask

ZERO = Decimal(0)


class ReadOnlyInline(admin.TabularInline[Any, Any]):
    """Rows of an order's history."""

    extra = 0
    can_delete = False
    show_change_link = True

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Show every column as text: some could not be form fields at all."""
        return self.fields

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False


class EventInline(ReadOnlyInline):
    """Steps of the order."""

    model = OrderEvent
    fields = ("sequence", "from_status", "to_status", "source", "actor", "filled_quantity", "market_at", "created_at")
    ordering = ("sequence",)


class FillInline(ReadOnlyInline):
    """Executions of the order."""

    model = Fill
    fields = ("broker_execution_id", "quantity", "price", "fee", "realized_pnl", "executed_at")
    ordering = ("id",)


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    """Orders are placed elsewhere; from here open ones can be canceled."""

    list_display = (
        "client_order_id",
        "account",
        "strategy",
        "instrument",
        "side",
        shares("quantity"),
        shares("filled_quantity"),
        "order_type",
        "time_in_force",
        shares("limit_price"),
        "status",
        "origin",
        "market_at",
    )
    list_filter = ("status", "side", "order_type", "origin", "strategy", "account")
    list_select_related = ("account", "strategy", "instrument")
    search_fields = ("client_order_id", "broker_order_id", "instrument__symbol", "source_ref")
    date_hierarchy = "trading_date"
    show_full_result_count = False
    inlines = (EventInline, FillInline)
    actions = ("cancel",)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may cancel orders."""
        return request.user.has_perm("execution.change_order")

    @admin.action(description="Cancel open orders", permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Order]) -> HttpResponse | None:
        """Cancel those of the chosen orders that are open."""
        chosen = queryset.filter(status__in=sorted(OPEN)).select_related("account__feed", "instrument", "strategy")
        orders = list(chosen)
        value = sum((order.leaves_quantity * order.reserve_price for order in orders), ZERO)
        question = Question(
            "Cancel open orders",
            f"{len(orders)} open orders over {value:,.2f} are canceled; what the broker holds is asked for.",
            [_line(order) for order in orders],
            "Cancel them",
        )
        filled, page = ask(self, request, question, queryset=queryset)
        if filled is None:
            return page
        for order in orders:
            self._cancel(request, order, filled["reason"])
        return None

    def _cancel(self, request: HttpRequest, order: Order, reason: str) -> None:
        operator = request.user.get_username()
        try:
            done = request_cancel(order=order, operator=operator, wall_now=wall_now(), reason=reason)
        except ExecutionError as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        self.log_change(request, order, f"cancel asked: {reason}")
        self.message_user(request, f"{_line(order)}: {done.status}", messages.SUCCESS)


@admin.register(OrderEvent)
class OrderEventAdmin(ReadOnlyAdmin):
    """Every step of every order."""

    list_display = ("created_at", "order", "sequence", "from_status", "to_status", "source", "actor", "market_at")
    list_filter = ("to_status", "source")
    list_select_related = ("order",)
    search_fields = ("order__client_order_id", "actor")
    ordering = ("-id",)
    show_full_result_count = False  # the largest table: counting it twice a page is felt


def _line(order: Order) -> str:
    return (
        f"{order.side} {order.leaves_quantity.normalize():f} {order.instrument.symbol} of {order.strategy.name}, "
        f"{order.status}"
    )
