"""What a path of equity was worth: return, risk, drawdown, turnover, exposure, costs. Fractions, not per cent."""

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from signals.backtest.panel import FloatArray
from signals.backtest.result import BacktestResult

SESSIONS_A_YEAR = 252
COST_KINDS = ("commission", "spread", "impact", "borrow")


def daily_returns(equity: FloatArray, start: float) -> FloatArray:
    """Return one simple return a session, the first against `start`; sessions after equity was lost count as 0."""
    before = np.concatenate([[start], equity[:-1]])
    returns: FloatArray = np.divide(equity - before, before, out=np.zeros_like(equity), where=before > 0)
    return returns


def drawdowns(equity: FloatArray, start: float) -> FloatArray:
    """Return for each session the fraction lost since the highest equity so far, 0 or above."""
    peak = np.maximum(np.maximum.accumulate(equity), start)
    lost: FloatArray = (peak - equity) / peak
    return lost


def sharpe(returns: FloatArray) -> float | None:
    """Return mean ÷ sample deviation × √252 of daily returns, no risk-free rate (Sharpe 1994); None without
    variation."""
    if len(returns) < 2:
        return None
    deviation = float(returns.std(ddof=1))
    return None if deviation < 1e-12 else float(returns.mean()) / deviation * math.sqrt(SESSIONS_A_YEAR)


@dataclass(frozen=True, slots=True)
class PathMeasures:
    """Measures of a path of equity alone; ratios are None where they have no meaning."""

    total_return: float
    annual_return: float | None
    annual_volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown: float
    longest_drawdown: int
    """Sessions from a peak until it was reached again, or until the end."""
    best_day: float
    worst_day: float
    days_up: float


def measure_path(equity: FloatArray, start: float) -> PathMeasures:
    """Measure a path of closing equity that began with `start`."""
    returns, lost = daily_returns(equity, start), drawdowns(equity, start)
    total = float(equity[-1] / start - 1.0)
    annual = _annual(total, len(equity))
    worst = float(lost.max())
    volatility = float(returns.std(ddof=1)) * math.sqrt(SESSIONS_A_YEAR) if len(returns) > 1 else None
    return PathMeasures(
        total_return=total,
        annual_return=annual,
        annual_volatility=volatility,
        sharpe=sharpe(returns),
        sortino=_sortino(returns),
        calmar=annual / worst if annual is not None and worst > 0 else None,
        max_drawdown=worst,
        longest_drawdown=_longest_run(lost > 0),
        best_day=float(returns.max()),
        worst_day=float(returns.min()),
        days_up=float((returns > 0).mean()),
    )


def measures(result: BacktestResult, benchmark: FloatArray | None = None) -> dict[str, float | int | None]:
    """Return everything that a list, a comparison or a search asks of a run, by name.

    `benchmark` is the equity of another holding on the same sessions, from the same capital.
    """
    days = result.days
    equity = days["equity"].to_numpy()
    path = measure_path(equity, result.capital)
    found: dict[str, float | int | None] = {
        **{name: getattr(path, name) for name in PathMeasures.__slots__},
        "final_equity": float(equity[-1]),
        "sessions": days.height,
        "orders": result.orders.height,
        **_activity(days, equity),
    }
    if benchmark is not None:
        found |= _against(daily_returns(equity, result.capital), benchmark, result.capital)
    return found


def monthly_returns(days: pl.DataFrame, start: float) -> pl.DataFrame:
    """Return `year, month, return` of a frame with `date, equity`, each month against the end of the one before."""
    ends = (
        days.group_by(year=pl.col("date").dt.year(), month=pl.col("date").dt.month())
        .agg(pl.col("equity").last())
        .sort("year", "month")
    )
    before = pl.col("equity").shift(1).fill_null(start)
    change = pl.when(before > 0).then(pl.col("equity") / before - 1.0).otherwise(0.0)
    return ends.select("year", "month", change.alias("return"))


def _activity(days: pl.DataFrame, equity: FloatArray) -> dict[str, float | int | None]:
    """Turnover counts both sides: 2 a year is the whole book sold and bought again once."""
    standing = np.where(equity > 0, equity, np.nan)
    traded = days["traded"].to_numpy() / standing
    long, short = (days[name].to_numpy() / standing for name in ("long_value", "short_value"))
    costs = {f"cost_{kind}": float(days[kind].sum()) for kind in COST_KINDS}
    return {
        "turnover": _mean(traded) * SESSIONS_A_YEAR,
        "gross_exposure": _mean(long + short),
        "net_exposure": _mean(long - short),
        **costs,
        "cost_total": sum(costs.values()),
        "unpriced_notional": float(days["unpriced"].sum()),
    }


def _against(returns: FloatArray, benchmark: FloatArray, start: float) -> dict[str, float | int | None]:
    other = daily_returns(benchmark, start)
    held = measure_path(benchmark, start)
    found: dict[str, float | int | None] = {
        "benchmark_return": held.total_return,
        "benchmark_sharpe": held.sharpe,
        "benchmark_drawdown": held.max_drawdown,
        "beta": None,
        "correlation": None,
    }
    if len(returns) > 1 and other.std() > 1e-12:
        covariance = float(np.cov(returns, other, ddof=1)[0, 1])
        found["beta"] = covariance / float(other.var(ddof=1))
        if returns.std() > 1e-12:
            found["correlation"] = covariance / float(returns.std(ddof=1) * other.std(ddof=1))
    return found


def _annual(total: float, sessions: int) -> float | None:
    return float((1.0 + total) ** (SESSIONS_A_YEAR / sessions) - 1.0) if total > -1.0 else None


def _sortino(returns: FloatArray) -> float | None:
    """Sortino and Price 1994: the deviation counts only what was below 0."""
    downside = math.sqrt(float((np.minimum(returns, 0.0) ** 2).mean()))
    return None if downside < 1e-12 else float(returns.mean()) / downside * math.sqrt(SESSIONS_A_YEAR)


def _longest_run(flags: np.ndarray) -> int:
    longest = current = 0
    for flag in flags.tolist():
        current = current + 1 if flag else 0
        longest = max(longest, current)
    return longest


def _mean(values: FloatArray) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else 0.0
