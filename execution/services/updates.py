"""Bring together what the stream told and what REST tells, until the book has everything the broker's own log has.

The stream is fast and may lose, repeat or reorder; REST is slow and complete. Both put their facts into the inbox under
the same keys. An order's end is told only after its executions, so that nothing is released which a fill still needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from django.db.models import Q, QuerySet, Sum

from execution.crashpoints import Point, crashpoint
from execution.models import BrokerMessage, Order
from execution.services.inbox import STREAM, Message, receive, status_key, unreadable_key
from execution.states import OPEN, OrderStatus

ZERO = Decimal(0)
ENDS = frozenset({"canceled", "expired", "rejected", "replaced"})
LONGEST_KEPT = 20_000
"""Bytes of a frame that could not be taken which are kept."""
AT_BROKER = sorted(OPEN - {OrderStatus.PENDING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """A message of the stream; `is_whole` when the broker says that this execution has filled the order."""

    message: Message
    is_whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What the stream's updates came to: stored rows, and whether something is missing that REST should be asked."""

    rows: list[BrokerMessage]
    incomplete: bool


def take_updates(*, account_id: int, updates: Sequence[Update], wall_now: datetime) -> Taken:
    """Store what the stream told; an end that came before its executions is kept and left to the cross-check.

    Lock: the link.
    """
    ends = [update.message for update in updates if update.message.kind in ENDS]
    rest = [update.message for update in updates if update.message.kind not in ENDS]
    rows = receive(account_id=account_id, messages=rest, wall_now=wall_now)
    known = known_quantities(account_id, {message.broker_order_id for message in [*ends, *rest]})
    waiting = [end for end in ends if _is_early(account_id, end, known)]
    whole = [update.message for update in updates if update.is_whole]
    closing = _closings(account_id, whole, known)
    told = [_kept(end) if end in waiting else end for end in ends]
    crashpoint(Point.UPDATES_BEFORE_ENDS)
    rows += receive(account_id=account_id, messages=[*told, *closing], wall_now=wall_now)
    short = any(known.get(message.broker_order_id, ZERO) < (message.cumulative_quantity or ZERO) for message in rest)
    return Taken(rows=rows, incomplete=bool(waiting) or short)


def keep_unstored(*, account_id: int, raw: bytes, problem: str, wall_now: datetime) -> None:
    """Keep a frame that could not be taken, for people; it is no report. Lock: the link."""
    payload = {"raw": raw[:LONGEST_KEPT].decode("utf-8", "replace"), "bytes": len(raw)}
    key, reason = f"unstored:{unreadable_key(raw)}", f"could not be taken: {problem}"
    message = Message(key=key, source=STREAM, at=wall_now, reason=reason, payload=payload)
    receive(account_id=account_id, messages=[message], wall_now=wall_now)


def known_quantities(account_id: int, broker_order_ids: Iterable[str]) -> dict[str, Decimal]:
    """Return the shares of all executions in the inbox, by the broker's order id."""
    fills = BrokerMessage.objects.filter(account_id=account_id, broker_order_id__in=broker_order_ids, kind="fill")
    return dict(fills.order_by().values_list("broker_order_id").annotate(Sum("quantity")))


def sent_orders(account_id: int) -> list[Order]:
    """Return what should be at the broker as far as the book knows, oldest first."""
    return list(Order.objects.filter(account_id=account_id, status__in=AT_BROKER).order_by("pk"))


def is_anything_open(account_id: int) -> bool:
    """Tell whether an order may be at the broker."""
    return Order.objects.filter(account_id=account_id, status__in=AT_BROKER).exists()


def newest_message_at(account_id: int) -> datetime | None:
    """Return the wall time of the newest message."""
    found = BrokerMessage.objects.filter(account_id=account_id).order_by("-sequence").values_list("received_at")
    newest = found.first()
    return None if newest is None else newest[0]


def _is_early(account_id: int, end: Message, known: Mapping[str, Decimal]) -> bool:
    missing = known.get(end.broker_order_id, ZERO) < (end.cumulative_quantity or ZERO)
    return missing and _ours(account_id, end.broker_order_id, end.client_order_id).filter(status__in=OPEN).exists()


def _ours(account_id: int, broker_order_id: str, client_order_id: str) -> QuerySet[Order]:
    named = Q(broker_order_id=broker_order_id) | Q(client_order_id=client_order_id)
    return Order.objects.filter(named, account_id=account_id)


def _kept(end: Message) -> Message:
    return replace(end, key=f"early:{end.key}", kind="", reason=f"{end.kind} before its executions")


def _closings(account_id: int, whole: Sequence[Message], known: Mapping[str, Decimal]) -> list[Message]:
    """Return an end for each order that is filled at the broker with fewer shares than the book wants of it."""
    found = []
    for message in whole:
        filled = message.cumulative_quantity or ZERO
        if known.get(message.broker_order_id, ZERO) < filled:
            continue
        order = _ours(account_id, message.broker_order_id, message.client_order_id).filter(status__in=OPEN).first()
        if order is not None and order.quantity > filled:
            found.append(closing(order, message.broker_order_id, filled, message.at, message.source))
    return found


def closing(order: Order, broker_order_id: str, filled: Decimal, at: datetime, source: str) -> Message:
    """Return the end of an order that has nothing left at the broker, although the book wants more shares of it."""
    wanted = f"{order.quantity.normalize():f}"
    other = "the other leg of its group" if order.leg_role else "the order that it replaces"
    return Message(
        key=status_key(broker_order_id, "canceled", at),
        source=source,
        kind="canceled",
        client_order_id=order.client_order_id,
        broker_order_id=broker_order_id,
        at=at,
        cumulative_quantity=filled,
        reason=f"filled at the broker with {filled.normalize():f} of {wanted} shares: {other} had filled the others",
        payload={"status": "filled", "filled_qty": str(filled)},
    )
