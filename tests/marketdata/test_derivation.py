from datetime import date

import polars as pl
import pytest

from marketdata.adjustment import adjust
from marketdata.derivation import derive_actions
from marketdata.errors import UnexplainedJumpError


def events(sample: pl.DataFrame, symbol: str, kind: str) -> dict[date, float]:
    derived = derive_actions(sample).actions.filter(pl.col("symbol") == symbol, pl.col("kind") == kind)
    return dict(derived.select("ex_date", "ratio" if kind == "split" else "cash_amount").iter_rows())


def test_md2_every_adjusted_close_of_the_source_is_reproduced_to_1e_4(sample: pl.DataFrame) -> None:
    derived = derive_actions(sample)
    adjusted = adjust(sample, derived.actions, mode="total_return", as_of=None)
    later = adjusted["symbol"].replace_strict(derived.later_factors)
    error = (adjusted["close"] * later / adjusted["adj_close"] - 1).abs()
    assert error.len() == 12_154
    assert max(error.to_list()) < 1e-4


def test_the_splits_of_the_sample_are_found(sample: pl.DataFrame) -> None:
    assert events(sample, "AAPL", "split") == {date(2000, 6, 21): 2.0, date(2005, 2, 28): 2.0}
    assert events(sample, "MSFT", "split") == {date(2003, 2, 18): 2.0}
    assert derive_actions(sample).actions.filter(kind="split").height == 3


def test_the_dividends_of_the_sample_are_found(sample: pl.DataFrame) -> None:
    apple, microsoft = events(sample, "AAPL", "dividend"), events(sample, "MSFT", "dividend")
    assert list(apple) == [date(2012, 8, 9), date(2012, 11, 7), date(2013, 2, 7)]
    assert microsoft[date(2004, 11, 15)] == pytest.approx(3.03, abs=0.01)
    assert microsoft[date(2012, 8, 14)] == 0.2
    assert len(events(sample, "IBM", "dividend")) == 52
    assert not events(sample, "GOOG", "dividend")
    assert not events(sample, "FB", "dividend")


def test_what_happened_after_the_data_ends_is_a_constant_of_the_symbol(sample: pl.DataFrame) -> None:
    factors = derive_actions(sample).later_factors
    assert factors["AAPL"] == pytest.approx(0.1304, abs=1e-4)
    assert factors["GOOG"] == pytest.approx(0.5015, abs=1e-4)
    assert factors["FB"] == 1.0


def closes(*ratios: float) -> pl.DataFrame:
    days = [date(2012, 6, day) for day in range(1, len(ratios) + 1)]
    return pl.DataFrame({"symbol": "X", "date": days, "close": 100.0, "adj_close": [100 * ratio for ratio in ratios]})


@pytest.mark.parametrize("ratio", [2.0, 3.0, 1.5, 7.0, 0.1])
def test_a_split_becomes_a_simple_ratio(ratio: float) -> None:
    derived = derive_actions(closes(1 / ratio * (1 + 1e-7), 1.0)).actions
    assert derived["ratio"].to_list() == [pytest.approx(ratio, rel=1e-12)]


def test_a_jump_that_is_neither_split_nor_dividend_is_refused() -> None:
    with pytest.raises(UnexplainedJumpError, match="no simple split"):
        derive_actions(closes(1 / 2.237, 1.0))
    with pytest.raises(UnexplainedJumpError, match="above 1"):
        derive_actions(closes(1.05, 1.0))


def test_dividends_are_rounded_to_cents_where_nothing_is_lost() -> None:
    assert derive_actions(closes(0.99999 * 0.99501, 0.99999, 1.0)).actions["cash_amount"].to_list() == [0.5, 0.001]
