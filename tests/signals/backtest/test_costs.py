"""Each cost against its formula, on a book small enough to follow by hand."""

import math

import numpy as np
import polars as pl
import pytest

from signals.backtest import Costs, Rules
from signals.backtest.engine import simulate
from signals.backtest.panel import panel_of
from signals.backtest.result import BacktestResult, result_of
from signals.backtest.rules import Liquidity, liquidity_of
from signals.errors import BacktestInputError
from tests.signals.backtest.universes import walks, wide


def traded(
    prices: np.ndarray, weights: np.ndarray, rules: Rules, liquidity: Liquidity | None = None, fills=None
) -> BacktestResult:
    panel = panel_of(wide(prices))
    return result_of(panel, simulate(panel, weights, rules, fills=fills, liquidity=liquidity), rules)


def flat(days: int, names: int, price: float = 100.0) -> np.ndarray:
    return np.full((days, names), price)


def held(days: int, *weights: float) -> np.ndarray:
    """Return the weights on the first row and nothing to do afterwards."""
    rows = np.full((days, len(weights)), np.nan)
    rows[0] = weights
    return rows


def test_commission_and_half_spread_are_paid_once_on_the_notional():
    costs = Costs(commission_bps=1.0, half_spread_bps=4.0)
    result = traded(flat(3, 1), held(3, 1.0), Rules(capital=1000.0, costs=costs))
    assert result.days["commission"].to_list() == pytest.approx([0.0, 0.1, 0.0])
    assert result.days["spread"].to_list() == pytest.approx([0.0, 0.4, 0.0])
    assert result.final_equity == pytest.approx(999.5)
    assert result.orders["cost"].to_list() == pytest.approx([0.5])


def test_impact_is_y_sigma_root_of_the_share_of_the_volume():
    liquidity = Liquidity(volume=flat(3, 1, 50_000.0), volatility=flat(3, 1, 0.02))
    result = traded(flat(3, 1), held(3, 1.0), Rules(capital=500.0, costs=Costs(impact=1.5)), liquidity)
    expected = 1.5 * 0.02 * math.sqrt(500.0 / 50_000.0) * 500.0
    assert result.days["impact"].to_list() == pytest.approx([0.0, expected, 0.0])
    assert result.orders["cost"][0] == pytest.approx(expected)


def test_impact_of_a_name_nothing_is_known_of_is_told_and_not_charged():
    liquidity = Liquidity(volume=flat(3, 1, np.nan), volatility=flat(3, 1, 0.02))
    result = traded(flat(3, 1), held(3, 1.0), Rules(capital=500.0, costs=Costs(impact=1.0)), liquidity)
    assert result.days["impact"].sum() == 0.0
    assert result.days["unpriced"].to_list() == pytest.approx([0.0, 500.0, 0.0])


def test_impact_without_liquidity_is_refused():
    with pytest.raises(BacktestInputError, match="liquidity"):
        traded(flat(3, 1), held(3, 1.0), Rules(costs=Costs(impact=1.0)))


def test_borrow_is_charged_by_calendar_day_on_what_is_short():
    prices = flat(4, 2)
    panel_dates = wide(prices).with_columns(  # over a weekend: Thursday, Friday, Monday, Tuesday
        date=pl.Series(["2010-01-07", "2010-01-08", "2010-01-11", "2010-01-12"]).str.to_date()
    )
    panel = panel_of(panel_dates)
    rules = Rules(capital=1000.0, costs=Costs(borrow_bps=360.0))
    days = result_of(panel, simulate(panel, held(4, 0.5, -0.5), rules), rules).days
    assert days["borrow"].to_list() == pytest.approx([0.0, 0.0, 500 * 0.036 * 3 / 360, 500 * 0.036 / 360])


def test_delay_trades_that_many_sessions_later_at_that_price():
    prices = np.array([[10.0], [11.0], [12.0], [13.0], [14.0]])
    for delay in (1, 2, 3):
        result = traded(prices, held(5, 1.0), Rules(capital=100.0, delay=delay))
        assert result.orders["price"].to_list() == [10.0 + delay]


def test_delay_of_nothing_does_not_exist():
    with pytest.raises(BacktestInputError, match="delay: got 0, allowed: a number from 1"):
        Rules(delay=0)


def test_part_of_the_capital_stays_in_cash():
    result = traded(flat(3, 2), held(3, 0.5, -0.5), Rules(capital=1000.0, invested=0.8))
    assert result.days["long_value"][-1] == pytest.approx(400.0)
    assert result.days["short_value"][-1] == pytest.approx(400.0)


def test_orders_within_a_share_of_the_volume_go_on_until_they_are_done():
    liquidity = Liquidity(volume=flat(6, 1, 1000.0), volatility=flat(6, 1, 0.02))
    result = traded(flat(6, 1), held(6, 1.0), Rules(capital=250.0, max_participation=0.1), liquidity)
    assert result.orders["quantity"].to_list() == pytest.approx([1.0, 1.0, 0.5])


def test_nothing_is_traded_of_a_name_whose_volume_nobody_knows():
    liquidity = Liquidity(volume=flat(4, 1, np.nan), volatility=flat(4, 1, 0.02))
    result = traded(flat(4, 1), held(4, 1.0), Rules(max_participation=0.1), liquidity)
    assert result.orders.is_empty()


def test_fills_at_the_open_are_sized_by_the_equity_at_the_open():
    closes, opens = np.array([[10.0], [12.0], [12.0]]), np.array([[10.0], [11.0], [12.0]])
    result = traded(closes, held(3, 1.0), Rules(capital=110.0), fills=opens)
    assert result.orders.select("quantity", "price").row(0) == pytest.approx((10.0, 11.0))
    assert result.days["equity"].to_list() == pytest.approx([110.0, 120.0, 120.0])


def test_a_name_that_is_gone_is_settled_at_its_last_price_with_the_loss():
    prices = np.array([[10.0], [10.0], [8.0], [np.nan], [np.nan], [np.nan], [np.nan]])
    rules = Rules(capital=100.0, settle_after=2, delisting_return=-0.3)
    result = traded(prices, held(7, 1.0), rules)
    assert result.days["equity"].to_list() == pytest.approx([100.0, 100.0, 80.0, 80.0, 56.0, 56.0, 56.0])
    assert result.orders.row(-1)[2:] == pytest.approx((-10.0, 5.6, 0.0))
    assert result.days["traded"][4] == 0.0


def test_without_settlement_the_last_price_stands_for_ever():
    prices = np.array([[10.0], [10.0], [8.0], [np.nan], [np.nan]])
    assert traded(prices, held(5, 1.0), Rules(capital=100.0)).final_equity == pytest.approx(80.0)


def test_liquidity_looks_at_the_sessions_before_alone():
    closes = walks(30, 3)
    turnover = np.random.default_rng(2).uniform(1e6, 2e6, (30, 3))
    found = liquidity_of(closes, turnover, sessions=5)
    assert np.isnan(found.volume[:2]).all()
    np.testing.assert_allclose(found.volume[10], turnover[5:10].mean(axis=0))
    returns = closes[1:] / closes[:-1] - 1
    np.testing.assert_allclose(found.volatility[10], returns[4:9].std(axis=0, ddof=1))


def test_liquidity_skips_what_is_missing():
    turnover = np.array([[1.0], [np.nan], [3.0], [5.0], [9.0]])
    found = liquidity_of(np.array([[1.0], [1.1], [1.2], [1.1], [1.0]]), turnover, sessions=3)
    assert found.volume[3, 0] == pytest.approx(2.0)
    assert found.volume[4, 0] == pytest.approx(4.0)


@pytest.mark.parametrize("wrong", [{"commission_bps": -1}, {"impact": 101}, {"borrow_bps": float("nan")}])
def test_costs_out_of_range_are_refused(wrong):
    with pytest.raises(BacktestInputError, match=next(iter(wrong))):
        Costs(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"capital": 0}, {"invested": 0}, {"max_participation": 1.5}, {"settle_after": 0}, {"delisting_return": -2}],
)
def test_rules_out_of_range_are_refused(wrong):
    with pytest.raises(BacktestInputError, match=next(iter(wrong))):
        Rules(**wrong)


def test_days_add_up_to_the_last_cent():
    generator = np.random.default_rng(5)
    prices, weights = walks(60, 6), generator.normal(size=(60, 6)) * 0.2
    liquidity = liquidity_of(prices, prices * 1e4)
    costs = Costs(commission_bps=1, half_spread_bps=3, impact=1.0, borrow_bps=80)
    result = traded(prices, weights, Rules(capital=1e5, costs=costs), liquidity)
    days = result.days
    value = days["cash"] + days["long_value"] - days["short_value"]
    np.testing.assert_allclose(days["equity"].to_numpy(), value.to_numpy(), rtol=1e-12)
    by_order = result.orders["cost"].sum()
    assert by_order == pytest.approx(sum(days[kind].sum() for kind in ("commission", "spread", "impact")))
    spent = (result.orders["quantity"] * result.orders["price"]).sum()
    assert days["cash"][-1] == pytest.approx(1e5 - spent - by_order - days["borrow"].sum())
