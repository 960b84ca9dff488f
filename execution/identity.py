"""Who an order is: a name derived from what is wanted, so that wanting it twice is seen.

The hash covers symbol, side, quantity, prices, type, time in force, strategy, trading date, attempt and, for slices,
the parent and the slice number. Numbers enter as exact decimals ("10", "10.0" and "1E+1" are one quantity). The date
is the exchange session of the instant, never a machine's local date.
"""

import hashlib
from datetime import date
from decimal import Decimal

from risk.types import OrderIntent

SEPARATOR = "\x1f"


def exact(value: Decimal | None) -> str:
    """Write a decimal so that equal values are equal texts."""
    if value is None:
        return ""
    if not value.is_finite():
        return str(value)
    return f"{value.normalize():f}"


def intent_key(intent: OrderIntent, trading_date: date) -> str:
    """Return the SHA-256 of what is wanted, whatever the attempt."""
    return _digest(_parts(intent, trading_date))


def client_order_id(intent: OrderIntent, trading_date: date, attempt: int) -> str:
    """Return the order's own id: the same wish in the same attempt has the same id on every machine."""
    return _digest([*_parts(intent, trading_date), str(attempt)])


def _parts(intent: OrderIntent, trading_date: date) -> list[str]:
    parts = [
        intent.symbol,
        str(intent.side),
        exact(intent.quantity),
        exact(intent.limit_price),
        exact(intent.stop_price),
        str(intent.order_type),
        str(intent.time_in_force),
        str(int(intent.extended_hours)),
        str(int(intent.reduce_only)),
        intent.strategy,
        trading_date.isoformat(),
        "" if intent.parent_id is None else str(intent.parent_id),
        "" if intent.slice_number is None else str(intent.slice_number),
    ]
    if intent.replaces_id is not None:
        # New terms of an order are not the wish for another order of these terms.
        parts.append(f"replaces {intent.replaces_id}")
    return parts


def _digest(parts: list[str]) -> str:
    return hashlib.sha256(SEPARATOR.join(parts).encode()).hexdigest()
