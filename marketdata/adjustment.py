"""Adjust raw bars for splits and dividends when they are read, as known at a given date."""

from datetime import date
from typing import Literal, get_args

import polars as pl

from marketdata.types import ActionKind

AdjustmentMode = Literal["raw", "split", "total_return"]
ACTION_SCHEMA = pl.Schema(
    {
        "symbol": pl.String(),
        "kind": pl.String(),
        "ex_date": pl.Date(),
        "ratio": pl.Float64(),
        "cash_amount": pl.Float64(),
    }
)
_PRICES = ("open", "high", "low", "close", "vwap")


def adjust(bars: pl.DataFrame, actions: pl.DataFrame, *, mode: AdjustmentMode, as_of: date | None) -> pl.DataFrame:
    """Return the bars in the shares (`split`) or the shares with dividends reinvested (`total_return`) of `as_of`.

    Only actions with an ex-date up to `as_of` count (None: all); prices before an ex-date are multiplied by its factor,
    as CRSP does: 1 / ratio for a split, 1 - cash / previous close for a dividend, cash being in shares after a split of
    the same day. Volume is put into the same shares by splits alone. `bars` has symbol, date, prices and volume, one
    row a symbol and date; the rows come back sorted by symbol and date, other columns untouched.
    """
    if mode not in get_args(AdjustmentMode):
        raise ValueError(f"mode {mode!r} is not allowed: {', '.join(get_args(AdjustmentMode))} are")
    bars = bars.sort("symbol", "date")
    events = _events(bars, actions, mode, as_of)
    if mode == "raw" or events.is_empty():
        return bars
    factors = bars.select("symbol", "date").join_asof(
        events, left_on="date", right_on="ex_date", by="symbol", strategy="forward", allow_exact_matches=False,
        check_sortedness=False,
    )  # fmt: skip
    price = factors["price_factor"].fill_null(1.0)
    shares = factors["share_factor"].fill_null(1.0)
    adjusted = [pl.col(name) * price for name in _PRICES if name in bars.columns]
    if "volume" in bars.columns:
        adjusted.append(pl.col("volume") / shares)
    return bars.with_columns(adjusted)


def _events(bars: pl.DataFrame, actions: pl.DataFrame, mode: AdjustmentMode, as_of: date | None) -> pl.DataFrame:
    """Return one row an ex-date: the factors of all later prices and shares, that of the ex-date included.

    Columns symbol, ex_date, price_factor, share_factor; sorted by symbol and ex_date.
    """
    known = actions if as_of is None else actions.filter(pl.col("ex_date") <= as_of)
    known = known.select(ACTION_SCHEMA.names()).cast(ACTION_SCHEMA)
    split = pl.col("kind") == ActionKind.SPLIT.value
    days = (
        known.group_by("symbol", "ex_date")
        .agg(
            ratio=pl.col("ratio").filter(split).product(),
            cash=pl.col("cash_amount").filter(~split).sum(),
        )
        .sort("symbol", "ex_date")
    )
    days = days.join_asof(
        bars.select("symbol", "date", previous_close="close"), left_on="ex_date", right_on="date", by="symbol",
        strategy="backward", allow_exact_matches=False, check_sortedness=False,
    )  # fmt: skip
    paid = 1.0 - pl.col("cash") * pl.col("ratio") / pl.col("previous_close")
    dividend = paid if mode == "total_return" else pl.lit(1.0)
    # Without a bar before the ex-date there is nothing to adjust, and no close to measure the dividend by.
    return days.filter(pl.col("previous_close").is_not_null()).select(
        "symbol",
        "ex_date",
        price_factor=(dividend / pl.col("ratio")).cum_prod(reverse=True).over("symbol"),
        share_factor=(1.0 / pl.col("ratio")).cum_prod(reverse=True).over("symbol"),
    )
