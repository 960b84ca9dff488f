"""Information coefficients: the correlation of scores and returns across the names of a day.

Grinold and Kahn, "Active Portfolio Management", ch. 6; IC, rank IC and ICIR as Qlib reports them.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import polars as pl

FEWEST_NAMES = 2
Method = Literal["pearson", "spearman"]


@dataclass(frozen=True, slots=True)
class Information:
    """Daily coefficients in short: `icir` is mean ÷ deviation (ddof 1) of the days, not annualised; `t` icir × √n."""

    mean: float | None
    deviation: float | None
    icir: float | None
    t: float | None
    positive: float | None
    """Share of the days above 0."""
    days: int

    def as_dict(self) -> dict[str, float | int | None]:
        """Return the numbers by name."""
        return asdict(self)


def daily_ic(
    frame: pl.DataFrame, *, score: str = "score", label: str = "label", method: Method = "pearson"
) -> pl.DataFrame:
    """Return `date, ic, names`, ascending; rows without a finite score and label are left out.

    `spearman` correlates average ranks. A day with fewer than two names, or with all scores or labels alike, has null.
    """
    rows = usable(frame, score=score, label=label)
    x, y = pl.col(score), pl.col(label)
    if method == "spearman":
        rows = rows.with_columns(x.rank("average").over("date"), y.rank("average").over("date"))
    # Names alike may differ in the last bits of a mean, so that alike is asked of the values, not of the deviation.
    told = (pl.len() >= FEWEST_NAMES) & (x.n_unique() > 1) & (y.n_unique() > 1)
    ic = pl.corr(x, y, method="pearson")
    return (
        rows.group_by("date")
        .agg(ic=pl.when(told).then(ic), names=pl.len())
        .with_columns(pl.when(pl.col("ic").is_finite()).then(pl.col("ic")).alias("ic"))
        .sort("date")
    )


def information(daily: pl.DataFrame) -> Information:
    """Sum up what `daily_ic` returned; None where too few days tell nothing."""
    values = daily["ic"].drop_nulls()
    mean, deviation = _number(values.mean()), _number(values.std(ddof=1))
    icir = mean / deviation if mean is not None and deviation else None
    return Information(
        mean=mean,
        deviation=deviation,
        icir=icir,
        t=None if icir is None else icir * math.sqrt(len(values)),
        positive=_number((values > 0).mean()),
        days=len(values),
    )


def information_decay(
    frame: pl.DataFrame, *, score: str = "score", returns: Mapping[int, str], method: Method = "spearman"
) -> dict[int, Information]:
    """Return the information about the return of each number of sessions held; `returns` names their columns."""
    return {
        held: information(daily_ic(frame, score=score, label=column, method=method))
        for held, column in sorted(returns.items())
    }


def usable(frame: pl.DataFrame, *, score: str, label: str) -> pl.DataFrame:
    """Return the rows in which both are finite numbers."""
    finite = [pl.col(name).is_not_null() & pl.col(name).is_finite() for name in (score, label)]
    return frame.select("date", "symbol", score, label).filter(*finite)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
