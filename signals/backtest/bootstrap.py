"""How sure a result is: the same daily returns drawn again in blocks, many times.

Stationary bootstrap of Politis and Romano 1994: blocks of geometric length, mean `block` sessions, from anywhere, the
history closed to a ring. Blocks keep the dependence of neighbouring days, which single draws would destroy. With
`method="fixed"` blocks have one length (the circular block bootstrap, Politis and Romano 1992).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from signals.backtest.measures import SESSIONS_A_YEAR
from signals.backtest.panel import FloatArray, IntArray
from signals.backtest.rules import require_between
from signals.errors import BacktestInputError
from signals.progress import Progress, silent

Method = Literal["stationary", "fixed"]
DRAWS_AT_ONCE = 64
LEAST_SESSIONS = 20
QUANTILES = (0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975)


@dataclass(frozen=True, slots=True)
class Distribution:
    """One figure: as it came out, its standard error, and quantiles over the draws."""

    observed: float
    error: float
    quantiles: dict[float, float]


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Confidence in Sharpe ratio, largest drawdown and final equity (account currency)."""

    draws: int
    block: float
    seed: int
    sharpe: Distribution
    max_drawdown: Distribution
    final_equity: Distribution
    chance_of_loss: float
    """Share of the draws that ended below the capital."""


def bootstrap(
    returns: FloatArray,
    *,
    capital: float,
    draws: int = 2000,
    block: float = 0.0,
    seed: int = 0,
    method: Method = "stationary",
    progress: Progress = silent,
) -> Bootstrap:
    """Draw histories of the same length from daily returns; the same seed gives the same numbers.

    `block` 0 means n^⅓ sessions, the order at which the error is smallest (Hall, Horowitz and Jing 1995).
    :raises BacktestInputError: fewer than 20 returns, or a number out of range
    """
    if len(returns) < LEAST_SESSIONS:
        raise BacktestInputError("returns", f"{len(returns)} sessions", f"at least {LEAST_SESSIONS}")
    require_between("draws", draws, 1, 100_000)
    require_between("block", block, 0, len(returns))
    length = max(block or round(len(returns) ** (1 / 3)), 1.0)
    generator = np.random.default_rng(seed)
    found = np.empty((3, draws))
    for start in range(0, draws, DRAWS_AT_ONCE):
        progress(start, draws, "drawing histories")
        count = min(DRAWS_AT_ONCE, draws - start)
        picked = returns[_indices(generator, count, len(returns), length, method)]
        found[:, start : start + count] = _figures(picked, capital)
    progress(draws, draws, "drew histories")
    observed = _figures(returns[None, :], capital)[:, 0]
    ratio, drawdown, final = (_distribution(value, row) for value, row in zip(observed, found, strict=True))
    return Bootstrap(draws, length, seed, ratio, drawdown, final, float((found[2] < capital).mean()))


def _indices(generator: np.random.Generator, count: int, size: int, block: float, method: Method) -> IntArray:
    """Return positions `(count, size)`: runs that go on, each from a random start."""
    if method == "fixed":
        begins = np.zeros((count, size), dtype=np.bool_)
        begins[:, :: max(round(block), 1)] = True
    else:
        begins = generator.random((count, size)) < 1.0 / block
        begins[:, 0] = True
    starts = generator.integers(0, size, (count, size))
    places = np.arange(size)
    latest = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    positions: IntArray = (np.take_along_axis(starts, latest, axis=1) + places - latest) % size
    return positions


def _figures(returns: FloatArray, capital: float) -> FloatArray:
    """Return Sharpe ratio, largest drawdown and final equity of each row."""
    path = np.maximum(1.0 + returns, 0.0).cumprod(axis=1)
    peak = np.maximum(np.maximum.accumulate(path, axis=1), 1.0)
    deviation = returns.std(axis=1, ddof=1)
    ratio = np.divide(returns.mean(axis=1), deviation, out=np.zeros(len(returns)), where=deviation > 1e-12)
    return np.stack([ratio * np.sqrt(SESSIONS_A_YEAR), ((peak - path) / peak).max(axis=1), path[:, -1] * capital])


def _distribution(observed: float, values: FloatArray) -> Distribution:
    quantiles = {level: float(np.quantile(values, level)) for level in QUANTILES}
    return Distribution(float(observed), float(values.std(ddof=1)) if len(values) > 1 else 0.0, quantiles)
