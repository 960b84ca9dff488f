"""Wide frames in, matrices out: everything that is wrong with the data is said here, before anything is traded."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from signals.errors import BacktestInputError

FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
IntArray: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Panel:
    """Prices by session and name: `prices` is `(n_days, n_symbols)`, NaN where a name had none; symbols sorted."""

    dates: list[date]
    symbols: list[str]
    prices: FloatArray

    def aligned(self, frame: pl.DataFrame, name: str) -> FloatArray:
        """Return another wide frame of the same dates as a matrix of the same shape; NaN for names it leaves out.

        :raises BacktestInputError: other dates, a name without prices, or a value that is infinite
        """
        _require_dates(frame, name)
        _require_same_dates(frame[DATE].to_list(), self.dates, name)
        unknown = sorted(set(frame.columns) - set(self.symbols) - {DATE})
        if unknown:
            raise BacktestInputError(name, _few(unknown), "only symbols that have prices")
        values = _matrix(frame, self.symbols, name)
        _refuse(np.isinf(values), values, self.dates, self.symbols, name, "finite numbers, or nothing")
        return values


DATE = "date"


def panel_of(prices: pl.DataFrame, name: str = "prices") -> Panel:
    """Read a wide frame of prices: `date` and a column a symbol; nulls and NaN mean no price that day.

    :raises BacktestInputError: dates that are unsorted, repeated or no dates; a price that is not above 0 or infinite
    """
    _require_dates(prices, name)
    symbols = sorted(set(prices.columns) - {DATE})
    if not symbols or prices.is_empty():
        raise BacktestInputError(name, f"{prices.height} rows of {len(symbols)} symbols", "at least one row and symbol")
    dates = prices[DATE].to_list()
    values = _matrix(prices, symbols, name)
    wrong = np.isinf(values) | (values <= 0.0)
    _refuse(wrong, values, dates, symbols, name, "prices above 0, or nothing where a name did not trade")
    return Panel(dates, symbols, values)


def carried_forward(values: FloatArray) -> FloatArray:
    """Fill each gap with the last value before it, as known then; 0 before the first one."""
    missing = np.isnan(values)
    if not missing.any():
        return values
    rows = np.where(missing, 0, np.arange(len(values))[:, None])
    np.maximum.accumulate(rows, axis=0, out=rows)
    return np.nan_to_num(np.take_along_axis(values, rows, axis=0))


def _require_dates(frame: pl.DataFrame, name: str) -> None:
    if DATE not in frame.columns:
        raise BacktestInputError(name, f"columns {_few(frame.columns)}", "a column named date")
    days = frame[DATE]
    if days.dtype != pl.Date:
        raise BacktestInputError(f"{name}.date", str(days.dtype), "dates (polars.Date)")
    if days.null_count():
        raise BacktestInputError(f"{name}.date", "null", "a date in each row")
    late = (days.diff().dt.total_days() <= 0).fill_null(value=False)
    if late.any():
        row = late.arg_max() or 0
        raise BacktestInputError(f"{name}.date", f"{days[row]} after {days[row - 1]}", "dates that ascend, each once")


def _require_same_dates(days: Sequence[date], expected: Sequence[date], name: str) -> None:
    if len(days) != len(expected):
        raise BacktestInputError(f"{name}.date", f"{len(days)} dates", f"the {len(expected)} dates of the prices")
    for found, wanted in zip(days, expected, strict=True):
        if found != wanted:
            raise BacktestInputError(f"{name}.date", found.isoformat(), f"{wanted}, as the prices have in that row")


def _matrix(frame: pl.DataFrame, symbols: Sequence[str], name: str) -> FloatArray:
    """Return the columns of these symbols, `(n_days, n_symbols)`, row by row in memory; NaN where there is none."""
    kinds = frame.schema
    for symbol in symbols:
        kind = kinds.get(symbol, pl.Null())
        if not kind.is_numeric() and kind != pl.Null:
            raise BacktestInputError(f"{name}.{symbol}", str(kind), "numbers")
    missing = pl.lit(None, dtype=pl.Float64)
    columns = [pl.col(symbol).cast(pl.Float64) if symbol in kinds else missing.alias(symbol) for symbol in symbols]
    return np.ascontiguousarray(frame.select(columns).to_numpy())


def _refuse(
    wrong: BoolArray, values: FloatArray, dates: Sequence[date], symbols: Sequence[str], name: str, allowed: str
) -> None:
    if wrong.any():
        row, column = divmod(int(np.argmax(wrong)), wrong.shape[1])
        field = f"{name}.{symbols[column]} on {dates[row]}"
        raise BacktestInputError(field, f"{values[row, column]}", allowed)


def _few(names: Sequence[str], most: int = 5) -> str:
    more = "" if len(names) <= most else f" and {len(names) - most} more"
    return ", ".join(names[:most]) + more
