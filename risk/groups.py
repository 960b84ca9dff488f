"""Does a group make sense: a profit is taken beyond the entry's price, a loss is stopped before it grows.

Pure, as the checks of the gate; asked of a whole group.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from risk.types import Case, Denial, DenialCode, OrderIntent, TimeInForce

ALLOWED_TIMES = (TimeInForce.DAY, TimeInForce.GTC)


def check_terms(entry: OrderIntent) -> Iterator[Denial]:
    """Deny times in force and hours that a group does not trade in."""
    if entry.time_in_force not in ALLOWED_TIMES:
        yield Denial(
            DenialCode.INVALID_COMBINATION,
            f"a {entry.order_class} group is day or gtc, not {entry.time_in_force}",
            limit="day, gtc",
            observed=str(entry.time_in_force),
        )
    if entry.extended_hours:
        yield Denial(
            DenialCode.INVALID_COMBINATION,
            f"a {entry.order_class} group does not trade in extended hours",
            limit="regular hours",
            observed="extended hours",
        )


def check_exit_prices(entry: Case, legs: Sequence[OrderIntent]) -> Iterator[Denial]:
    """Deny exits on the wrong side of the entry's price (an OCO's: of the market's); all have a usable form."""
    base, what = _base(entry)
    for leg in legs:
        if leg.leg_role == "take_profit" and leg.limit_price is not None:
            yield from _require(leg, "limit_price", leg.limit_price, base, what, direction=-leg.sign)
        if leg.leg_role == "stop_loss" and leg.stop_price is not None:
            yield from _require(leg, "stop_price", leg.stop_price, base, what, direction=leg.sign)
            if entry.intent.order_class == "oco" and entry.intent.limit_price is not None:
                limit = entry.intent.limit_price
                yield from _require(leg, "stop_price", leg.stop_price, limit, "the limit price", direction=leg.sign)


def _base(entry: Case) -> tuple[Decimal, str]:
    """Return the price that the exits lie around: where the entry trades, or now for a position that is held."""
    intent = entry.intent
    if intent.order_class != "oco":
        if intent.limit_price is not None:
            return intent.limit_price, "the entry's limit price"
        if intent.stop_price is not None:
            return intent.stop_price, "the entry's stop price"
    assert entry.price is not None, "a group is asked after the form checks, which want a price"
    return entry.price.last, "the last price"


def _require(
    leg: OrderIntent, name: str, price: Decimal, base: Decimal, what: str, *, direction: int
) -> Iterator[Denial]:
    if (price - base) * direction > 0:
        return
    wanted = f"{'above' if direction > 0 else 'below'} {base.normalize():f}, {what}"
    yield Denial(
        DenialCode.INVALID_PRICE,
        f"{leg.leg_role} {name} {price.normalize():f} must be {wanted}",
        limit=wanted,
        observed=f"{price.normalize():f}",
    )
