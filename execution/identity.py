"""Who an order is: a name derived from what is wanted, so that wanting it twice is seen.

The hash covers symbol, side, quantity, prices, type, time in force, strategy, trading date, attempt and, for slices,
the parent and the slice number. Numbers enter as exact decimals ("10", "10.0" and "1E+1" are one quantity). The date
is the exchange session of the instant, never a machine's local date.
"""

import hashlib
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from risk.types import OrderIntent

SEPARATOR = "\x1f"
LONGEST_CLIENT_ORDER_ID = 128
LEG_SUFFIX = {"take_profit": "TP", "stop_loss": "SL"}


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


def group_key(entry: OrderIntent, legs: Sequence[OrderIntent], trading_date: date) -> str:
    """Return the SHA-256 of what is wanted as a group: the entry with its class and the prices of its legs."""
    return _digest(_group_parts(entry, legs, trading_date))


def group_client_order_id(entry: OrderIntent, legs: Sequence[OrderIntent], trading_date: date, attempt: int) -> str:
    """Return the id of a group's entry."""
    return _digest([*_group_parts(entry, legs, trading_date), str(attempt)])


def leg_key(key: str, role: str) -> str:
    """Return the key of a group's leg: a leg is no wish of its own."""
    return _digest([key, role])


def leg_client_order_id(entry_id: str, role: str) -> str:
    """Return the id of a leg after its entry's, so that people see whose it is."""
    name = f"{entry_id}-{LEG_SUFFIX[role]}"
    return name if len(name) <= LONGEST_CLIENT_ORDER_ID else _digest([name])


def _group_parts(entry: OrderIntent, legs: Sequence[OrderIntent], trading_date: date) -> list[str]:
    parts = [*_parts(entry, trading_date), entry.order_class]
    for leg in legs:
        parts += [leg.leg_role, exact(leg.limit_price), exact(leg.stop_price)]
    return parts


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
