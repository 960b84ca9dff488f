"""Statistics of trailing windows, put together from shorter ones.

A window of 60 rows is one of 30 and the one 30 rows before it, that one is one of 20 and one of 10, and so on: a few
passes over a column serve all lengths. No running sum is carried along, so a value depends on the rows of its window
alone: the newest row computed from LOOKBACK rows is bit for bit the row that a whole history gives, and rounding does
not build up. Deviations are merged as in Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance",
eq. 2.1, without the cancellation of sums of squares; equal values have a deviation of exactly zero.

Columns are float64 arrays of the rows of several symbols one after the other, each symbol behind rows of NaN, so many
that no window that is wanted reaches into another symbol. What is missing (NaN) is skipped, as `min_periods=1`
does in pandas; what a window without values gives is no number to be used (`Counts.lacking`).
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]
Rows = NDArray[np.intp]
WINDOWS: Final = (5, 10, 20, 30, 60)
PADDING: Final = max(WINDOWS)
STEPS: Final = ((1, 1), (2, 2), (4, 1), (5, 5), (10, 10), (20, 10), (30, 30))
"""Rows of the newer and of the older part of each window that is built."""


class Counts:
    """How many values the windows of a column hold, and the weights with which two parts are merged."""

    def __init__(self, present: NDArray[np.bool_], rows: Rows) -> None:
        self.present = present
        self._rows = rows
        self._of = compose(present.astype(np.float64), np.add)
        self._lacking: dict[int, Rows] = {}
        self._freedom: dict[int, Column] = {}

    def __getitem__(self, window: int) -> Column:
        return self._of[window]

    @cached_property
    def shares(self) -> Mapping[int, Column]:
        """Return the part of each window's values that its older part holds."""
        found = {}
        for newer, older in STEPS:
            share = found[newer + older] = np.empty_like(self._of[1])
            share[:newer] = 0.0
            np.divide(self._of[older][:-newer], np.maximum(self._of[newer + older], 1.0)[newer:], out=share[newer:])
        return found

    @cached_property
    def weights(self) -> Mapping[int, Column]:
        """Return what the squared difference of the two parts' means counts."""
        return {newer + older: self.shares[newer + older] * self._of[newer] for newer, older in STEPS}

    def lacking(self, window: int) -> Rows:
        """Return which of the rows that matter have a window without values."""
        if window not in self._lacking:
            self._lacking[window] = np.flatnonzero(self._of[window][self._rows] == 0.0)
        return self._lacking[window]

    def freedom(self, window: int) -> Column:
        """Return the number of values less one, NaN where that is nothing."""
        if window not in self._freedom:
            freedom = self._freedom[window] = self._of[window] - 1.0
            freedom[freedom < 1.0] = np.nan
        return self._freedom[window]


class Moments:
    """Mean and sum of squared deviations of a column in each window.

    `per_row` is how much a value changes with each row that passes: places grow older, measurements do not.
    """

    def __init__(self, values: Column, counts: Counts, *, per_row: float = 0.0) -> None:
        self.counts = counts
        self.mean = {1: np.where(counts.present, values, 0.0)}
        self.squares: dict[int, Column | None] = {1: None}  # a single value deviates by nothing
        self.difference: dict[int, Column] = {}
        self._deviation: dict[int, Column] = {}
        for newer, older in STEPS:
            window = newer + older
            difference = np.empty_like(self.mean[1])
            difference[:newer] = 0.0
            np.subtract(self.mean[older][:-newer], self.mean[newer][newer:], out=difference[newer:])
            if per_row:
                difference[newer:] += per_row * newer
            mean = difference * counts.shares[window]
            mean += self.mean[newer]
            self.difference[window], self.mean[window] = difference, mean
            self.squares[window] = _merged(self.squares, difference * difference, counts, newer, older)

    def sum_of_squares(self, window: int) -> Column:
        """Return the sum of squared deviations."""
        found = self.squares[window]
        assert found is not None
        return found

    def deviation(self, window: int) -> Column:
        """Return the sample standard deviation (n − 1), NaN for fewer than two values."""
        if window not in self._deviation:
            found = self._deviation[window] = self.sum_of_squares(window) / self.counts.freedom(window)
            np.sqrt(found, out=found)
        return self._deviation[window]


def ages(counts: Counts) -> Moments:
    """Return the moments of the places of the values: 0 is the newest row, −1 the one before."""
    return Moments(np.zeros_like(counts[1]), counts, per_row=-1.0)


def products(left: Moments, right: Moments) -> Mapping[int, Column]:
    """Return the sum of products of deviations in each window; both are counted over the same rows."""
    assert left.counts is right.counts
    found: dict[int, Column | None] = {1: None}
    for newer, older in STEPS:
        window = newer + older
        found[window] = _merged(found, left.difference[window] * right.difference[window], left.counts, newer, older)
    return {window: column for window, column in found.items() if column is not None}


def sums(values: Column, counts: Counts) -> Mapping[int, Column]:
    """Return the sum of each window."""
    return compose(np.where(counts.present, values, 0.0), np.add)


def compose(start: Column, merge: Callable[..., object]) -> dict[int, Column]:
    """Build all windows from single rows by an operation that does not mind the order, as adding."""
    found = {1: start}
    for newer, older in STEPS:
        whole = found[newer + older] = np.empty_like(start)
        whole[:newer] = found[newer][:newer]
        merge(found[newer][newer:], found[older][:-newer], out=whole[newer:])
    return found


def _merged(parts: Mapping[int, Column | None], between: Column, counts: Counts, newer: int, older: int) -> Column:
    """Add the deviations within two parts to those between their means."""
    between *= counts.weights[newer + older]
    new, old = parts[newer], parts[older]
    if new is not None:
        between += new
    if old is not None:
        between[newer:] += old[:-newer]
    return between
