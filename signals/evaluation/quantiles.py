"""Returns by quantile of the score: does more score mean more return, and what would top minus bottom have earned."""

import math
from dataclasses import dataclass
from typing import Any

import polars as pl

from signals.evaluation.correlation import usable

QUANTILES = 5
SESSIONS_A_YEAR = 252


@dataclass(frozen=True, slots=True)
class LongShort:
    """Top minus bottom quantile, equal weights, one unit long and one short, before costs."""

    mean: float | None
    """Of a session."""
    annualised: float | None
    """Mean × 252."""
    sharpe: float | None
    """Mean ÷ deviation (ddof 1) × √252."""
    days: int


def daily_quantiles(
    frame: pl.DataFrame, *, score: str = "score", label: str = "label", quantiles: int = QUANTILES
) -> pl.DataFrame:
    """Return `date, quantile, mean, names`: the mean label by quantile of the day's scores, 1 is the lowest.

    Names are ranked by score, ties by symbol. Days with fewer names than quantiles are left out.
    """
    rows = usable(frame, score=score, label=label).sort("date", score, "symbol")
    place, names = pl.int_range(pl.len()).over("date"), pl.len().over("date")
    return (
        rows.with_columns(names=names, quantile=(place * quantiles) // names + 1)
        .filter(pl.col("names") >= quantiles)
        .group_by("date", "quantile")
        .agg(mean=pl.col(label).mean(), names=pl.len())
        .sort("date", "quantile")
    )


def quantile_means(daily: pl.DataFrame) -> list[dict[str, Any]]:
    """Return for each quantile the mean of its daily returns and how many days and rows it stands on."""
    table = (
        daily.group_by("quantile")
        .agg(mean=pl.col("mean").mean(), days=pl.len(), rows=pl.col("names").sum())
        .sort("quantile")
    )
    return table.to_dicts()


def spread(daily: pl.DataFrame) -> pl.DataFrame:
    """Return `date, spread`: the highest quantile's return minus the lowest's."""
    high = daily.filter(pl.col("quantile") == pl.col("quantile").max()).select("date", high="mean")
    low = daily.filter(pl.col("quantile") == 1).select("date", low="mean")
    return high.join(low, on="date").select("date", spread=pl.col("high") - pl.col("low")).sort("date")


def long_short(daily: pl.DataFrame) -> LongShort:
    """Sum up top minus bottom; None where too few days tell nothing."""
    values = spread(daily)["spread"]
    mean, deviation = values.mean(), values.std(ddof=1)
    if not isinstance(mean, float):
        return LongShort(None, None, None, 0)
    told = isinstance(deviation, float) and deviation > 0
    sharpe = mean / deviation * math.sqrt(SESSIONS_A_YEAR) if told and isinstance(deviation, float) else None
    return LongShort(mean, mean * SESSIONS_A_YEAR, sharpe, len(values))
