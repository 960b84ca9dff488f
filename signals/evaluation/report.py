"""Everything that is told of a score over one stretch of time, as plain numbers with their n."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import polars as pl

from signals.evaluation.correlation import daily_ic, information, information_decay
from signals.evaluation.quantiles import QUANTILES, daily_quantiles, long_short, quantile_means
from signals.evaluation.turnover import daily_turnover

MOST_POINTS = 60
"""Points of the curve of the IC; a chart on a page needs no more."""


def evaluate(
    frame: pl.DataFrame,
    *,
    score: str = "score",
    label: str = "label",
    returns: Mapping[int, str] | None = None,
    quantiles: int | None = None,
) -> dict[str, Any]:
    """Return IC, rank IC, decay, quantile returns, top minus bottom and turnover, fit for JSON.

    `frame` has `date, symbol`, the score, the return it is held against, and the columns named in `returns` by sessions
    held. `quantiles` None: five, three or halves, as the names of a usual day allow. Numbers that cannot be told are
    null.
    """
    quantiles = quantiles or quantiles_for(frame)
    ic = daily_ic(frame, score=score, label=label)
    rank_ic = daily_ic(frame, score=score, label=label, method="spearman")
    by_quantile = daily_quantiles(frame, score=score, label=label, quantiles=quantiles)
    decay = information_decay(frame, score=score, returns=returns or {})
    turnover = daily_turnover(frame, score=score, quantiles=quantiles)
    told: dict[str, Any] = plain(
        {
            "rows": frame.height,
            "days": frame["date"].n_unique(),
            "symbols": frame["symbol"].n_unique(),
            "ic": information(ic).as_dict(),
            "rank_ic": information(rank_ic).as_dict(),
            "ic_decay": {str(held): told.as_dict() for held, told in decay.items()},
            "quantile_count": quantiles,
            "quantiles": quantile_means(by_quantile),
            "top_minus_bottom": asdict(long_short(by_quantile)),
            "turnover": {"mean": turnover["turnover"].mean(), "days": turnover.height},
            "rank_ic_curve": _curve(rank_ic),
        }
    )
    return told


def quantiles_for(frame: pl.DataFrame) -> int:
    """Return into how many quantiles the names of a usual day can be sorted, two names each where possible."""
    names = frame.group_by("date").len()["len"].median()
    usual = names if isinstance(names, float) else 0.0
    return next((count for count in (QUANTILES, 3) if usual >= 2 * count), 2)


def _curve(daily: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the running sum of the daily coefficients at no more than 60 dates."""
    known = daily.drop_nulls("ic").with_columns(sum=pl.col("ic").cum_sum())
    if known.is_empty():
        return []
    step = max(1, math.ceil(known.height / MOST_POINTS))
    chosen = sorted({*range(0, known.height, step), known.height - 1})
    return [{"date": day.isoformat(), "sum": total} for day, total in known[chosen].select("date", "sum").rows()]


def plain(value: Any) -> Any:
    """Return the value with every number that JSON does not know as null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
