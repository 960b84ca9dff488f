"""Bars from CSV and Parquet files, with errors that name file, line, column, value, and what is allowed."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import polars as pl

from marketdata.errors import FileFormatError
from marketdata.lake import KEY_COLUMN, bar_schema
from marketdata.types import Timeframe

ALIASES = {
    "ticker": "symbol",
    "timestamp": "at",
    "time": "at",
    "datetime": "at",
    "adj close": "adj_close",
    "adjusted_close": "adj_close",
    "adjclose": "adj_close",
    "vol": "volume",
}
SUFFIXES = (".csv", ".csv.gz", ".parquet")


class FileProvider:
    """Reads one file. Column names are matched without regard to case; columns that are not bars' are ignored."""

    def __init__(self, path: Path, timeframe: str = Timeframe.DAY) -> None:
        self.path = path
        self.name = path.name
        self._timeframe = Timeframe(timeframe)

    def bars(
        self, symbols: Sequence[str] | None = None, start: date | None = None, end: date | None = None
    ) -> pl.DataFrame:
        """Return the file's bars sorted by symbol and time; an empty value becomes a null for the quality gate to see.

        :raises FileFormatError: not readable, a column is missing, or a value is not of its column's kind
        """
        frame = self._typed(self._named(self._read()))
        day = pl.col(KEY_COLUMN[self._timeframe]).cast(pl.Date)
        if symbols is not None:
            frame = frame.filter(pl.col("symbol").is_in(list(symbols)))
        if start is not None:
            frame = frame.filter(day >= start)
        if end is not None:
            frame = frame.filter(day <= end)
        return frame.sort("symbol", KEY_COLUMN[self._timeframe], maintain_order=True)

    def _read(self) -> pl.DataFrame:
        if not self.path.name.lower().endswith(SUFFIXES):
            raise FileFormatError(f"{self.path}: a file ending in {', '.join(SUFFIXES)} is expected")
        try:
            if self.path.suffix.lower() == ".parquet":
                return pl.read_parquet(self.path, hive_partitioning=False)
            return pl.read_csv(self.path, infer_schema=False)
        except (OSError, pl.exceptions.PolarsError) as error:
            reason = str(error).splitlines()[0]
            raise FileFormatError(f"{self.path}: cannot be read: {reason}") from error

    def _named(self, frame: pl.DataFrame) -> pl.DataFrame:
        names = {name: ALIASES.get(name.strip().lower(), name.strip().lower()) for name in frame.columns}
        repeated = {name for name in names.values() if list(names.values()).count(name) > 1}
        if repeated:
            raise FileFormatError(f"{self.path}: column {', '.join(sorted(repeated))} is there twice")
        wanted = bar_schema(self._timeframe).names()
        missing = [name for name in wanted if name not in names.values()]
        if missing:
            raise FileFormatError(
                f"{self.path}: line 1: no column {', '.join(missing)}; {', '.join(frame.columns)} are there"
            )
        return frame.rename(names).select(name for name in [*wanted, "adj_close"] if name in names.values())

    def _typed(self, frame: pl.DataFrame) -> pl.DataFrame:
        schema = {**bar_schema(self._timeframe), "adj_close": pl.Float64()}
        key = KEY_COLUMN[self._timeframe]
        typed = frame.select(_parsed(name, frame.schema[name], schema[name]) for name in frame.columns)
        for name in frame.columns:
            bad = typed[name].is_null() & frame[name].is_not_null()
            if name in ("symbol", key):
                bad = typed[name].is_null()
            if bad.any():
                self._refuse(frame, name, int(bad.arg_true()[0]), schema[name])
        return typed

    def _refuse(self, frame: pl.DataFrame, name: str, row: int, kind: pl.DataType) -> None:
        value = frame[name][row]
        where = f"row {row + 1}" if self.path.suffix.lower() == ".parquet" else f"line {row + 2}"
        allowed = {
            pl.String(): "a symbol",
            pl.Date(): "a date like 2012-06-14",
            pl.Float64(): "a number",
        }.get(kind, "a time with an offset like 2012-06-14T13:30:00Z")
        shown = "nothing" if value is None else repr(value)
        raise FileFormatError(f"{self.path}: {where}: column {name}: {shown} is not allowed; {allowed} is")


def _parsed(name: str, have: pl.DataType, want: pl.DataType) -> pl.Expr:
    """Return the column in its kind, null where the value is not of that kind."""
    column = pl.col(name)
    if have == pl.String():
        column = column.str.strip_chars()
        column = pl.when(column != "").then(column)
        if isinstance(want, pl.Date):
            return column.str.to_date("%Y-%m-%d", strict=False).alias(name)
        if isinstance(want, pl.Datetime):
            return column.str.to_datetime(time_unit="us", time_zone="UTC", strict=False).alias(name)
    return column.cast(want, strict=False).alias(name)
