"""Checks of the bars that features are computed from."""

import polars as pl

from signals.features.errors import UnusableBars

KEYS = ("symbol", "date")
PRICES = ("open", "high", "low", "close")
NEEDED = (*PRICES, "volume")
VALUES = (*NEEDED, "vwap")
_TEXTS = (pl.String, pl.Categorical, pl.Enum)
_DAYS = (pl.Date, pl.Datetime)


def usable_bars(bars: pl.DataFrame) -> pl.DataFrame:
    """Return symbol, date and the six values as float64 without nulls: what is missing is NaN.

    Whole numbers are taken as they are; single precision is refused, because rounding makes and breaks ties. A missing
    vwap column is (high + low + close) / 3.
    :raises UnusableBars: a column is missing or of another type, rows are not sorted, a row is there twice, or a value
        is infinite
    """
    _check_columns(bars)
    _check_order(bars)
    values = {name: _value(bars[name]) for name in VALUES if name in bars.columns}
    if "vwap" not in values:
        # By numpy: Polars multiplies by the reciprocal of 3, but divides in a frame of one row.
        whole = values["high"] + values["low"] + values["close"]
        values["vwap"] = pl.Series("vwap", whole.to_numpy() / 3.0)
    # Of series, not by expressions: a column that repeats one value would be divided by in that other way, too.
    frame = pl.DataFrame([*(bars[name] for name in KEYS), *(values[name] for name in VALUES)])
    _check_finite(frame)
    return frame


def _value(column: pl.Series) -> pl.Series:
    known = column if column.dtype == pl.Float64 else column.cast(pl.Float64)
    return known.fill_null(float("nan")) if known.null_count() else known


def _check_columns(bars: pl.DataFrame) -> None:
    missing = [name for name in (*KEYS, *NEEDED) if name not in bars.columns]
    if missing:
        raise UnusableBars(
            f"column {missing[0]!r} is missing: needed are {', '.join((*KEYS, *NEEDED))}, and vwap where there is one;"
            f" found were {', '.join(bars.columns) or 'none'}"
        )
    for name, kind in bars.schema.items():
        if name == "symbol" and not isinstance(kind, _TEXTS):
            raise UnusableBars(f"column 'symbol' is {kind}: allowed are String, Categorical and Enum")
        if name == "date" and not isinstance(kind, _DAYS):
            raise UnusableBars(f"column 'date' is {kind}: allowed are Date and Datetime")
        if name in VALUES and kind != pl.Float64 and not kind.is_integer():
            raise UnusableBars(f"column {name!r} is {kind}: allowed are Float64 and whole numbers; cast it first")
    for name in KEYS:
        if bars[name].null_count():
            row = bars[name].is_null().arg_true()[0]
            raise UnusableBars(f"column {name!r} is null in row {row}: each row needs a symbol and a date")


def _check_order(bars: pl.DataFrame) -> None:
    """Each symbol's rows stand together, by date, one a date."""
    same = pl.col("symbol") == pl.col("symbol").shift()
    late = bars.select((same & (pl.col("date") <= pl.col("date").shift())).fill_null(False)).to_series()
    if late.any():
        row = late.arg_true()[0]
        symbol, day, before = bars["symbol"][row], bars["date"][row], bars["date"][row - 1]
        if day == before:
            raise UnusableBars(f"symbol {symbol!r} has two rows of {day}: one row a symbol and date is allowed")
        raise UnusableBars(f"symbol {symbol!r} has {day} after {before}: rows must be sorted by symbol and date")
    runs = bars["symbol"].rle().struct.field("value")
    again = runs.is_first_distinct()
    if not again.all():
        symbol = runs.filter(~again)[0]
        raise UnusableBars(f"symbol {symbol!r} stands in two places: rows must be sorted by symbol and date")


def _check_finite(frame: pl.DataFrame) -> None:
    infinite = frame.select(pl.col(name).is_infinite().any() for name in VALUES).row(0)
    for name, found in zip(VALUES, infinite, strict=True):
        if found:
            symbol, day, value = frame.filter(pl.col(name).is_infinite()).select(*KEYS, name).row(0)
            raise UnusableBars(f"column {name!r} of {symbol!r} on {day} is {value}: allowed are numbers and NaN")
