from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.adjustment import ACTION_SCHEMA, adjust

FIRST = date(2012, 6, 1)


def bars(closes: list[float], symbol: str = "X") -> pl.DataFrame:
    prices = {name: [float(close) for close in closes] for name in ("open", "high", "low", "close")}
    days = [FIRST + timedelta(days=day) for day in range(len(closes))]
    return pl.DataFrame({"symbol": [symbol] * len(closes), "date": days, **prices, "volume": [100.0] * len(closes)})


def actions(*rows: tuple[str, int, float], symbol: str = "X") -> pl.DataFrame:
    filled = [
        (
            symbol,
            kind,
            FIRST + timedelta(days=day),
            value if kind == "split" else None,
            None if kind == "split" else value,
        )
        for kind, day, value in rows
    ]
    return pl.DataFrame(filled, schema=ACTION_SCHEMA, orient="row")


def test_raw_bars_stay_as_they_are() -> None:
    assert adjust(bars([10, 5]), actions(("split", 1, 2.0)), mode="raw", as_of=None).equals(bars([10, 5]))


def test_a_split_divides_earlier_prices_and_multiplies_earlier_volume() -> None:
    adjusted = adjust(bars([10, 5, 6]), actions(("split", 1, 2.0)), mode="split", as_of=None)
    assert adjusted["close"].to_list() == [5, 5, 6]
    assert adjusted["high"].to_list() == [5, 5, 6]
    assert adjusted["volume"].to_list() == [200, 100, 100]


def test_a_dividend_counts_in_total_return_only() -> None:
    paid = actions(("dividend", 1, 1.0))
    assert adjust(bars([10, 9]), paid, mode="split", as_of=None)["close"].to_list() == [10, 9]
    adjusted = adjust(bars([10, 9]), paid, mode="total_return", as_of=None)
    assert adjusted["close"].to_list() == [pytest.approx(9), 9]
    assert adjusted["volume"].to_list() == [100, 100]


def test_nothing_is_known_before_its_ex_date() -> None:
    events = actions(("split", 1, 2.0), ("split", 3, 3.0))
    closes = [12.0, 6.0, 6.0, 2.0]
    assert adjust(bars(closes), events, mode="split", as_of=FIRST)["close"].to_list() == closes
    as_of_first_split = adjust(bars(closes), events, mode="split", as_of=FIRST + timedelta(days=1))
    assert as_of_first_split["close"].to_list() == [6, 6, 6, 2]
    assert adjust(bars(closes), events, mode="split", as_of=None)["close"].to_list() == [2, 2, 2, 2]


def test_a_split_and_a_dividend_of_one_day_are_taken_together() -> None:
    events = actions(("split", 1, 2.0), ("dividend", 1, 0.5))
    assert adjust(bars([10, 4.5]), events, mode="total_return", as_of=None)["close"].to_list() == [
        pytest.approx(4.5),
        4.5,
    ]


def test_an_action_before_the_first_bar_changes_nothing() -> None:
    events = actions(("split", 0, 2.0), ("dividend", -3, 0.5))
    assert adjust(bars([10, 11]), events, mode="total_return", as_of=None).equals(bars([10, 11]))


def test_an_action_of_tomorrow_that_is_known_adjusts_all_bars() -> None:
    assert adjust(bars([10, 10]), actions(("split", 2, 2.0)), mode="split", as_of=None)["close"].to_list() == [5, 5]


def test_symbols_do_not_touch_each_other() -> None:
    both = pl.concat([bars([10, 5]), bars([10, 5], "Y")])
    adjusted = adjust(both, actions(("split", 1, 2.0), symbol="Y"), mode="split", as_of=None)
    assert adjusted["close"].to_list() == [10, 5, 5, 5]


def test_other_columns_and_vwap() -> None:
    frame = bars([10, 5]).with_columns(vwap=pl.lit(10.0), note=pl.lit("kept"))
    adjusted = adjust(frame, actions(("split", 1, 2.0)), mode="split", as_of=None)
    assert adjusted["vwap"].to_list() == [5, 10]
    assert adjusted["note"].to_list() == ["kept", "kept"]


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="raw, split, total_return"):
        adjust(bars([1]), actions(), mode="both", as_of=None)


CLOSES = st.lists(st.floats(1, 1000), min_size=2, max_size=20)


@given(CLOSES, st.integers(1, 19), st.sampled_from([0.5, 1.5, 2.0, 3.0]))
def test_a_split_keeps_what_was_traded_in_money(closes: list[float], day: int, ratio: float) -> None:
    adjusted = adjust(bars(closes), actions(("split", day, ratio)), mode="split", as_of=None)
    for raw, close, volume in zip(closes, adjusted["close"], adjusted["volume"], strict=True):
        assert close * volume == pytest.approx(raw * 100)


@given(CLOSES, st.integers(1, 19), st.floats(0.01, 0.5))
def test_total_return_on_the_ex_date_is_that_of_the_holder(closes: list[float], day: int, cash: float) -> None:
    day = min(day, len(closes) - 1)
    adjusted = adjust(bars(closes), actions(("dividend", day, cash)), mode="total_return", as_of=None)["close"]
    assert adjusted[day] / adjusted[day - 1] == pytest.approx(closes[day] / (closes[day - 1] - cash))
