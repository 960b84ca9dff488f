from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signals.backtest import long_short
from signals.backtest.ranking import long_short_weights
from signals.errors import BacktestInputError
from tests.signals.backtest.universes import days_of, noise, oracle, walks, wide


def test_every_equity_equals_the_plain_loop():
    prices, scores = walks(250, 40), noise(250, 40)
    result = long_short(wide(prices), wide(scores), top=8, bottom=5)
    expected, orders = oracle(prices, scores, top=8, bottom=5)
    np.testing.assert_allclose(result.equity["equity"].to_numpy(), expected, rtol=1e-9)
    assert result.final_equity == pytest.approx(expected[-1], rel=1e-9)
    assert result.orders.height == len(orders)


def test_each_order_equals_the_plain_loops():
    prices, scores = walks(30, 12), noise(30, 12)
    result = long_short(wide(prices), wide(scores), top=3, bottom=3, cost_bps=25.0)
    _, orders = oracle(prices, scores, top=3, bottom=3, cost_bps=25.0)
    days = days_of(30)
    found = result.orders.rows()
    for (day, name, quantity, price, cost), row in zip(orders, found, strict=True):
        assert row[:2] == (days[day], f"S{name:03d}")
        assert row[2:] == pytest.approx((quantity, price, cost), rel=1e-9)


def test_schema_is_the_published_one():
    result = long_short(wide(walks(5, 4)), wide(noise(5, 4)), top=1, bottom=1)
    assert result.equity.schema == {"date": pl.Date, "equity": pl.Float64}
    assert result.orders.schema == {
        "date": pl.Date, "symbol": pl.String, "quantity": pl.Float64, "price": pl.Float64, "cost": pl.Float64
    }  # fmt: skip
    assert result.equity.height == 5


def test_nothing_is_traded_on_the_first_day():
    result = long_short(wide(walks(6, 4)), wide(noise(6, 4)), top=1, bottom=1)
    assert result.equity["equity"][0] == 1e7
    assert result.orders["date"].min() == days_of(2)[1]


def test_one_day_leaves_the_capital():
    result = long_short(wide(walks(1, 4)), wide(noise(1, 4)), top=1, bottom=1, capital=500.0)
    assert (result.final_equity, result.orders.height) == (500.0, 0)


@settings(max_examples=60)
@given(data=st.data())
def test_gaps_ties_and_few_names_equal_the_plain_loop(data):
    days, names = data.draw(st.integers(1, 12)), data.draw(st.integers(4, 7))
    top, bottom = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2))
    seed = data.draw(st.integers(0, 10_000))
    generator = np.random.default_rng(seed)
    prices, scores = walks(days, names, seed), generator.integers(0, 3, (days, names)).astype(float)
    prices[generator.random((days, names)) < 0.2] = np.nan
    scores[generator.random((days, names)) < 0.1] = np.nan
    counts = (~np.isnan(scores)).sum(axis=1)
    scores[(counts > 0) & (counts < top + bottom)] = np.nan  # sharing out few names is another test's
    result = long_short(wide(prices), wide(scores), top=top, bottom=bottom)
    expected, orders = oracle(prices, scores, top=top, bottom=bottom)
    np.testing.assert_allclose(result.equity["equity"].to_numpy(), expected, rtol=1e-9)
    significant = [order for order in orders if abs(order[2]) > 1e-6]
    assert result.orders.filter(pl.col("quantity").abs() > 1e-6).height == len(significant)


def test_equal_scores_go_by_the_alphabet_whatever_the_order_of_columns():
    prices, scores = walks(4, 5), np.ones((4, 5))
    symbols = ["D", "B", "E", "A", "C"]
    shuffled = long_short(wide(prices, symbols), wide(scores, symbols), top=2, bottom=1)
    assert shuffled.orders.filter(pl.col("quantity") > 0)["symbol"][:2].to_list() == ["A", "B"]
    assert shuffled.orders.filter(pl.col("quantity") < 0)["symbol"][0] == "C"


def test_few_names_share_the_slots_and_none_is_on_both_sides():
    scores = np.array([[3.0, np.nan, 1.0, 2.0, np.nan, np.nan], [np.nan, 5.0, *[np.nan] * 4], [np.nan] * 6])
    weights = long_short_weights(scores, top=3, bottom=3, gross=0.6)
    np.testing.assert_allclose(weights[0], [0.2, 0.0, -0.2, 0.2, 0.0, 0.0])
    np.testing.assert_allclose(weights[1], [0.0, 0.2, 0.0, 0.0, 0.0, 0.0])
    assert np.isnan(weights[2]).all()


def test_a_halted_name_keeps_its_shares_and_its_last_price():
    prices = np.array([[10.0, 20.0], [10.0, 20.0], [np.nan, 21.0], [12.0, 22.0]])
    scores = np.array([[2.0, 1.0], [1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    result = long_short(wide(prices), wide(scores), top=1, bottom=0, cost_bps=0.0, capital=1000.0)
    assert result.orders.filter((pl.col("symbol") == "S000") & (pl.col("date") == days_of(3)[2])).is_empty()
    assert result.days["cash"][2] == pytest.approx(0.0)  # the wish for S001 was traded on borrowed cash
    assert result.final_equity == pytest.approx(
        oracle(prices, scores, top=1, bottom=0, cost_bps=0.0, capital=1e3)[0][-1]
    )


def test_a_day_without_scores_changes_nothing():
    prices, scores = walks(6, 4), noise(6, 4)
    scores[2] = np.nan
    result = long_short(wide(prices), wide(scores), top=1, bottom=1)
    assert result.orders.filter(pl.col("date") == days_of(6)[3]).is_empty()


def test_names_without_scores_in_the_frame_are_never_held():
    prices, scores = walks(6, 4), noise(6, 3)
    result = long_short(wide(prices), wide(scores), top=1, bottom=1)
    assert "S003" not in result.orders["symbol"].to_list()


@pytest.mark.parametrize(
    ("top", "bottom", "word"),
    [(0, 0, "top"), (-1, 1, "top"), (1, -1, "bottom"), (3, 2, "top + bottom"), (1.5, 1, "top"), (True, 1, "top")],
)
def test_counts_that_cannot_be_held_are_refused(top, bottom, word):
    with pytest.raises(BacktestInputError, match=word.replace("+", r"\+")):
        long_short(wide(walks(5, 4)), wide(noise(5, 4)), top=top, bottom=bottom)


@pytest.mark.parametrize(
    "wrong",
    [
        {"gross": 0.0},
        {"gross": float("nan")},
        {"cost_bps": -1.0},
        {"cost_bps": 1e5},
        {"capital": 0.0},
        {"capital": -1.0},
    ],
)
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(BacktestInputError, match="allowed: a number from"):
        long_short(wide(walks(5, 4)), wide(noise(5, 4)), top=1, bottom=1, **wrong)


@pytest.mark.parametrize("price", [0.0, -3.0, float("inf")])
def test_a_price_that_is_none_is_refused_with_its_place(price):
    prices = walks(5, 4)
    prices[3, 2] = price
    with pytest.raises(BacktestInputError, match=r"prices.S002 on 2010-01-07: got .*, allowed: prices above 0"):
        long_short(wide(prices), wide(noise(5, 4)), top=1, bottom=1)


def test_infinite_scores_are_refused():
    scores = noise(5, 4)
    scores[1, 1] = -np.inf
    with pytest.raises(BacktestInputError, match=r"scores\.S001 on 2010-01-05"):
        long_short(wide(walks(5, 4)), wide(scores), top=1, bottom=1)


def test_dates_must_ascend_be_dates_and_be_the_same():
    prices, scores = wide(walks(5, 4)), wide(noise(5, 4))
    twice = pl.concat([prices.head(3), prices.slice(2)])
    cases = [
        (prices.reverse(), scores, "dates that ascend"),
        (twice, scores, "dates that ascend"),
        (prices, scores.head(4), "4 dates"),
        (prices, scores.with_columns(date=pl.col("date") + pl.duration(days=1)), "2010-01-05"),
        (prices.with_columns(date=pl.lit(datetime(2010, 1, 1))), scores, "polars.Date"),  # noqa: DTZ001
        (prices.drop("date"), scores, "a column named date"),
        (prices.clear(), scores.clear(), "at least one row"),
        (prices, scores.rename({"S000": "X"}), "only symbols that have prices"),
        (prices.with_columns(S000=pl.lit("ten")), scores, "numbers"),
    ]
    for given_prices, given_scores, word in cases:
        with pytest.raises(ValueError, match=word):
            long_short(given_prices, given_scores, top=1, bottom=1)


def test_a_book_that_lost_everything_closes_and_trades_no_more():
    prices = np.array([[10.0, 10.0], [10.0, 10.0], [10.0, 90.0], [10.0, 90.0], [10.0, 20.0], [10.0, 20.0]])
    scores = np.tile([2.0, 1.0], (6, 1))
    result = long_short(wide(prices), wide(scores), top=1, bottom=1, gross=1.0, cost_bps=0.0, capital=100.0)
    assert result.final_equity < 0
    assert result.orders.filter(pl.col("date") > days_of(3)[2]).is_empty()
