"""What a broker over a network told us, whatever the way, each fact once: the inbox that reports are read from.

The stream, a look by REST and a webhook tell the same facts, repeat themselves and come in any order. A fact has a key
that is the same whoever tells it, so the second teller changes nothing, and each account's messages are numbered
without a gap under the lock of its link. What cannot be read or booked is kept as well, for people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

import structlog
from django.db import transaction

from execution.brokers.base import BrokerReport, ReportKind
from execution.crashpoints import Point, crashpoint
from execution.ledger import rounded
from execution.models import BrokerLink, BrokerMessage
from execution.services.waking import wake_dispatcher
from risk.checks.form import STORABLE_MAX, storable

log = structlog.get_logger(__name__)

ZERO = Decimal(0)
STREAM, POLL = BrokerMessage.Source.STREAM, BrokerMessage.Source.POLL
LONGEST_KEY = 200
LONGEST_CLIENT_ORDER_ID = 128
LONGEST_BROKER_ORDER_ID = 64
LONGEST_EXECUTION_ID = 96
LONGEST_REASON = 300
DEEPEST_PAYLOAD = 12
ONCE_EACH: frozenset[str] = frozenset({"accepted", "canceled", "expired", "rejected", "replaced"})
REPEATABLE: frozenset[str] = frozenset({"cancel_rejected", "replace_rejected", "corrected"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One thing a broker told; an empty `kind` is no report. Quantity, price and fee are of one execution alone."""

    key: str
    source: str
    kind: str = ""
    client_order_id: str = ""
    broker_order_id: str = ""
    broker_execution_id: str = ""
    at: datetime
    quantity: Decimal | None = None
    price: Decimal | None = None
    fee: Decimal | None = None
    cumulative_quantity: Decimal | None = None
    reason: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)


def fill_key(broker_order_id: str, cumulative_quantity: Decimal) -> str:
    """Name an execution by the order and the shares filled after it, which every teller knows alike."""
    return _bounded(f"{broker_order_id}:fill:{cumulative_quantity.normalize():f}")


def status_key(broker_order_id: str, kind: str, at: datetime) -> str:
    """Name a fact that is no fill; refusals and corrections may come again, so their instant counts."""
    instant = f":{at.astimezone(UTC).isoformat()}" if kind in REPEATABLE else ""
    return _bounded(f"{broker_order_id}:{kind}{instant}")


def unreadable_key(raw: bytes) -> str:
    """Name a frame that says nothing we know."""
    return f"unreadable:{hashlib.sha256(raw).hexdigest()}"


def receive(*, account_id: int, messages: Sequence[Message], wall_now: datetime) -> list[BrokerMessage]:
    """Store what was not told before, in the given order, and wake the dispatcher; returns the new ones.

    Everything that comes is kept: what the database could not take is cut or marked, never refused. Lock: the link.
    """
    first_told: dict[str, Message] = {}
    for message in map(_fitting, messages):
        first_told.setdefault(message.key, message)
    fresh = untold(account_id, list(first_told.values()))
    rows = _store(account_id, fresh, wall_now) if fresh else []
    crashpoint(Point.INBOX_AFTER_COMMIT)
    return rows


def take_in(account_id: int, messages: Sequence[Message], wall_now: datetime) -> int:
    """Store what was not told before; returns how many. Lock: the link."""
    return len(receive(account_id=account_id, messages=messages, wall_now=wall_now))


def reports_since(account_id: int, cursor: int, limit: int) -> list[BrokerReport]:
    """Return at most `limit` reports numbered above `cursor`, ascending; messages that are no reports are left out."""
    rows = BrokerMessage.objects.filter(account_id=account_id, sequence__gt=cursor).exclude(kind="")
    return [_report(row) for row in rows.order_by("sequence")[:limit]]


def untold(account_id: int, messages: Sequence[Message]) -> list[Message]:
    """Return the messages whose facts nobody has told yet."""
    keys = [message.key for message in messages]
    told = set(
        BrokerMessage.objects.filter(account_id=account_id, key__in=keys).values_list("key", flat=True) if keys else ()
    )
    return [message for message in messages if message.key not in told]


@transaction.atomic
def _store(account_id: int, messages: list[Message], wall_now: datetime) -> list[BrokerMessage]:
    link = _locked_link(account_id)
    rows = [
        BrokerMessage(
            account_id=account_id,
            sequence=sequence,
            key=message.key,
            source=message.source,
            kind=message.kind,
            client_order_id=message.client_order_id,
            broker_order_id=message.broker_order_id,
            broker_execution_id=message.broker_execution_id,
            at=message.at,
            quantity=message.quantity,
            price=message.price,
            fee=message.fee,
            cumulative_quantity=message.cumulative_quantity,
            reason=message.reason,
            payload=message.payload,
            received_at=wall_now,
        )
        for sequence, message in enumerate(untold(account_id, messages), link.message_count + 1)
    ]
    if not rows:
        return []
    BrokerMessage.objects.bulk_create(rows)
    BrokerLink.objects.filter(pk=link.pk).update(message_count=rows[-1].sequence)
    if any(row.kind for row in rows):
        wake_dispatcher(account_id)
    crashpoint(Point.INBOX_BEFORE_COMMIT)
    return rows


def _locked_link(account_id: int) -> BrokerLink:
    BrokerLink.objects.get_or_create(account_id=account_id)
    return BrokerLink.objects.select_for_update().get(account_id=account_id)


def _fitting(message: Message) -> Message:
    """Return the message as the database takes it."""
    cut = replace(
        message,
        key=_bounded(message.key),
        client_order_id=_text(message.client_order_id, LONGEST_CLIENT_ORDER_ID),
        broker_order_id=_text(message.broker_order_id, LONGEST_BROKER_ORDER_ID),
        broker_execution_id=_text(message.broker_execution_id, LONGEST_EXECUTION_ID),
        reason=_text(message.reason, LONGEST_REASON),
        payload=_keepable(message.payload),
    )
    problem = _problem(cut)
    if problem:
        return _without_report(cut, problem)
    return replace(
        cut,
        price=None if cut.price is None else rounded(cut.price),
        fee=None if cut.fee is None else rounded(cut.fee),
        cumulative_quantity=None if cut.cumulative_quantity is None else rounded(cut.cumulative_quantity),
    )


def _problem(message: Message) -> str:
    """Say why the numbers cannot be booked; empty when they can."""
    if message.kind == "fill":
        if not message.broker_execution_id:
            return "a fill without an execution id"
        if message.quantity is None or not storable(message.quantity):
            return f"a fill of {message.quantity} shares"
        if message.price is None or not _keeps(message.price) or rounded(message.price) <= 0:
            return f"a fill at {message.price}"
        if message.cumulative_quantity is None:
            return "a fill without the order's filled quantity"
    for name in ("quantity", "price", "fee", "cumulative_quantity"):
        value = getattr(message, name)
        if value is not None and not _keeps(value):
            return f"{name} is {value}"
    return ""


def _keeps(value: Decimal) -> bool:
    return value.is_finite() and abs(value) < STORABLE_MAX


def _without_report(message: Message, problem: str) -> Message:
    """Keep it for people under a key of its own, so that a better telling of the same fact is still new."""
    log.warning("broker_message_not_bookable", key=message.key, problem=problem)
    return replace(
        message,
        key=_bounded(f"unbookable:{hashlib.sha256(repr((message.key, message.payload)).encode()).hexdigest()}"),
        kind="",
        quantity=None,
        price=None,
        fee=None,
        cumulative_quantity=None,
        reason=_text(f"{problem}; {message.reason}" if message.reason else problem, LONGEST_REASON),
    )


def _bounded(key: str) -> str:
    clean = _storable_text(key)
    return clean if len(clean) <= LONGEST_KEY else f"long:{hashlib.sha256(clean.encode()).hexdigest()}"


def _text(text: str, longest: int) -> str:
    return _storable_text(text)[:longest]


def _storable_text(text: str) -> str:
    """Return the text without what PostgreSQL cannot store: NUL and lone surrogates."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _keepable(value: Any, depth: int = 0) -> Any:
    """Return the payload as jsonb takes it: not nested without end, fractions digit by digit as text."""
    if depth > DEEPEST_PAYLOAD:
        return _text(repr(value), LONGEST_REASON)
    if isinstance(value, Mapping):
        return {_text(str(name), LONGEST_KEY): _keepable(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_keepable(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool | int):
        return value
    return _storable_text(str(value))


def _report(row: BrokerMessage) -> BrokerReport:
    return BrokerReport(
        sequence=row.sequence,
        kind=cast("ReportKind", row.kind),
        client_order_id=row.client_order_id,
        broker_order_id=row.broker_order_id,
        at=row.at,
        cumulative_quantity=row.cumulative_quantity if row.cumulative_quantity is not None else ZERO,
        broker_execution_id=row.broker_execution_id or None,
        quantity=row.quantity,
        price=row.price,
        fee=row.fee,
        reason=row.reason,
        symbol=_symbol_of(row.payload),
    )


def _symbol_of(payload: Any) -> str:
    """Return the symbol that a payload is about, its own or its order's; empty when it tells none."""
    told = payload.get("order", payload) if isinstance(payload, dict) else None
    symbol = told.get("symbol") if isinstance(told, dict) else None
    return symbol if isinstance(symbol, str) else ""
