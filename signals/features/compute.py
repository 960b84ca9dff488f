"""Features of bars, by groups of symbols."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
from numpy.typing import NDArray

from signals.features.definitions import DAY, FEATURES, ROLLING
from signals.features.inputs import KEYS, VALUES, usable_bars
from signals.features.statistics import Bars, padded_length, statistics
from signals.features.windows import PADDING, WINDOWS

CHUNK_ROWS = 32_768
"""Rows worked on at once: their columns stay in the processor's cache."""


def alpha158(bars: pl.DataFrame) -> pl.DataFrame:
    """Return symbol, date and the 158 features, one row for each row of `bars`, float64, NaN where there is no value.

    `bars`: symbol, date, open, high, low, close, volume and optionally vwap, float64, sorted by symbol and date, in
    prices adjusted for splits and dividends. A window is of a symbol's own rows, up to and with the day.
    :raises UnusableBars: the bars are not of that form
    """
    frame = usable_bars(bars)
    if frame.is_empty():
        return frame.select(*KEYS, *(pl.lit(0.0).alias(name) for name in FEATURES)).clear()
    chunks = list(_chunks(frame))
    if len(chunks) == 1:
        return _features(chunks[0])
    with ThreadPoolExecutor(min(pl.thread_pool_size(), len(chunks))) as pool:
        return pl.concat(pool.map(_features, chunks), rechunk=False)


def _chunks(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut between symbols, about CHUNK_ROWS rows each; a longer symbol stays whole."""
    ends = frame["symbol"].rle().struct.field("len").cum_sum()
    start = end = 0
    for after in ends:
        if after - start > CHUNK_ROWS and end > start:
            yield frame.slice(start, end - start)
            start = end
        end = after
    yield frame.slice(start, end - start)


def _features(chunk: pl.DataFrame) -> pl.DataFrame:
    """Compute the features of whole symbols."""
    day = chunk.select(*KEYS, *(expression.alias(name) for name, expression in DAY.items()))
    rolling = _windows(chunk).select(expression.alias(name) for name, expression in ROLLING.items())
    height = chunk.height
    columns = [
        rolling[family].slice(place * height, height).alias(f"{family}{window}")
        for family in ROLLING
        for place, window in enumerate(WINDOWS)
    ]
    return day.hstack(columns)


def _windows(chunk: pl.DataFrame) -> pl.DataFrame:
    """Return the statistics of all rows for the first window, then for the second, and so on."""
    rows, length = _places(chunk)
    bars = Bars({name: chunk[name].to_numpy() for name in VALUES}, rows, length)
    height, count = chunk.height, len(WINDOWS)
    columns: dict[str, NDArray[np.float64]] = {
        "window": np.repeat(np.array(WINDOWS, dtype=np.float64), height),
        "close": np.tile(chunk["close"].to_numpy(), count),
        "volume": np.tile(chunk["volume"].to_numpy(), count),
    }
    for name, by_window in statistics(bars):
        columns[name] = stacked = np.empty(count * height)
        for place, window in enumerate(WINDOWS):
            np.take(by_window[window], rows, out=stacked[place * height : (place + 1) * height], mode="clip")
    return pl.DataFrame(columns)


def _places(chunk: pl.DataFrame) -> tuple[NDArray[np.intp], int]:
    """Return the place of each row in padded columns, and how long those are."""
    lengths = chunk["symbol"].rle().struct.field("len").to_numpy()
    symbol = np.repeat(np.arange(1, len(lengths) + 1), lengths)
    return np.arange(chunk.height) + PADDING * symbol, padded_length(chunk.height, len(lengths))
