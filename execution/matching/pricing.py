"""Ticks, and the price of an execution."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from risk.types import Side

CENT = Decimal("0.01")
SUB_DOLLAR_TICK = Decimal("0.0001")
ONE_DOLLAR = Decimal(1)
MONEY_STEP = Decimal("0.00000001")


def tick_size(price: Decimal) -> Decimal:
    """Return the smallest price step, account currency: a cent from a dollar up, 0.0001 below (SEC Rule 612)."""
    return CENT if price >= ONE_DOLLAR else SUB_DOLLAR_TICK


def is_on_tick(price: Decimal) -> bool:
    """Tell whether the price is a whole number of ticks."""
    return price % tick_size(price) == 0


def round_against(price: Decimal, side: Side) -> Decimal:
    """Round to a tick in the market's favour: a buyer pays the tick above, a seller gets the one below.

    A sale never rounds down to nothing: the last tick above zero is kept.
    """
    tick = tick_size(price)
    if side == Side.BUY:
        return price.quantize(tick, rounding=ROUND_CEILING)
    return max(price.quantize(tick, rounding=ROUND_FLOOR), tick)


def execution_price(*, reference: Decimal, slippage: Decimal, side: Side, limit: Decimal | None) -> Decimal:
    """Return the price of an execution: the reference moved against us by `slippage`, on a tick, within the limit.

    `slippage` is a fraction of the price, 0.0001 for one basis point. The limit comes last: it holds to the digit.
    """
    if side == Side.BUY:
        price = round_against(reference * (1 + slippage), side)
        return price if limit is None else min(price, limit)
    price = round_against(max(reference * (1 - slippage), SUB_DOLLAR_TICK), side)
    return price if limit is None else max(price, limit)


def traded_value(quantity: Decimal, price: Decimal) -> Decimal:
    """Return quantity times price, account currency, to the eight decimals that are stored (exact for whole shares)."""
    return (quantity * price).quantize(MONEY_STEP)
