"""What the windows of bars hold, as columns for the definitions of features."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np

from signals.features.orders import highest, rank
from signals.features.quantiles import quantiles
from signals.features.windows import WINDOWS, Column, Counts, Moments, Rows, ages, compose, products, sums

FLAT: Final = 2e-5
"""Qlib gives no correlation and no R² where a standard deviation is within this of zero."""


class Statistic(NamedTuple):
    """A number of each window of each row, and the counts of the values that it is made of."""

    name: str
    by_window: Mapping[int, Column]
    counts: Counts

    def stacked(self, rows: Rows) -> Column:
        """Return the rows of the first window, then those of the second, and so on; NaN where a window is empty."""
        found = np.empty(len(rows) * len(WINDOWS))
        for place, window in enumerate(WINDOWS):
            part = found[place * len(rows) : (place + 1) * len(rows)]
            self.by_window[window].take(rows, out=part, mode="clip")  # without a copy of `out`, as "raise" makes
            lacking = self.counts.lacking(window)
            if lacking.size:
                part[lacking] = np.nan
        return found


class Bars:
    """Padded columns of bars, and the counts of what they lack; columns that lack the same share one.

    `places` says where each row stands in padded columns, `rows` where those for which statistics are wanted.
    """

    def __init__(self, values: Mapping[str, Column], places: Rows, *, rows: Rows, length: int) -> None:
        self.rows = rows
        self._columns = {name: _padded(column, places, length) for name, column in values.items()}
        known = np.zeros(length, dtype=np.bool_)
        known[places] = True
        self.all = Counts(known, rows)
        self._counts: list[Counts] = [self.all]

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
        self._counts.append(Counts(present, self.rows))
        return self._counts[-1]

    def moments(self, column: Column) -> Moments:
        """Return the moments of the finite values of a column."""
        return Moments(column, self.counts(column))


def statistics(bars: Bars) -> Iterator[Statistic]:
    """Give each statistic for each window; numpy's warnings of divisions by zero are the caller's to silence."""
    close, volume = bars["close"], bars["volume"]
    prices = bars.moments(close)
    yield Statistic("close_before", {window: _before(close, window) for window in WINDOWS}, bars.all)
    yield from _level("", prices)
    yield from _regression(close, prices)
    yield from _extremes(bars)
    by_share = quantiles(close, prices.counts, bars.rows, (0.8, 0.2))
    yield Statistic("quantile_80", by_share[0.8], prices.counts)
    yield Statistic("quantile_20", by_share[0.2], prices.counts)
    yield Statistic("rank", rank(close, prices.counts), prices.counts)
    yield _correlation(bars, "correlation", close, np.log(volume + 1.0), prices)
    ratio, volume_ratio = close / _before(close, 1), volume / _before(volume, 1)
    yield _correlation(bars, "correlation_of_changes", ratio, np.log(volume_ratio + 1.0), bars.moments(ratio))
    yield from _moves(bars, "", close)
    yield from _moves(bars, "volume_", volume)
    yield from _shares(bars)
    yield from _level("volume_", bars.moments(volume))
    yield from _level("weighted_", bars.moments(np.abs(ratio - 1.0) * volume))


def _padded(column: Column, places: Rows, length: int) -> Column:
    padded = np.full(length, np.nan)
    padded[places] = column
    return padded


def _before(column: Column, rows: int) -> Column:
    """Return the value so many rows earlier."""
    shifted = np.empty_like(column)
    shifted[:rows] = np.nan
    shifted[rows:] = column[:-rows]
    return shifted


def _level(prefix: str, moments: Moments) -> Iterator[Statistic]:
    yield Statistic(f"{prefix}mean", moments.mean, moments.counts)
    yield Statistic(f"{prefix}std", {window: moments.deviation(window) for window in WINDOWS}, moments.counts)


def _regression(values: Column, moments: Moments) -> Iterator[Statistic]:
    """Fit values to the number of their row: slope, R² and what the line leaves of the newest value."""
    counts, places = moments.counts, ages(moments.counts)
    together = products(places, moments)
    slopes, explained, residuals = {}, {}, {}
    for window in WINDOWS:
        slope = slopes[window] = together[window] / places.sum_of_squares(window)
        share = explained[window] = slope * together[window]
        share /= moments.sum_of_squares(window)
        share[moments.deviation(window) <= FLAT] = np.nan
        line = slope * places.mean[window]
        line -= moments.mean[window]
        residuals[window] = values + line
    yield Statistic("slope", slopes, counts)
    yield Statistic("rsquare", explained, counts)
    yield Statistic("residual", residuals, counts)


def _extremes(bars: Bars) -> Iterator[Statistic]:
    for name, column, sign in (("highest", bars["high"], 1.0), ("lowest", bars["low"], -1.0)):
        counts = bars.counts(column)
        found = highest(sign * column, counts, bars.all)
        yield Statistic(name, {window: sign * value for window, value in found.value.items()}, counts)
        yield Statistic(f"{name}_at", found.at, counts)


def _correlation(bars: Bars, name: str, left: Column, right: Column, left_alone: Moments) -> Statistic:
    """Correlate two columns over the rows that have both; nothing where either of them, alone, hardly moves."""
    right_alone = bars.moments(right)
    both = bars.counts(left, right)
    x = left_alone if left_alone.counts is both else Moments(left, both)
    y = right_alone if right_alone.counts is both else Moments(right, both)
    together = products(x, y)
    found = {}
    for window in WINDOWS:
        spread = x.sum_of_squares(window) * y.sum_of_squares(window)
        np.sqrt(spread, out=spread)
        value = found[window] = together[window] / spread
        value[left_alone.deviation(window) <= FLAT] = np.nan
        value[right_alone.deviation(window) <= FLAT] = np.nan
    return Statistic(name, found, both)


def _moves(bars: Bars, prefix: str, column: Column) -> Iterator[Statistic]:
    """Sum the day-to-day changes: those upwards, those downwards, all without their sign."""
    change = column - _before(column, 1)
    counts = bars.counts(change)
    yield Statistic(f"{prefix}rise", sums(np.maximum(change, 0.0), counts), counts)
    yield Statistic(f"{prefix}fall", sums(np.maximum(-change, 0.0), counts), counts)
    yield Statistic(f"{prefix}moved", sums(np.abs(change), counts), counts)


def _shares(bars: Bars) -> Iterator[Statistic]:
    """Count days up and days down among all rows; a comparison with nothing is false."""
    close, before = bars["close"], _before(bars["close"], 1)
    for name, found in (("share_up", close > before), ("share_down", close < before)):
        counted = compose(found.astype(np.float64), np.add)
        yield Statistic(name, {window: counted[window] / bars.all[window] for window in WINDOWS}, bars.all)
