"""What the exchange refuses on entry: combinations nobody trades, and auction orders that come too late."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from execution.matching.events import MAX_PRICE, SessionHours
from execution.matching.orders import LIMITED, STOPS
from execution.matching.pricing import is_on_tick
from risk.types import OrderType, Side, TimeInForce

OPG_CUTOFF = timedelta(minutes=2)
CLS_CUTOFF = timedelta(minutes=10)
MAX_QUANTITY = Decimal(1_000_000_000)
WHOLE_SHARE = Decimal(1)
QUANTITY_STEP = Decimal("0.00000001")
STOP_TIMES = frozenset({TimeInForce.DAY, TimeInForce.GTC})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order was not taken: a word for programs, a line for people."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An order at the door, in known words."""

    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    extended_hours: bool


def find_refusal(entry: Entry, *, hours: SessionHours, at: datetime) -> Refusal | None:
    """Return the first reason to refuse the order entered at `at`, None to take it.

    `hours` are those of the session that the instant trades for: today's until its close, then the next one's.
    """
    return (
        refuse_quantity(entry)
        or refuse_price("limit", entry.limit_price, needed=entry.order_type in LIMITED)
        or refuse_price("stop", entry.stop_price, needed=entry.order_type in STOPS)
        or refuse_combination(entry)
        or refuse_auction_window(entry, hours, at)
    )


def refuse_quantity(entry: Entry) -> Refusal | None:
    """Refuse what is no number of shares, and parts of a share outside a market day order (as Alpaca does)."""
    quantity = entry.quantity
    if not quantity.is_finite() or not 0 < quantity <= MAX_QUANTITY:
        return Refusal("invalid_quantity", f"quantity must be above 0 and at most {MAX_QUANTITY}, got {quantity}")
    if quantity % QUANTITY_STEP:
        return Refusal("invalid_quantity", f"quantity may have 8 decimals, got {quantity}")
    is_plain = entry.order_type == OrderType.MARKET and entry.time_in_force == TimeInForce.DAY
    if quantity % WHOLE_SHARE and not is_plain:
        return Refusal("fractional_quantity", f"only a market day order may be for part of a share, got {quantity}")
    return None


def refuse_price(name: str, price: Decimal | None, *, needed: bool) -> Refusal | None:
    """Refuse a price that is missing, not wanted, absurd or between two ticks."""
    if price is None:
        return Refusal(f"missing_{name}_price", f"this order type needs a {name} price") if needed else None
    if not needed:
        return Refusal(f"unexpected_{name}_price", f"this order type has no {name} price")
    if not price.is_finite() or not 0 < price <= MAX_PRICE:
        return Refusal(f"invalid_{name}_price", f"{name} price must be above 0 and at most {MAX_PRICE}, got {price}")
    if not is_on_tick(price):
        return Refusal("sub_penny_price", f"{name} price {price} is not a whole number of ticks")
    return None


def refuse_combination(entry: Entry) -> Refusal | None:
    """Refuse a stop that is not day or gtc, and extended hours for anything but a limit day order."""
    if entry.order_type in STOPS and entry.time_in_force not in STOP_TIMES:
        return Refusal("invalid_time_in_force", f"a stop order cannot be {entry.time_in_force.value}")
    is_limit_day = entry.order_type == OrderType.LIMIT and entry.time_in_force == TimeInForce.DAY
    if entry.extended_hours and not is_limit_day:
        return Refusal("extended_hours", "only a limit day order may trade in extended hours")
    return None


def refuse_auction_window(entry: Entry, hours: SessionHours, at: datetime) -> Refusal | None:
    """Refuse an auction order outside its window: from 19:00 the evening before until 09:28, or 15:50 for the close."""
    if entry.time_in_force == TimeInForce.OPG:
        until, code = hours.opens_at - OPG_CUTOFF, "opg_window"
    elif entry.time_in_force == TimeInForce.CLS:
        until, code = hours.closes_at - CLS_CUTOFF, "cls_window"
    else:
        return None
    if hours.auctions_enterable_at <= at < until:
        return None
    return Refusal(
        code,
        f"{entry.time_in_force.value} orders for {hours.date} are taken"
        f" from {hours.auctions_enterable_at:%Y-%m-%dT%H:%MZ} until {until:%Y-%m-%dT%H:%MZ}",
    )
