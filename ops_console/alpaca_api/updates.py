"""Order events as messages of the `trade_updates` stream.

Each message shows the order as it was after its event, whatever has happened since.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Case, F, Subquery, Sum, When

from execution.alpaca_wire.orders import trade_update
from execution.models import Account, Fill, OrderEvent, Position
from execution.states import OrderStatus
from ops_console.alpaca_api.identity import FILL, uuid_of
from ops_console.alpaca_api.orders import ENDS, STATUSES, Story, order_told, stories_of
from risk.types import Side

S = OrderStatus
ZERO = Decimal(0)
PRECISION = Decimal("0.00000001")
EVENTS: dict[str, str] = {
    S.PENDING: "accepted",
    S.SUBMITTED: "pending_new",
    S.ACCEPTED: "new",
    S.HELD: "held",
    S.PARTIALLY_FILLED: "partial_fill",
    S.FILLED: "fill",
    S.PENDING_CANCEL: "pending_cancel",
    S.CANCELED: "canceled",
    S.PENDING_REPLACE: "pending_replace",
    S.REPLACED: "replaced",
    S.EXPIRED: "expired",
    S.REJECTED: "rejected",
    S.DENIED: "rejected",
    S.DRY_RUN: "canceled",
}
WORKING = frozenset({S.ACCEPTED, S.PARTIALLY_FILLED})
STEPPED_BACK = {S.PENDING_CANCEL: "order_cancel_rejected", S.PENDING_REPLACE: "order_replace_rejected"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What a fill's event tells; `average` is the order's after it, `position` the account's shares after it."""

    execution_id: str
    quantity: Decimal
    price: Decimal
    average: Decimal | None
    position: Decimal


def updates_told(account: Account, events: Sequence[OrderEvent]) -> list[dict[str, Any]]:
    """Return the account's messages for new events; what the gate denied is none, there never was an order."""
    wanted = [event for event in events if event.order.account_id == account.pk and not _never_was(event)]
    if not wanted:
        return []
    stories = stories_of(account, {event.order_id: event.order for event in wanted}.values())
    return [_message(account, event, stories[event.order_id]) for event in wanted]


def _never_was(event: OrderEvent) -> bool:
    return event.from_status == "" and event.to_status == S.DENIED


def _message(account: Account, event: OrderEvent, story: Story) -> dict[str, Any]:
    execution = _execution(account, event)
    told = order_told(account, event.order, _as_of(story, event), **_state(event, execution))
    if execution is None:
        return trade_update(event=_word(event), order=told, at=event.market_at)
    return trade_update(
        event="fill" if event.filled_quantity == event.order.quantity else "partial_fill",
        order=told,
        at=event.market_at,
        execution_id=execution.execution_id,
        quantity=execution.quantity,
        price=execution.price,
        position_quantity=execution.position,
    )


def _word(event: OrderEvent) -> str:
    before = S(event.from_status) if event.from_status else None
    if before in STEPPED_BACK and event.to_status in WORKING:
        return STEPPED_BACK[before]
    return EVENTS[event.to_status]


def _as_of(story: Story, event: OrderEvent) -> Story:
    """Return the story up to the event's instant: an end that came later is not told yet."""
    ends: dict[str, datetime] = {name: at for name, at in story.ends.items() if at <= event.market_at}
    current = ENDS.get(S(event.to_status))
    return Story(
        updated_at=event.market_at,
        ends={name: at for name, at in ends.items() if name == current},
        replaced_by=story.replaced_by if event.to_status == S.REPLACED else None,
    )


def _state(event: OrderEvent, execution: Execution | None) -> dict[str, Any]:
    state: dict[str, Any] = {"status": STATUSES[event.to_status], "filled_quantity": event.filled_quantity}
    if execution is not None:
        state["average_fill_price"] = execution.average
    elif not event.filled_quantity:
        state["average_fill_price"] = None
    return state


def _execution(account: Account, event: OrderEvent) -> Execution | None:
    """Return the execution that an event books, None for any other event; the ledger wrote its id into the event."""
    broker_id = event.detail.get("execution_id")
    if not broker_id:
        return None
    fill = Fill.objects.get(account=account, order_id=event.order_id, broker_execution_id=broker_id)
    of_order = Fill.objects.filter(order_id=event.order_id, pk__lte=fill.pk)
    paid = sum((each.quantity * each.price for each in of_order), ZERO)
    return Execution(
        execution_id=uuid_of(account, FILL, fill.pk),
        quantity=fill.quantity,
        price=fill.price,
        average=(paid / event.filled_quantity).quantize(PRECISION),
        position=_position_after(account, fill),
    )


def _position_after(account: Account, fill: Fill) -> Decimal:
    """Return the account's shares after a fill: those of now without the fills since, both as of one instant."""
    here = {"account": account, "instrument_id": fill.instrument_id}
    held = Position.objects.filter(**here).values("instrument_id").annotate(n=Sum("quantity")).values("n")
    signed = Case(When(side=Side.BUY, then="quantity"), default=-F("quantity"))
    since = Fill.objects.filter(**here, pk__gt=fill.pk).order_by().values("instrument_id").annotate(n=Sum(signed))
    row = Fill.objects.filter(pk=fill.pk).annotate(held=Subquery(held), since=Subquery(since.values("n")))
    now, later = row.values_list("held", "since").get()
    return Decimal((now or ZERO) - (later or ZERO))
