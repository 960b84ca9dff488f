"""From scores to weights: the exact part, in Decimal."""

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal

WEIGHT_STEP = Decimal("0.000001")


def equal_weights(directions: Mapping[str, int], *, names: int, gross: Decimal = Decimal(1)) -> dict[str, Decimal]:
    """Give each symbol `direction × gross ÷ names`, rounded towards zero so that the sum never passes `gross`.

    `names` is the number of slots: with fewer symbols than slots the rest of the capital stays in cash.
    :raises ValueError: more symbols than slots
    """
    if len(directions) > names:
        raise ValueError(f"{len(directions)} symbols do not fit {names} slots")
    if not directions:
        return {}
    size = (gross / names).quantize(WEIGHT_STEP, rounding=ROUND_DOWN)
    return {symbol: direction * size for symbol, direction in directions.items() if direction}
