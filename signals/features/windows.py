"""Statistics of trailing windows, put together from shorter ones.

A window of 60 rows is one of 30 and the one 30 rows before it, that one is one of 20 and one of 10, and so on: a few
passes over a column serve all lengths. No running sum is carried along, so a value depends on the rows of its window
alone: the newest row computed from LOOKBACK rows is bit for bit the row that a whole history gives, and rounding does
not build up. Deviations are merged as in Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance",
eq. 2.1, without the cancellation of sums of squares; equal values have a deviation of exactly zero.

Columns are float64 arrays of the rows of several symbols one after the other, each symbol behind PADDING rows of NaN,
so that no window reaches into another symbol. What is missing (NaN) is skipped, as `min_periods=1` does in pandas.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]
WINDOWS: Final = (5, 10, 20, 30, 60)
PADDING: Final = max(WINDOWS)
STEPS: Final = ((1, 1), (2, 2), (4, 1), (5, 5), (10, 10), (20, 10), (30, 30))
"""Rows of the newer and of the older part of each window that is built."""


class Counts:
    """How many values the windows of a column hold, and the weights with which two parts are merged."""

    def __init__(self, present: NDArray[np.bool_]) -> None:
        self.present = present
        self._of = compose(present.astype(np.float64), _add)
        self.share: dict[int, Column] = {}
        self.weight: dict[int, Column] = {}
        for newer, older in STEPS:
            total = np.maximum(self._of[newer + older], 1.0)
            share = np.zeros_like(total)
            np.divide(self._of[older][:-newer], total[newer:], out=share[newer:])
            self.share[newer + older] = share
            self.weight[newer + older] = share * self._of[newer]
        self._empty: dict[int, Column] = {}

    def __getitem__(self, window: int) -> Column:
        return self._of[window]

    def empty(self, window: int) -> Column:
        """Return NaN where a window holds nothing and 0 elsewhere, to be added to a statistic."""
        if window not in self._empty:
            self._empty[window] = np.where(self._of[window] == 0.0, np.nan, 0.0)
        return self._empty[window]


class Moments:
    """Mean and sum of squared deviations of a column in each window.

    `per_row` is how much a value changes with each row that passes: positions grow older, measurements do not.
    """

    def __init__(self, values: Column, counts: Counts, *, per_row: float = 0.0) -> None:
        self.counts = counts
        start = np.where(counts.present, values, 0.0)
        self.mean = {1: start}
        self.squares = {1: np.zeros_like(start)}
        self.difference: dict[int, Column] = {}
        for newer, older in STEPS:
            window = newer + older
            difference = np.zeros_like(start)
            np.subtract(self.mean[older][:-newer], self.mean[newer][newer:], out=difference[newer:])
            if per_row:
                difference[newer:] += per_row * newer
            self.difference[window] = difference
            self.mean[window] = self.mean[newer] + difference * counts.share[window]
            self.squares[window] = _merged(self.squares, difference * difference, counts, newer, older)

    def deviation(self, window: int) -> Column:
        """Return the sample standard deviation (n − 1), NaN for fewer than two values."""
        freedom = self.counts[window] - 1.0
        freedom[freedom < 1.0] = np.nan
        return np.sqrt(self.squares[window] / freedom)


def products(left: Moments, right: Moments) -> Mapping[int, Column]:
    """Return the sum of products of deviations in each window; both are counted over the same rows."""
    assert left.counts is right.counts
    found = {1: np.zeros_like(left.mean[1])}
    for newer, older in STEPS:
        window = newer + older
        found[window] = _merged(found, left.difference[window] * right.difference[window], left.counts, newer, older)
    return found


def sums(values: Column, counts: Counts) -> Mapping[int, Column]:
    """Return the sum of each window, NaN where it holds nothing."""
    found = compose(np.where(counts.present, values, 0.0), _add)
    return {window: found[window] + counts.empty(window) for window in WINDOWS}


def compose(start: Column, merge: Callable[[Column, Column, Column], object]) -> dict[int, Column]:
    """Build all windows from single rows by an operation that does not mind the order, as adding."""
    found = {1: start}
    for newer, older in STEPS:
        whole = found[newer].copy()
        merge(whole[newer:], found[older][:-newer], whole[newer:])
        found[newer + older] = whole
    return found


def _add(left: Column, right: Column, out: Column) -> None:
    np.add(left, right, out=out)


def _merged(parts: Mapping[int, Column], between: Column, counts: Counts, newer: int, older: int) -> Column:
    """Add the deviations within two parts and those between their means."""
    between *= counts.weight[newer + older]
    between += parts[newer]
    between[newer:] += parts[older][:-newer]
    return between
