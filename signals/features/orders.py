"""Statistics of trailing windows that depend on the order of values: extremes and where they lie, rank, quantiles."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from signals.features.windows import STEPS, WINDOWS, Column, Counts, compose


@dataclass(frozen=True, slots=True)
class Highest:
    """The highest value of each window, and its row (from 1, the oldest)."""

    value: Mapping[int, Column]
    at: Mapping[int, Column]


def highest(values: Column, counts: Counts, rows: Counts) -> Highest:
    """Find the highest value of each window and the first row that has it.

    A missing value counts as the highest row, as numpy's argmax has it, while the value itself skips what is missing.
    `rows` counts the rows of windows, missing values or not.
    """
    lacks = bool((rows.present & ~counts.present).any())
    tops, ages = _first_highest(np.where(counts.present, values, np.where(rows.present, np.inf, -np.inf)))
    if lacks:
        tops = compose(np.where(counts.present, values, -np.inf), _larger)
    return Highest(
        value={window: tops[window] + counts.empty(window) for window in WINDOWS},
        at={window: rows[window] - ages[window] + counts.empty(window) for window in WINDOWS},
    )


def _first_highest(values: Column) -> tuple[dict[int, Column], dict[int, Column]]:
    """Return the highest value of each window and its age in rows; of equal ones the oldest."""
    tops, ages = {1: values}, {1: np.zeros_like(values)}
    for newer, older in STEPS:
        top, age = tops[newer].copy(), ages[newer].copy()
        before = tops[older][:-newer]
        is_before = before >= top[newer:]
        np.copyto(age[newer:], ages[older][:-newer] + newer, where=is_before)
        np.maximum(top[newer:], before, out=top[newer:])
        tops[newer + older], ages[newer + older] = top, age
    return tops, ages


def _larger(left: Column, right: Column, out: Column) -> None:
    np.maximum(left, right, out=out)


def rank(values: Column, counts: Counts) -> Mapping[int, Column]:
    """Return the share of each window's values up to the newest one; ties count half, as average ranks have it."""
    below = np.ones(len(values), dtype=np.uint8)  # twice what is lower, once what is equal, itself included
    found = np.empty(len(values), dtype=np.bool_)
    missing = np.where(counts.present, 0.0, np.nan)
    ranks: dict[int, Column] = {}
    for lag in range(1, max(WINDOWS)):
        before, now, out = values[:-lag], values[lag:], found[lag:]
        for compare in (np.less, np.less_equal):
            compare(before, now, out=out)
            below[lag:] += out.view(np.uint8)
        if lag + 1 in WINDOWS:
            ranks[lag + 1] = (below + 1.0) / (2.0 * counts[lag + 1]) + missing
    return ranks


def quantile(values: Column, share: float) -> Mapping[int, Column]:
    """Return the quantile of each window, between two values by linear interpolation."""
    series = pl.Series(values, nan_to_null=True)
    return {
        window: series.rolling_quantile(share, interpolation="linear", window_size=window, min_samples=1)
        .fill_null(float("nan"))
        .to_numpy()
        for window in WINDOWS
    }
