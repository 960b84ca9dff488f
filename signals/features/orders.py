"""Statistics of trailing windows that depend on the order of values: extremes and where they lie, rank."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    missing = rows.present & ~counts.present
    known = np.where(counts.present, values, -np.inf)
    tops, ages = _first_highest(np.where(missing, np.inf, known) if missing.any() else known)
    return Highest(
        value=compose(known, np.maximum) if missing.any() else tops,
        at={window: rows[window] - ages[window] for window in WINDOWS},
    )


def _first_highest(values: Column) -> tuple[dict[int, Column], dict[int, NDArray[np.int8]]]:
    """Return the highest value of each window and its age in rows; of equal ones the oldest."""
    tops, ages = {1: values}, {1: np.zeros(len(values), dtype=np.int8)}
    for newer, older in STEPS:
        window = newer + older
        before, now = tops[older][:-newer], tops[newer][newer:]
        top = tops[window] = np.empty_like(values)
        age = ages[window] = ages[newer].copy()
        top[:newer] = tops[newer][:newer]
        np.maximum(before, now, out=top[newer:])
        np.copyto(age[newer:], ages[older][:-newer] + np.int8(newer), where=before >= now)
    return tops, ages


def rank(values: Column, counts: Counts) -> Mapping[int, Column]:
    """Return the share of each window's values up to the newest one; ties count half, as average ranks have it."""
    below = np.ones(len(values), dtype=np.uint8)  # twice what is lower, once what is equal, itself included
    found = np.empty(len(values), dtype=np.bool_)
    twice = np.where(counts.present, 2.0, np.nan)
    ranks: dict[int, Column] = {}
    for lag in range(1, max(WINDOWS)):
        before, now, out = values[:-lag], values[lag:], found[lag:]
        for compare in (np.less, np.less_equal):
            compare(before, now, out=out)
            below[lag:] += out.view(np.uint8)
        if lag + 1 in WINDOWS:
            ranks[lag + 1] = (below + 1.0) / (twice * counts[lag + 1])
    return ranks
