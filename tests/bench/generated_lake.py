"""A lake of made-up daily bars: 500 symbols over ten years."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from django.test.utils import override_settings

from marketdata.calendar import latest_sessions
from marketdata.lake import default_lake

LAST = date(2025, 12, 31)
SYMBOLS, SESSIONS = 500, 2_520


def names(count: int = SYMBOLS) -> list[str]:
    """Return the symbols."""
    return [f"Z{number:04d}" for number in range(count)]


@contextmanager
def lake(symbols: int = SYMBOLS, sessions: int = SESSIONS) -> Iterator[None]:
    """Use such a lake instead of the installation's."""
    with (
        TemporaryDirectory(prefix="portcullis-bench-lake-") as folder,
        override_settings(LAKE_DIR=Path(folder) / "lake", VAR_DIR=Path(folder)),
    ):
        default_lake().write(_bars(symbols, sessions), "1d", "bench")
        yield


def _bars(symbols: int, sessions: int) -> pl.DataFrame:
    days = latest_sessions(LAST, sessions)
    chance = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(chance.normal(0.0002, 0.02, (symbols, sessions)), axis=1))
    opening = close * (1 + chance.normal(0, 0.005, close.shape))
    high, low = np.maximum(opening, close) * 1.005, np.minimum(opening, close) * 0.995
    prices = {"open": opening, "high": high, "low": low, "close": close}
    return pl.DataFrame(
        {
            "symbol": np.repeat(names(symbols), sessions),
            "date": pl.Series(days * symbols, dtype=pl.Date),
            **{name: values.round(2).ravel() for name, values in prices.items()},
            "volume": chance.integers(100_000, 9_000_000, close.size).astype(np.float64),
        }
    )
