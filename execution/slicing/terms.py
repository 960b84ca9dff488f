"""At what price a slice may trade."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from risk.types import Side

BPS = Decimal(10_000)
ONE_DOLLAR, SUB_PENNY = Decimal(1), Decimal("0.0001")


def slice_limit(
    *, side: Side, last: Decimal, offset_bps: Decimal | None, limit_price: Decimal | None, tick_size: Decimal
) -> Decimal | None:
    """Return the limit of a slice (account currency), None for the market.

    The offset lets a buy pay so many bps above the last price, a sale take so much less; rounded to the tick on the
    careful side. The parent's own limit is never passed.
    """
    if offset_bps is None:
        return limit_price
    sign = 1 if side == Side.BUY else -1
    reach = last * (1 + sign * offset_bps / BPS)
    tick = tick_size if reach >= ONE_DOLLAR else min(SUB_PENNY, tick_size)
    rounding = ROUND_FLOOR if side == Side.BUY else ROUND_CEILING
    wanted = max((reach / tick).to_integral_value(rounding) * tick, tick)
    if limit_price is None:
        return wanted
    return min(wanted, limit_price) if side == Side.BUY else max(wanted, limit_price)
