"""Bars that are refused, and what the error says."""

import math
from collections.abc import Callable
from datetime import date

import polars as pl
import pytest

from signals.features import UnusableBars, alpha158, alpha158_by_groups, alpha158_newest
from tests.signals.features.universe import symbols

DAY = date(2010, 1, 6)


def put(name: str, value: float) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Return a change of one value: of X001, on the third day."""
    there = (pl.col("symbol") == "X001") & (pl.col("date") == DAY)
    return lambda bars: bars.with_columns(pl.when(there).then(value).otherwise(pl.col(name)).alias(name))


REFUSED = {
    "a column is missing": (lambda bars: bars.drop("high"), "column 'high' is missing: needed are symbol, date, open"),
    "no symbol": (lambda bars: bars.drop("symbol"), "column 'symbol' is missing"),
    "single precision": (
        lambda bars: bars.cast({"close": pl.Float32}), "column 'close' is Float32: allowed are Float64 and whole"
    ),
    "text": (lambda bars: bars.cast({"volume": pl.String}), "column 'volume' is String: allowed"),
    "decimal vwap": (lambda bars: bars.with_columns(vwap=pl.lit(1).cast(pl.Decimal(10, 2))), "'vwap' is Decimal"),
    "a number for a date": (lambda bars: bars.with_columns(date=pl.lit(3)), "column 'date' is Int32: allowed are Date"),
    "a number for a symbol": (lambda bars: bars.with_columns(symbol=pl.lit(3)), "'symbol' is Int32: allowed are"),
    "null date": (
        lambda bars: bars.with_columns(date=pl.when(pl.col("date") != DAY).then("date")),
        "column 'date' is null in row 2",
    ),
    "null symbol": (lambda bars: bars.with_columns(symbol=pl.lit(None, pl.String)), "column 'symbol' is null in row 0"),
    "days backwards": (
        lambda bars: bars.sort("symbol", "date", descending=[False, True]),
        "symbol 'X000' has 2010-01-07 after 2010-01-08: rows must be sorted by symbol and date",
    ),
    "a day twice": (
        lambda bars: pl.concat([bars, bars.tail(1)]), "symbol 'X001' has two rows of 2010-01-08: one row a symbol",
    ),
    "sorted by date": (lambda bars: bars.sort("date", "symbol"), "symbol 'X000' stands in two places"),
    "infinite": (put("low", math.inf), "column 'low' of 'X001' on 2010-01-06 is inf: allowed are numbers and NaN"),
    "infinite volume": (put("volume", -math.inf), "column 'volume' of 'X001' on 2010-01-06 is -inf"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_unusable_bars_are_refused_by_column_symbol_and_date(name: str) -> None:
    change, text = REFUSED[name]
    bars = change(symbols(2, 5))
    for compute in (alpha158, alpha158_newest, alpha158_by_groups):
        with pytest.raises(UnusableBars) as caught:
            compute(bars)
        assert text in str(caught.value)


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Enum(["X000", "X001"])])
def test_symbols_may_be_categories_and_dates_may_be_instants(kind: pl.DataType) -> None:
    bars = symbols(2, 70)
    found = alpha158(bars.cast({"symbol": kind, "date": pl.Datetime("us")}))
    assert found.drop("symbol", "date").equals(alpha158(bars).drop("symbol", "date"), null_equal=True)
