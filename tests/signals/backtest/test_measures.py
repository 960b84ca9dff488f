from datetime import date

import numpy as np
import polars as pl
import pytest

from signals.backtest import long_short
from signals.backtest.bootstrap import bootstrap
from signals.backtest.measures import daily_returns, drawdowns, measure_path, measures, monthly_returns
from signals.errors import BacktestInputError
from tests.signals.backtest.universes import noise, walks, wide


def test_figures_of_a_path_by_hand():
    path = measure_path(np.array([110.0, 99.0, 99.0, 121.0]), 100.0)
    assert path.total_return == pytest.approx(0.21)
    assert path.max_drawdown == pytest.approx(0.1)
    assert path.longest_drawdown == 2
    assert (path.best_day, path.worst_day) == pytest.approx((121 / 99 - 1, -0.1))
    assert path.days_up == 0.5
    returns = np.array([0.1, -0.1, 0.0, 121 / 99 - 1])
    assert path.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1) * np.sqrt(252))
    assert path.sortino == pytest.approx(returns.mean() / np.sqrt(0.01 / 4) * np.sqrt(252))
    assert path.annual_return == pytest.approx(1.21 ** (252 / 4) - 1)


def test_a_path_that_never_moves_has_no_ratio():
    path = measure_path(np.full(5, 100.0), 100.0)
    assert (path.sharpe, path.sortino, path.calmar, path.max_drawdown) == (None, None, None, 0.0)


def test_a_path_below_nothing_is_measured_without_an_error():
    path = measure_path(np.array([50.0, -10.0, -10.0]), 100.0)
    assert path.total_return == pytest.approx(-1.1)
    assert path.annual_return is None
    assert path.max_drawdown == pytest.approx(1.1)


def test_drawdown_counts_from_the_capital():
    np.testing.assert_allclose(drawdowns(np.array([90.0, 120.0, 60.0]), 100.0), [0.1, 0.0, 0.5])


def test_months_multiply_to_the_whole():
    days = pl.DataFrame(
        {"date": [date(2012, 1, 30), date(2012, 1, 31), date(2012, 2, 1), date(2012, 4, 2)],
         "equity": [101.0, 102.0, 99.0, 110.0]}
    )  # fmt: skip
    months = monthly_returns(days, 100.0)
    assert months.select("year", "month").rows() == [(2012, 1), (2012, 2), (2012, 4)]
    assert np.prod(1 + months["return"].to_numpy()) == pytest.approx(1.1)


def test_measures_know_turnover_exposure_costs_and_beta():
    prices = walks(200, 6)
    result = long_short(wide(prices), wide(noise(200, 6)), top=2, bottom=2, gross=0.5)
    equity = result.equity["equity"].to_numpy()
    found = measures(result, equity)
    assert found["gross_exposure"] == pytest.approx(1.0 * 199 / 200, rel=0.02)
    assert abs(found["net_exposure"]) < 0.05
    assert found["cost_total"] == pytest.approx(result.orders["cost"].sum())
    assert (found["beta"], found["correlation"]) == pytest.approx((1.0, 1.0))
    assert found["benchmark_return"] == pytest.approx(found["total_return"])
    assert found["orders"] == result.orders.height


def test_bootstrap_is_the_same_for_the_same_seed_and_another_for_another():
    returns = np.random.default_rng(1).normal(0.0005, 0.01, 300)
    first, again, other = (bootstrap(returns, capital=1e6, draws=200, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first.sharpe.quantiles != other.sharpe.quantiles


def test_bootstrap_error_of_the_sharpe_ratio_is_near_its_formula():
    """Lo 2002: without autocorrelation the annual ratio's error is about √(252/n) for small daily ratios."""
    returns = np.random.default_rng(2).normal(0.0004, 0.01, 1000)
    found = bootstrap(returns, capital=1.0, draws=1500, seed=1, block=1.0)
    assert found.sharpe.error == pytest.approx(np.sqrt(252 / 1000), rel=0.1)
    assert found.sharpe.quantiles[0.025] < found.sharpe.observed < found.sharpe.quantiles[0.975]


def test_blocks_keep_what_single_draws_destroy():
    swings = np.repeat(np.tile([0.01, -0.01], 20), 10)
    long = bootstrap(swings, capital=1.0, draws=400, seed=1, block=50.0)
    short = bootstrap(swings, capital=1.0, draws=400, seed=1, block=1.0)
    assert long.sharpe.error < short.sharpe.error


def test_fixed_blocks_draw_runs_of_the_history():
    returns = np.arange(1, 31) / 1e4
    found = bootstrap(returns, capital=1.0, draws=50, seed=1, block=30, method="fixed")
    assert found.final_equity.error == pytest.approx(0.0, abs=1e-12)  # any rotation of the ring earns the same


def test_observed_figures_are_those_of_the_path():
    returns = np.random.default_rng(9).normal(0.001, 0.02, 60)
    equity = 1000.0 * np.cumprod(1 + returns)
    found, path = bootstrap(returns, capital=1000.0, draws=10), measure_path(equity, 1000.0)
    assert found.sharpe.observed == pytest.approx(path.sharpe)
    assert found.max_drawdown.observed == pytest.approx(path.max_drawdown)
    assert found.final_equity.observed == pytest.approx(equity[-1])
    np.testing.assert_allclose(daily_returns(equity, 1000.0), returns)


def test_too_little_to_draw_from_is_refused():
    with pytest.raises(BacktestInputError, match="at least 20"):
        bootstrap(np.zeros(19), capital=1.0)
