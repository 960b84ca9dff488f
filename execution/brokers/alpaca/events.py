"""Read the frames of Alpaca's `trade_updates` stream as facts of the inbox. Pure: a frame comes in, an update goes out.

Nothing here raises: whatever a frame says, it becomes a message, and what is no report is kept for people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

from execution.brokers.alpaca.words import amount, instant, text
from execution.services.inbox import STREAM, Message, fill_key, status_key, unreadable_key
from execution.services.updates import Update

TRADE_UPDATES = "trade_updates"
CONTROL = frozenset({"authorization", "listening"})
LONGEST_KEPT = 20_000
"""Characters of an unreadable frame that are kept."""
FILLS = frozenset({"fill", "partial_fill"})
OF_EXECUTIONS = frozenset({"fill", "corrected"})
KINDS = {
    "new": "accepted",
    "accepted": "accepted",
    "canceled": "canceled",
    "expired": "expired",
    "rejected": "rejected",
    "replaced": "replaced",
    "order_cancel_rejected": "cancel_rejected",
    "order_replace_rejected": "replace_rejected",
    "trade_bust": "corrected",
    "trade_correct": "corrected",
}
"""Events that change the book; others (pending_new, pending_cancel, done_for_day, held, restated, …) are only kept."""


def decode(raw: str | bytes) -> Any:
    """Read a frame, text or binary, with exact numbers; None when it is no JSON."""
    try:
        return json.loads(raw, parse_float=Decimal, parse_constant=str)
    except (ValueError, RecursionError):
        return None


def read_frame(raw: str | bytes, *, received_at: datetime) -> Update | None:
    """Return what a frame tells; None for an answer to our own requests. `received_at` stands in for a missing time."""
    frame = decode(raw)
    if not isinstance(frame, Mapping):
        return _unreadable(raw, received_at, "no JSON object")
    if frame.get("stream") in CONTROL:
        return None
    data = frame.get("data")
    if frame.get("stream") != TRADE_UPDATES or not isinstance(data, Mapping):
        return _unreadable(raw, received_at, f"stream {str(frame.get('stream'))[:40]!r}")
    order = data.get("order")
    if not isinstance(order, Mapping) or not text(order.get("id")):
        return _unreadable(raw, received_at, "a trade update without an order")
    return _update(data, order, raw, received_at)


def _update(data: Mapping[str, Any], order: Mapping[str, Any], raw: str | bytes, received_at: datetime) -> Update:
    event, status, order_id = text(data.get("event")), text(order.get("status")), text(order.get("id"))
    told_at = instant(data.get("timestamp")) or instant(order.get("updated_at"))
    filled = amount(order.get("filled_qty"))
    kind = "fill" if event in FILLS else KINDS.get(event, "")
    if kind == "accepted" and status == "held":
        kind = ""  # a leg that waits for its entry does not work yet
    if told_at is None or (kind == "fill" and filled is None):
        kind = ""  # REST tells it whole
    key = f"event:{sha256(_bytes(raw)).hexdigest()}"
    if kind == "fill" and filled is not None:
        key = fill_key(order_id, filled)
    elif kind and told_at is not None:
        key = status_key(order_id, kind, told_at)
    message = Message(
        key=key,
        source=STREAM,
        kind=kind,
        client_order_id=text(order.get("client_order_id")),
        broker_order_id=order_id,
        broker_execution_id=text(data.get("execution_id")) if kind in OF_EXECUTIONS else "",
        at=told_at or received_at,
        quantity=amount(data.get("qty")) if kind in OF_EXECUTIONS else None,
        price=amount(data.get("price")) if kind in OF_EXECUTIONS else None,
        cumulative_quantity=filled,
        reason=_reason(kind, event, status, data, order),
        payload=data,
    )
    return Update(message=message, is_whole=kind == "fill" and status == "filled")


def _reason(kind: str, event: str, status: str, data: Mapping[str, Any], order: Mapping[str, Any]) -> str:
    if not kind:
        return f"event {event[:40]!r}, status {status[:40]!r}"
    return reason_of(data, order) or (event if kind == "corrected" else "")


def reason_of(*told: Mapping[str, Any]) -> str:
    """Return the first reason that is given, whatever its field is called; empty when there is none."""
    for given in told:
        for name in ("reason", "reject_reason", "message"):
            if text(given.get(name)):
                return text(given.get(name))
    return ""


def _unreadable(raw: str | bytes, received_at: datetime, problem: str) -> Update:
    shown = raw if isinstance(raw, str) else raw.decode("utf-8", "replace")
    payload = {"raw": shown[:LONGEST_KEPT], "bytes": len(_bytes(raw))}
    key = unreadable_key(_bytes(raw))
    return Update(message=Message(key=key, source=STREAM, at=received_at, reason=problem, payload=payload))


def _bytes(raw: str | bytes) -> bytes:
    return raw.encode("utf-8", "replace") if isinstance(raw, str) else raw
