"""Orders in Alpaca's words: what is sent, and what its answers mean. No answer is too strange to be read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from execution.alpaca_wire.text import number
from execution.brokers.base import BrokerOrder, BrokerOrderStatus, LegRequest, OrderRequest, OrderTerms, ReplaceRequest

ZERO = Decimal(0)
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST_NUMBER = 40
BEYOND_REASON = Decimal("1e15")
FINAL: frozenset[str] = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
TAKE_PROFIT, STOP_LOSS = "take_profit", "stop_loss"

SAME: dict[str, BrokerOrderStatus] = {
    "held": "held",
    "filled": "filled",
    "pending_cancel": "pending_cancel",
    "pending_replace": "pending_replace",
    "canceled": "canceled",
    "expired": "expired",
    "rejected": "rejected",
    "replaced": "replaced",
}
WORKING = frozenset({"new", "accepted", "pending_new", "partially_filled"})
"""Working, and no more to say."""
WORKING_STRANGELY = frozenset(
    {"accepted_for_bidding", "stopped", "suspended", "calculated", "pending_review", "done_for_day"}
)
"""Working as well, but somebody may ask why nothing happens: the word is the reason."""


def order_body(request: OrderRequest) -> dict[str, Any]:
    """Say a new order; numbers are text, digit by digit."""
    body: dict[str, Any] = {
        "client_order_id": request.client_order_id,
        "symbol": request.symbol,
        "side": request.side,
        "qty": number(request.quantity),
        "type": request.order_type,
        "time_in_force": request.time_in_force,
    }
    prices = {"limit_price": request.limit_price, "stop_price": request.stop_price}
    body |= {name: number(price) for name, price in prices.items() if price is not None}
    if request.extended_hours:
        body["extended_hours"] = True
    if request.order_class:
        body |= {"order_class": request.order_class} | {leg.role: _leg_body(leg) for leg in request.legs}
    if request.order_class == "oco":  # here the first order is itself the take-profit
        body[TAKE_PROFIT] = {"limit_price": body.pop("limit_price", None)}
    return body


def _leg_body(leg: LegRequest) -> dict[str, Any]:
    prices = {"limit_price": leg.limit_price, "stop_price": leg.stop_price}
    return {name: number(price) for name, price in prices.items() if price is not None}


def replace_body(request: ReplaceRequest) -> dict[str, Any]:
    """Say new terms: all of them, so that nothing depends on what the broker believes the order to be."""
    body: dict[str, Any] = {
        "client_order_id": request.client_order_id,
        "qty": number(request.quantity),
        "time_in_force": request.time_in_force,
    }
    prices = {"limit_price": request.limit_price, "stop_price": request.stop_price}
    return body | {name: number(price) for name, price in prices.items() if price is not None}


def read_order(answer: Mapping[str, Any], *, role: str = "") -> BrokerOrder:
    """Read an order as far as it can be read; what is missing is empty, and an average that makes no sense is None."""
    filled = max(amount(answer.get("filled_qty")) or ZERO, ZERO)
    quantity = amount(answer.get("qty"))
    quantity = filled if quantity is None else quantity  # an order by amount of money tells no quantity
    word = text(answer.get("status"))
    average = amount(answer.get("filled_avg_price"))
    return BrokerOrder(
        client_order_id=text(answer.get("client_order_id")),
        broker_order_id=text(answer.get("id")),
        symbol=text(answer.get("symbol")),
        side=text(answer.get("side")),
        quantity=quantity,
        status=status_of(word, quantity=quantity, filled=filled),
        filled_quantity=filled,
        average_fill_price=average if filled and average is not None and average > 0 else None,
        updated_at=instant(answer.get("updated_at")) or instant(answer.get("submitted_at")) or NEVER,
        reason=reason_of(word),
        role=role,
        legs=tuple(read_order(leg, role=leg_role(leg)) for leg in objects(answer.get("legs"))),
        terms=OrderTerms(
            order_type=text(answer.get("type") or answer.get("order_type")),
            time_in_force=text(answer.get("time_in_force")),
            limit_price=amount(answer.get("limit_price")),
            stop_price=amount(answer.get("stop_price")),
            extended_hours=answer.get("extended_hours") is True,
            submitted_at=instant(answer.get("submitted_at")) or instant(answer.get("created_at")),
        ),
    )


def status_of(word: str, *, quantity: Decimal, filled: Decimal) -> BrokerOrderStatus:
    """Return the port's status; an order in a state nobody knows counts as working, because it may fill."""
    if word in SAME:
        return SAME[word]
    return "partially_filled" if ZERO < filled < quantity or word == "partially_filled" else "accepted"


def reason_of(word: str) -> str:
    """Return what people should know about a status, mostly nothing."""
    if word in SAME or word in WORKING:
        return ""
    return (
        f"the broker says {word}" if word in WORKING_STRANGELY else f"the broker says {word[:64]!r}, which is not known"
    )


def leg_role(leg: Mapping[str, Any]) -> str:
    """Tell which leg it is by its type: Alpaca names none."""
    return STOP_LOSS if text(leg.get("type") or leg.get("order_type")).startswith("stop") else TAKE_PROFIT


def objects(value: object) -> list[Mapping[str, Any]]:
    """Return the JSON objects of a list; anything else is none."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def text(value: object) -> str:
    """Return a text; null is empty."""
    return value if isinstance(value, str) else "" if value is None else str(value)


def amount(value: object) -> Decimal | None:
    """Read a number that came as text or as a JSON number; None when there is none that makes sense."""
    given = text(value).strip()
    if isinstance(value, bool) or not given or len(given) > LONGEST_NUMBER:
        return None
    try:
        read = Decimal(given)
    except InvalidOperation:
        return None
    return read if read.is_finite() and abs(read) < BEYOND_REASON else None


def instant(value: object) -> datetime | None:
    """Read a time, nanoseconds cut to microseconds; None when there is none."""
    try:
        read = datetime.fromisoformat(text(value))
        return read.astimezone(UTC) if read.tzinfo is not None else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
