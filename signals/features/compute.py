"""Features of bars, by groups of symbols."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
import polars as pl

from signals.features.definitions import DAY, FEATURES, LOOKBACK, ROLLING
from signals.features.inputs import KEYS, VALUES, usable_bars
from signals.features.statistics import Bars, statistics
from signals.features.windows import PADDING, WINDOWS, Rows

Wanted = Callable[[Rows], tuple[Rows, Rows]]
"""Says, from how many rows each symbol has, which rows of a group are wanted and how many rows of padding each symbol
needs before it, so that no window of a wanted row reaches into another symbol."""

CHUNK_ROWS = 16_384
"""Rows worked on at once, so that their columns stay in the processor's cache and the peak of memory low."""


def alpha158(bars: pl.DataFrame) -> pl.DataFrame:
    """Return symbol, date and the 158 features, one row for each row of `bars`, float64, NaN where there is no value.

    `bars`: symbol, date, open, high, low, close, volume and optionally vwap, float64, sorted by symbol and date, in
    prices adjusted for splits and dividends. A window is of a symbol's own rows, up to and with the day.
    :raises UnusableBars: the bars are not of that form
    """
    return _by_groups(usable_bars(bars), _all_rows)


def alpha158_newest(bars: pl.DataFrame) -> pl.DataFrame:
    """Return the features of the newest row of each symbol: the same numbers as `alpha158`, from LOOKBACK rows each.

    :raises UnusableBars: as `alpha158`
    """
    newest = usable_bars(bars).group_by("symbol", maintain_order=True).tail(LOOKBACK)
    return _by_groups(newest, _last_rows)


def alpha158_by_groups(bars: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Give the rows of `alpha158` in the order of `bars`, some whole symbols at a time.

    For more symbols than memory has room for: what is not kept is freed.
    :raises UnusableBars: as `alpha158`, before the first group
    """
    frame = usable_bars(bars)
    return (_features(chunk, _all_rows) for chunk in _chunks(frame))


def _by_groups(frame: pl.DataFrame, wanted: Wanted) -> pl.DataFrame:
    """Work on groups of symbols, on all cores."""
    chunks = list(_chunks(frame))
    if len(chunks) <= 1:
        return _features(chunks[0], wanted) if chunks else _nothing(frame)
    with ThreadPoolExecutor(min(pl.thread_pool_size(), len(chunks))) as pool:
        return pl.concat(pool.map(_features, chunks, repeat(wanted)), rechunk=False)


def _nothing(frame: pl.DataFrame) -> pl.DataFrame:
    """Return no rows, with all columns."""
    return frame.select(*KEYS, **dict.fromkeys(FEATURES, pl.lit(None, dtype=pl.Float64))).clear()


def _chunks(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut between symbols, about CHUNK_ROWS rows each; a longer symbol stays whole."""
    start = end = 0
    for after in np.cumsum(_lengths(frame)).tolist():
        if after - start > CHUNK_ROWS and end > start:
            yield frame.slice(start, end - start)
            start = end
        end = after
    if end > start:
        yield frame.slice(start, end - start)


def _features(chunk: pl.DataFrame, wanted: Wanted) -> pl.DataFrame:
    """Compute the features of whole symbols."""
    lengths = _lengths(chunk)
    rows, padding = wanted(lengths)
    places = np.arange(chunk.height) + np.repeat(np.cumsum(padding), lengths)
    values = {name: chunk[name].to_numpy() for name in VALUES}
    bars = Bars(values, places, rows=places[rows], length=chunk.height + int(padding.sum()))
    days = chunk if len(rows) == chunk.height else chunk[rows]
    rolling = _statistics(bars, days).select(**ROLLING)
    height = days.height
    by_window = [rolling.slice(place * height, height).get_columns() for place in range(len(WINDOWS))]
    columns = [
        part[place].alias(f"{family}{window}")
        for place, family in enumerate(ROLLING)
        for window, part in zip(WINDOWS, by_window, strict=True)
    ]
    return days.select(*KEYS, **DAY).hstack(columns)


def _statistics(bars: Bars, days: pl.DataFrame) -> pl.DataFrame:
    """Return what the windows of the wanted rows hold: all rows of the first window, then of the second, and so on."""
    count = len(WINDOWS)
    columns = {
        "window": np.repeat(np.array(WINDOWS, dtype=np.float64), days.height),
        "close": np.tile(days["close"].to_numpy(), count),
        "volume": np.tile(days["volume"].to_numpy(), count),
    }
    with np.errstate(all="ignore"):  # what cannot be divided or compared becomes NaN, as in Qlib
        for statistic in statistics(bars):
            columns[statistic.name] = statistic.stacked(bars.rows)
    return pl.DataFrame(columns)


def _lengths(frame: pl.DataFrame) -> Rows:
    """Return how many rows each symbol has."""
    return frame["symbol"].rle().struct.field("len").to_numpy().astype(np.intp)


def _all_rows(lengths: Rows) -> tuple[Rows, Rows]:
    return np.arange(lengths.sum()), np.full_like(lengths, PADDING)


def _last_rows(lengths: Rows) -> tuple[Rows, Rows]:
    return np.cumsum(lengths) - 1, np.maximum(LOOKBACK - lengths, 0)
