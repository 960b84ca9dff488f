"""How much of the top and bottom quantile is replaced from one session to the next."""

import polars as pl

from signals.evaluation.quantiles import QUANTILES


def daily_turnover(frame: pl.DataFrame, *, score: str = "score", quantiles: int = QUANTILES) -> pl.DataFrame:
    """Return `date, turnover`: the share of the names in the outer quantiles that were not in the same one before.

    0 keeps every name, 1 replaces all. The first date, and days with fewer names than quantiles, have no row.
    """
    rows = frame.select("date", "symbol", score).filter(pl.col(score).is_not_null() & pl.col(score).is_finite())
    place, names = pl.int_range(pl.len()).over("date"), pl.len().over("date")
    outer = (
        rows.sort("date", score, "symbol")
        .with_columns(names=names, quantile=(place * quantiles) // names + 1)
        .filter(pl.col("names") >= quantiles, pl.col("quantile").is_in([1, quantiles]))
        .select("date", "symbol", "quantile")
    )
    days = outer.select(pl.col("date").unique().sort()).with_columns(before=pl.col("date").shift(1))
    held = outer.rename({"date": "before"}).with_columns(kept=pl.lit(True))
    moved = outer.join(days, on="date").join(held, on=["before", "symbol", "quantile"], how="left")
    return (
        moved.filter(pl.col("before").is_not_null())
        .group_by("date")
        .agg(turnover=1 - pl.col("kept").fill_null(False).cast(pl.Float64).mean())
        .sort("date")
    )
