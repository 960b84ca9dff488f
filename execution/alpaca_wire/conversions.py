"""What Alpaca makes of an order that it does not work as it was asked for."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from execution.matching.pricing import tick_size

STOP_COLLAR_LOW, STOP_COLLAR_HIGH = Decimal("1.04"), Decimal("1.025")
STOP_COLLAR_FROM = Decimal(50)


def converted_stop_limit(stop_price: Decimal) -> Decimal:
    """Return the limit that a buy stop works with: 4% above a stop below $50, 2.5% above any other, a tick up."""
    collar = STOP_COLLAR_LOW if stop_price < STOP_COLLAR_FROM else STOP_COLLAR_HIGH
    limit = stop_price * collar
    return limit.quantize(tick_size(limit), rounding=ROUND_CEILING)
