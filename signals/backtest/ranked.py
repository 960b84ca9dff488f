"""The long/short backtest from given scores."""

import polars as pl

from signals.backtest.engine import simulate
from signals.backtest.panel import panel_of
from signals.backtest.ranking import long_short_weights
from signals.backtest.result import BacktestResult, result_of
from signals.backtest.rules import Costs, Rules, require_between
from signals.errors import BacktestInputError

MOST_GROSS = 10.0


def long_short(
    prices: pl.DataFrame,
    scores: pl.DataFrame,
    *,
    top: int,
    bottom: int,
    gross: float = 0.5,
    cost_bps: float = 10.0,
    capital: float = 1e7,
) -> BacktestResult:
    """Hold the `top` best names long and the `bottom` worst short, `gross` of the equity on each side.

    Wide frames: `date` (sorted) and a column a symbol, the same dates in both. The scores of session t−1 are traded at
    the close of session t: equity before the trade = cash + Σ shares × price, target shares = weight × equity ÷ price
    with `+gross / top` and `-gross / bottom` a name, fractional; `cost_bps` of the traded notional is paid from cash.
    Nothing is traded on the first day. A name without a price (NaN) is not traded and keeps its last price, one
    without a score is not held, a day without any score changes nothing; equal scores go by the alphabet.
    :raises BacktestInputError: (a `ValueError`) data or a number that cannot be used, with field, value and what is
    allowed
    """
    panel = panel_of(prices)
    ranks = panel.aligned(scores, "scores")
    require_slots(top, bottom, len(panel.symbols))
    require_between("gross", gross, 1e-9, MOST_GROSS)
    rules = Rules(capital=capital, costs=Costs(commission_bps=cost_bps))
    weights = long_short_weights(ranks, top=top, bottom=bottom, gross=gross)
    return result_of(panel, simulate(panel, weights, rules), rules)


def require_slots(top: int, bottom: int, symbols: int) -> None:
    """Refuse counts of names that cannot be held at once.

    :raises BacktestInputError: negative, both 0, or more than there are symbols
    """
    for name, count in (("top", top), ("bottom", bottom)):
        if isinstance(count, (bool, float, str)) or count < 0:
            raise BacktestInputError(name, count, "a whole number from 0")
    if not 1 <= top + bottom <= symbols:
        raise BacktestInputError("top + bottom", top + bottom, f"from 1 to {symbols}, the number of symbols")
