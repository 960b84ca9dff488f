"""What the windows of bars hold, as columns for the definitions of features."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from signals.features.orders import highest, quantile, rank
from signals.features.windows import PADDING, WINDOWS, Column, Counts, Moments, products, sums

FLAT: Final = 2e-5
"""Qlib gives no correlation and no R² where a standard deviation is within this of zero."""
Statistic = Mapping[int, Column]


class Bars:
    """Padded columns of bars, and the counts of what they lack; columns that lack the same share one."""

    def __init__(self, values: Mapping[str, Column], rows: NDArray[np.intp], length: int) -> None:
        self._columns = {name: _padded(column, rows, length) for name, column in values.items()}
        in_symbol = np.zeros(length, dtype=np.bool_)
        in_symbol[rows] = True
        self.rows = Counts(in_symbol)
        self._counts: list[Counts] = []

    def __getitem__(self, name: str) -> Column:
        return self._columns[name]

    def counts(self, *columns: Column) -> Counts:
        """Count the rows where all of these are finite."""
        present = np.isfinite(columns[0])
        for column in columns[1:]:
            present &= np.isfinite(column)
        for known in self._counts:
            if np.array_equal(known.present, present):
                return known
        self._counts.append(Counts(present))
        return self._counts[-1]


def statistics(bars: Bars) -> Iterator[tuple[str, Statistic]]:
    """Give each statistic by name, for each window."""
    close, volume = bars["close"], bars["volume"]
    with np.errstate(divide="ignore", invalid="ignore"):
        moments = Moments(close, bars.counts(close))
        yield "close_before", {window: _before(close, window) for window in WINDOWS}
        yield from _level("", moments)
        yield from _regression(close, moments)
        yield from _extremes(bars)
        yield "quantile_80", quantile(close, 0.8)
        yield "quantile_20", quantile(close, 0.2)
        yield "rank", rank(close, moments.counts)
        ratio, volume_ratio = close / _before(close, 1), volume / _before(volume, 1)
        yield "correlation", _correlation(bars, close, np.log(volume + 1.0))
        yield "correlation_of_changes", _correlation(bars, ratio, np.log(volume_ratio + 1.0))
        yield from _moves(bars, "", close)
        yield from _moves(bars, "volume_", volume)
        yield from _shares(bars)
        yield from _level("volume_", Moments(volume, bars.counts(volume)))
        weighted = np.abs(ratio - 1.0) * volume
        yield from _level("weighted_", Moments(weighted, bars.counts(weighted)))


def _padded(column: Column, rows: NDArray[np.intp], length: int) -> Column:
    padded = np.full(length, np.nan)
    padded[rows] = column
    return padded


def _before(column: Column, rows: int) -> Column:
    """Return the value so many rows earlier."""
    shifted = np.full_like(column, np.nan)
    shifted[rows:] = column[:-rows]
    return shifted


def _level(prefix: str, moments: Moments) -> Iterator[tuple[str, Statistic]]:
    yield f"{prefix}mean", {window: moments.mean[window] + moments.counts.empty(window) for window in WINDOWS}
    yield f"{prefix}std", {window: moments.deviation(window) for window in WINDOWS}


def _regression(values: Column, moments: Moments) -> Iterator[tuple[str, Statistic]]:
    """Fit values to the number of their row: slope, R² and what the line leaves of the newest value."""
    place = Moments(np.zeros_like(values), moments.counts, per_row=-1.0)
    together = products(place, moments)
    slopes = {window: together[window] / place.squares[window] for window in WINDOWS}
    yield "slope", slopes
    yield (
        "rsquare",
        {
            window: np.where(
                moments.deviation(window) <= FLAT, np.nan, slopes[window] * together[window] / moments.squares[window]
            )
            for window in WINDOWS
        },
    )
    yield (
        "residual",
        {window: values - (moments.mean[window] - slopes[window] * place.mean[window]) for window in WINDOWS},
    )


def _extremes(bars: Bars) -> Iterator[tuple[str, Statistic]]:
    high, low = bars["high"], bars["low"]
    top = highest(high, bars.counts(high), bars.rows)
    bottom = highest(-low, bars.counts(low), bars.rows)
    yield "highest", top.value
    yield "highest_at", top.at
    yield "lowest", {window: -value for window, value in bottom.value.items()}
    yield "lowest_at", bottom.at


def _correlation(bars: Bars, left: Column, right: Column) -> Statistic:
    """Correlate two columns over the rows that have both; nothing where either of them, alone, hardly moves."""
    alone = [Moments(column, bars.counts(column)) for column in (left, right)]
    both = bars.counts(left, right)
    x, y = (
        known if known.counts is both else Moments(column, both)
        for known, column in zip(alone, (left, right), strict=True)
    )
    together = products(x, y)
    found = {}
    for window in WINDOWS:
        flat = (alone[0].deviation(window) <= FLAT) | (alone[1].deviation(window) <= FLAT)
        found[window] = np.where(
            flat, np.nan, together[window] / np.sqrt(x.squares[window] * y.squares[window])
        )  # fmt: skip
    return found


def _moves(bars: Bars, prefix: str, column: Column) -> Iterator[tuple[str, Statistic]]:
    """Sum the day-to-day changes: those upwards, those downwards, all without their sign."""
    change = column - _before(column, 1)
    counts = bars.counts(change)
    yield f"{prefix}rise", sums(np.maximum(change, 0.0), counts)
    yield f"{prefix}fall", sums(np.maximum(-change, 0.0), counts)
    yield f"{prefix}moved", sums(np.abs(change), counts)


def _shares(bars: Bars) -> Iterator[tuple[str, Statistic]]:
    """Count days up and days down among all rows; a comparison with nothing is false."""
    close, before = bars["close"], _before(bars["close"], 1)
    for name, found in (("share_up", close > before), ("share_down", close < before)):
        counted = sums(found.astype(np.float64), bars.rows)
        yield name, {window: counted[window] / bars.rows[window] for window in WINDOWS}


def padded_length(rows: int, symbols: int) -> int:
    """Return how long padded columns are."""
    return rows + symbols * PADDING
