"""The label is the return from t + 1 to t + 2, by sessions, against the others of the day."""

from datetime import date

import polars as pl
import pytest

from signals.labels import forward_returns, next_session_return, normalised_by_day

DAYS = [date(2012, 1, day) for day in (3, 4, 5, 6, 9)]


def bars(closes: list[float | None], symbol: str = "AAA", days: list[date] = DAYS) -> pl.DataFrame:
    return pl.DataFrame({"symbol": [symbol] * len(closes), "date": days[: len(closes)], "close": closes})


def test_label_is_the_return_of_the_session_after_the_next():
    label = next_session_return(bars([10.0, 20.0, 30.0, 60.0, 30.0]))["label"].to_list()
    assert label == [pytest.approx(0.5), pytest.approx(1.0), pytest.approx(-0.5), None, None]


def test_a_missing_bar_is_not_skipped():
    held = bars([10.0, 20.0, 30.0, 60.0, 30.0]).filter(pl.col("date") != DAYS[2])
    other = bars([1.0] * 5, "BBB")
    label = next_session_return(pl.concat([held, other])).filter(pl.col("symbol") == "AAA")["label"].to_list()
    assert label == [None, None, None, None]


def test_a_session_that_nobody_has_a_bar_of_is_no_reason_to_skip_it():
    held = bars([10.0, 20.0, 30.0, 60.0, 30.0]).filter(pl.col("date") != DAYS[2])
    assert next_session_return(held)["label"].drop_nulls().is_empty()


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf"), None])
def test_what_is_no_price_makes_no_label(price):
    label = next_session_return(bars([10.0, price, 30.0, 60.0, 30.0]))["label"].to_list()
    assert label[0] is None


def test_symbols_do_not_run_into_each_other():
    both = pl.concat([bars([10.0, 20.0, 30.0], "AAA"), bars([1.0, 2.0, 8.0], "BBB")])
    assert next_session_return(both)["label"].to_list() == [
        pytest.approx(0.5), None, None, pytest.approx(3.0), None, None,
    ]  # fmt: skip


def test_longer_returns_begin_at_the_next_close():
    told = forward_returns(bars([10.0, 20.0, 30.0, 60.0, 30.0]), horizons=(1, 2, 3))
    assert told.row(0) == ("AAA", DAYS[0], pytest.approx(0.5), pytest.approx(2.0), pytest.approx(0.5))


def test_target_is_the_z_score_of_the_day():
    day = pl.DataFrame({"date": [DAYS[0]] * 4, "symbol": list("ABCD"), "label": [1.0, 2.0, 3.0, None]})
    assert normalised_by_day(day)["target"].to_list() == [-1.0, 0.0, 1.0, None]


@pytest.mark.parametrize("labels", [[0.5], [0.5, None], [0.5, 0.5], [0.5, float("nan")]])
def test_a_day_that_compares_nothing_has_no_target(labels):
    day = pl.DataFrame({"date": [DAYS[0]] * len(labels), "symbol": list("AB")[: len(labels)], "label": labels})
    assert normalised_by_day(day)["target"].drop_nulls().is_empty()


def test_one_day_does_not_move_another():
    one = pl.DataFrame({"date": [DAYS[0]] * 2, "symbol": ["A", "B"], "label": [1.0, 2.0]})
    other = pl.DataFrame({"date": [DAYS[1]] * 2, "symbol": ["A", "B"], "label": [100.0, -7.0]})
    together = normalised_by_day(pl.concat([one, other]))
    assert together.filter(pl.col("date") == DAYS[0]).equals(normalised_by_day(one))


def test_no_bars_make_no_labels():
    assert next_session_return(bars([])).is_empty()
