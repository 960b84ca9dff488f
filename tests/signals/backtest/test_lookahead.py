"""Nothing after a session changes a decision or an equity up to it, whatever the future holds."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from signals.backtest import Costs, Rules, long_short
from signals.backtest.engine import simulate
from signals.backtest.panel import panel_of
from signals.backtest.ranking import long_short_weights
from signals.backtest.result import result_of
from signals.backtest.rules import liquidity_of
from tests.signals.backtest.universes import days_of, noise, walks, wide

DAYS, NAMES = 40, 8


def shuffled_after(values: np.ndarray, cut: int, generator: np.random.Generator) -> np.ndarray:
    """Return a copy whose rows after `cut` hold the same numbers in another order, over days and names."""
    changed = values.copy()
    future = changed[cut + 1 :].ravel()
    generator.shuffle(future)
    changed[cut + 1 :] = future.reshape(-1, values.shape[1])
    return changed


@settings(max_examples=80)
@given(seed=st.integers(0, 100_000), cut=st.integers(1, DAYS - 2), gaps=st.booleans())
def test_shuffling_the_future_changes_no_order_and_no_equity_before_it(seed, cut, gaps):
    generator = np.random.default_rng(seed)
    prices, scores = walks(DAYS, NAMES, seed), noise(DAYS, NAMES, seed)
    if gaps:
        prices[generator.random(prices.shape) < 0.1] = np.nan
        scores[generator.random(scores.shape) < 0.1] = np.nan
    first = long_short(wide(prices), wide(scores), top=2, bottom=2)
    again = long_short(
        wide(shuffled_after(prices, cut, generator)), wide(shuffled_after(scores, cut, generator)), top=2, bottom=2
    )
    _require_same_past(first, again, cut)


@settings(max_examples=40)
@given(seed=st.integers(0, 100_000), cut=st.integers(5, DAYS - 2), delay=st.integers(1, 3))
def test_every_cost_delay_and_limit_is_as_blind(seed, cut, delay):
    generator = np.random.default_rng(seed)
    closes, volumes = walks(DAYS, NAMES, seed), generator.uniform(1e3, 1e5, (DAYS, NAMES))
    closes[generator.random(closes.shape) < 0.1] = np.nan
    rows = [closes, closes * generator.uniform(0.98, 1.02, closes.shape), volumes, noise(DAYS, NAMES, seed)]
    _require_same_past(
        _everything(*rows, delay=delay),
        _everything(*[shuffled_after(each, cut, generator) for each in rows], delay=delay),
        cut,
    )


def test_the_test_would_see_a_look_ahead():
    prices, scores = walks(DAYS, NAMES), noise(DAYS, NAMES)
    peeking = np.vstack([scores[1:], scores[-1:]])
    generator = np.random.default_rng(1)
    changed = shuffled_after(scores, 20, generator)
    first = long_short(wide(prices), wide(peeking), top=2, bottom=2)
    again = long_short(wide(prices), wide(np.vstack([changed[1:], changed[-1:]])), top=2, bottom=2)
    past = pl.col("date") <= days_of(DAYS)[21]
    assert not first.orders.filter(past).equals(again.orders.filter(past))


def _everything(closes, opens, volumes, scores, *, delay):
    panel = panel_of(wide(closes))
    rules = Rules(
        capital=1e6,
        delay=delay,
        invested=0.9,
        max_participation=0.05,
        settle_after=3,
        delisting_return=-0.3,
        costs=Costs(commission_bps=1.0, half_spread_bps=2.0, impact=1.0, borrow_bps=50.0),
    )
    weights = long_short_weights(scores, top=2, bottom=2, gross=0.5)
    trace = simulate(panel, weights, rules, fills=opens, liquidity=liquidity_of(closes, closes * volumes))
    return result_of(panel, trace, rules)


def _require_same_past(first, again, cut):
    """Rows up to the cut; the orders of the session after it were decided before, but their sizes meet its prices."""
    past = pl.col("date") <= days_of(DAYS)[cut]
    assert first.days.filter(past).equals(again.days.filter(past), null_equal=True)
    assert first.orders.filter(past).equals(again.orders.filter(past))
