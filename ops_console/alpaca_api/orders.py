"""Our orders in Alpaca's words. Times are market time, as those of `/v2/clock`.

A list costs at most five queries: orders, their events, their legs with events, and who replaced whom.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from execution.alpaca_wire.answers import asset_id_of
from execution.alpaca_wire.errors import order_not_found
from execution.alpaca_wire.orders import order_answer
from execution.models import Account, Order, OrderEvent
from execution.states import OrderStatus
from marketdata import calendar
from ops_console.alpaca_api.identity import ORDER, key_of, uuid_of
from risk.types import TimeInForce

S = OrderStatus
# What we have not sent yet is `accepted` (received, not routed); what we sent and nobody answered, `pending_new`.
STATUSES: dict[str, str] = {
    S.PENDING: "accepted",
    S.SUBMITTED: "pending_new",
    S.ACCEPTED: "new",
    S.HELD: "held",
    S.PARTIALLY_FILLED: "partially_filled",
    S.FILLED: "filled",
    S.PENDING_CANCEL: "pending_cancel",
    S.CANCELED: "canceled",
    S.PENDING_REPLACE: "pending_replace",
    S.REPLACED: "replaced",
    S.EXPIRED: "expired",
    S.REJECTED: "rejected",
    S.DENIED: "rejected",
    S.DRY_RUN: "canceled",  # nothing was sent and nothing will be
}
ENDS = {
    S.EXPIRED: "expired_at",
    S.CANCELED: "canceled_at",
    S.DRY_RUN: "canceled_at",
    S.REJECTED: "failed_at",
    S.DENIED: "failed_at",
    S.REPLACED: "replaced_at",
    S.FILLED: "filled_at",
}
if set(STATUSES) != set(OrderStatus):  # a status without a word would be a client's exception
    raise RuntimeError("ops_console.alpaca_api.orders: every order status needs a word of Alpaca's")


@dataclass(slots=True)
class Story:
    """What an order's answer needs besides its row."""

    updated_at: datetime
    ends: dict[str, datetime] = field(default_factory=dict)
    replaced_by: str | None = None
    legs: list["Told"] | None = None


Told = dict[str, Any]


def order_told(account: Account, order: Order, story: Story | None = None, **changes: Any) -> Told:
    """Return an order's JSON; one that was stored a moment ago has no story yet. `changes` replace values."""
    story = story or Story(order.market_at)
    values: dict[str, Any] = {
        "id": uuid_of(account, ORDER, order.pk),
        "client_order_id": order.client_order_id,
        "asset_id": asset_id_of(order.instrument.symbol),
        "symbol": order.instrument.symbol,
        "side": str(order.side),
        # Alpaca's quantity of a replacement is the new total, ours what is left to do.
        "quantity": order.quantity if order.total_quantity is None else order.total_quantity,
        "order_type": str(order.order_type),
        "time_in_force": str(order.time_in_force),
        "status": STATUSES[order.status],
        "created_at": order.market_at,
        "submitted_at": order.market_at,
        "updated_at": story.updated_at,
        "filled_quantity": order.filled_quantity,
        "average_fill_price": order.average_fill_price,
        "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "extended_hours": order.extended_hours,
        "order_class": order.order_class,
        "expires_at": _expires_at(order),
        "replaces": None if order.replaces_id is None else uuid_of(account, ORDER, order.replaces_id),
        "replaced_by": story.replaced_by,
        "legs": story.legs,
        **story.ends,
    }
    return order_answer(**(values | changes))


def orders_told(account: Account, orders: Sequence[Order], *, nested: bool = False) -> list[Told]:
    """Return the JSON of orders, with their legs inside when `nested`."""
    legs = _legs_of(orders) if nested else {}
    everything = [*orders, *(leg for group in legs.values() for leg in group)]
    stories = stories_of(account, everything)
    for order in orders:
        if nested and order.order_class and order.entry_id is None:
            stories[order.pk].legs = [order_told(account, leg, stories[leg.pk]) for leg in legs.get(order.pk, ())]
    return [order_told(account, order, stories[order.pk]) for order in orders]


def find_order(account: Account, order_id: str) -> Order:
    """Return the account's order of Alpaca's id. One query by primary key.

    :raises WireError: 404
    """
    key = key_of(account, ORDER, order_id)
    order = None if key is None else _with_names(account).filter(pk=key).first()
    if order is None:
        raise order_not_found(order_id)
    return order


def find_by_client_id(account: Account, client_order_id: str) -> Order:
    """Return the account's order of the client's id.

    :raises WireError: 404
    """
    order = _with_names(account).filter(client_order_id=client_order_id).first()
    if order is None:
        raise order_not_found(client_order_id)
    return order


def stories_of(account: Account, orders: Iterable[Order]) -> dict[int, Story]:
    """Return what the events and the replacements tell of each order."""
    rows = {order.pk: order for order in orders}
    stories = {key: Story(order.market_at) for key, order in rows.items()}
    events = OrderEvent.objects.filter(order_id__in=rows, sequence__gt=1).order_by("order_id", "sequence")
    for order_id, status, at in events.values_list("order_id", "to_status", "market_at"):
        _note(stories[order_id], status, at)
    replaced = [key for key, order in rows.items() if order.status == S.REPLACED]
    if replaced:
        successors = Order.objects.filter(replaces_id__in=replaced).exclude(status__in=[S.DENIED, S.REJECTED])
        for key, successor in successors.order_by("pk").values_list("replaces_id", "pk"):
            stories[key].replaced_by = uuid_of(account, ORDER, successor)
    return stories


def _note(story: Story, status: str, at: datetime) -> None:
    story.updated_at = max(story.updated_at, at)
    end = ENDS.get(OrderStatus(status))
    if end is not None:
        # A late fill tells the same end again: the first time is when it came to its end.
        story.ends.setdefault(end, at)


def _legs_of(orders: Iterable[Order]) -> dict[int, list[Order]]:
    entries = [order.pk for order in orders if order.order_class and order.entry_id is None]
    found: dict[int, list[Order]] = {}
    if entries:
        for leg in Order.objects.filter(entry_id__in=entries).select_related("instrument").order_by("pk"):
            assert leg.entry_id is not None
            found.setdefault(leg.entry_id, []).append(leg)
    return found


def _with_names(account: Account) -> QuerySet[Order]:
    return Order.objects.filter(account=account).select_related("instrument", "account__feed")


def _expires_at(order: Order) -> datetime | None:
    """Return the end of the session that the order is for; one good till canceled has none of ours."""
    return None if order.time_in_force == TimeInForce.GTC else calendar.session_close(order.trading_date)
