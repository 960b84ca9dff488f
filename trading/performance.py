"""How well it went, from daily equity: return, drawdown, Sharpe ratio. Pure; exact until a ratio needs a root."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

SESSIONS_A_YEAR = 252
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Performance:
    """Fractions, not per cent; `sharpe` is None where the returns do not vary."""

    total_return: Decimal
    max_drawdown: Decimal
    sharpe: Decimal | None


def performance(*, start: Decimal, equity: Sequence[Decimal]) -> Performance:
    """Measure a path of closing equity (account currency) that began with `start`.

    Sharpe 1994: mean ÷ sample standard deviation of daily returns, times √252, without a risk-free rate.
    :raises ValueError: `start` is not positive
    """
    if start <= ZERO:
        raise ValueError(f"equity must start above 0, got {start}")
    path = [start, *equity]
    return Performance(path[-1] / start - 1, _max_drawdown(path), _sharpe(path))


def _max_drawdown(path: Sequence[Decimal]) -> Decimal:
    peak, worst = path[0], ZERO
    for value in path:
        peak = max(peak, value)
        worst = max(worst, (peak - value) / peak)
    return worst


def _sharpe(path: Sequence[Decimal]) -> Decimal | None:
    returns = [after / before - 1 for before, after in pairwise(path) if before > ZERO]
    if len(returns) < 2:
        return None
    mean = sum(returns, ZERO) / len(returns)
    variance = sum(((value - mean) ** 2 for value in returns), ZERO) / (len(returns) - 1)
    if variance == ZERO:
        return None
    return mean / variance.sqrt() * Decimal(SESSIONS_A_YEAR).sqrt()


def cumulative(start: Decimal, changes: Sequence[Decimal]) -> list[Decimal]:
    """Return the running sums of `changes` on top of `start`."""
    path, value = [], start
    for change in changes:
        value += change
        path.append(value)
    return path
