"""The built-in sample: public-domain daily bars of AAPL, FB, GOOG, IBM and MSFT, 2000 to 2013."""

from collections.abc import Sequence
from datetime import date
from importlib.resources import as_file, files

import polars as pl

from marketdata.errors import FileFormatError
from marketdata.lake import VALUE_COLUMNS

SAMPLE_NAMES = {
    "AAPL": ("Apple Inc.", "XNAS"),
    "FB": ("Facebook, Inc.", "XNAS"),
    "GOOG": ("Google Inc.", "XNAS"),
    "IBM": ("International Business Machines Corporation", "XNYS"),
    "MSFT": ("Microsoft Corporation", "XNAS"),
}
TECHNOLOGY, COMMUNICATION = "Information Technology", "Communication Services"
SAMPLE_SECTORS = {
    "AAPL": TECHNOLOGY,
    "FB": COMMUNICATION,
    "GOOG": COMMUNICATION,
    "IBM": TECHNOLOGY,
    "MSFT": TECHNOLOGY,
}
_COLUMNS = {
    "Ticker": "symbol",
    "Date": "date",
    **{name.title(): name for name in VALUE_COLUMNS},
    "Adj Close": "adj_close",
}


class SampleProvider:
    """Reads the sample from `bokeh_sampledata`; needs no network."""

    name = "sample"

    def bars(
        self, symbols: Sequence[str] | None = None, start: date | None = None, end: date | None = None
    ) -> pl.DataFrame:
        """Return raw daily bars with `adj_close`, sorted by symbol and date.

        :raises FileFormatError: the package is not installed or has another layout
        """
        frame = self._read()
        if symbols is not None:
            frame = frame.filter(pl.col("symbol").is_in(list(symbols)))
        if start is not None:
            frame = frame.filter(pl.col("date") >= start)
        if end is not None:
            frame = frame.filter(pl.col("date") <= end)
        return frame.sort("symbol", "date")

    def _read(self) -> pl.DataFrame:
        try:
            with as_file(files("bokeh_sampledata") / "_data" / "stocks.csv.gz") as path:
                raw = pl.read_csv(path, try_parse_dates=True)
        except (ModuleNotFoundError, FileNotFoundError) as error:
            raise FileFormatError(f"the sample data is not installed: {error}") from error
        missing = set(_COLUMNS) - set(raw.columns)
        if missing:
            raise FileFormatError(f"the sample data has no column {', '.join(sorted(missing))}")
        return raw.rename(_COLUMNS).select(_COLUMNS.values()).with_columns(pl.col("volume").cast(pl.Float64))
