"""Features whose formula divides by a sum of squared deviations, in exact arithmetic from the same doubles.

Qlib's loops and pandas' carry sums along; where the values of a window hardly differ, what they carry is mostly
rounding. Cells that differ by more than the bound are computed here once more, with fractions: so it is known who is
right.
"""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import polars as pl

FAMILIES = ("STD", "BETA", "RSQR", "RESI", "CORR", "CORD", "VSTD", "WVMA")
FLAT = 2e-5
Points = Sequence[tuple[Fraction, Fraction]]


def exact(family: str, window: int, bars: pl.DataFrame) -> float:
    """Return a feature of the last of these rows of one symbol (a row more than the window, where there is one)."""
    close, volume = bars["close"].to_numpy(), bars["volume"].to_numpy()
    with np.errstate(all="ignore"):
        if family in {"STD", "VSTD"}:
            values, unit = (close, close[-1]) if family == "STD" else (volume, volume[-1] + 1e-12)
            return float(_deviation(values[-window:]) / unit)
        if family == "WVMA":
            moved = np.abs(close[1:] / close[:-1] - 1) * volume[1:]
            return _variation(_of_window(moved, close, window))
        if family == "CORR":
            return _correlation(close[-window:], np.log(volume + 1)[-window:])
        if family == "CORD":
            ratio, volume_ratio = close[1:] / close[:-1], np.log(volume[1:] / volume[:-1] + 1)
            return _correlation(_of_window(ratio, close, window), _of_window(volume_ratio, close, window))
        return _regression(family, close[-window:])


def _of_window(changes: np.ndarray, rows: np.ndarray, window: int) -> np.ndarray:
    return changes[-window:] if len(rows) > window else changes


def _known(values: np.ndarray) -> list[Fraction]:
    return [Fraction(float(value)) for value in values if np.isfinite(value)]


def _squares(points: Points) -> tuple[Fraction, Fraction, Fraction]:
    """Return the sums of squared deviations of both coordinates, and of their products."""
    count = len(points)
    x_mean, y_mean = sum(x for x, _ in points) / Fraction(count), sum(y for _, y in points) / Fraction(count)
    return (
        sum((x - x_mean) ** 2 for x, _ in points) + Fraction(0),
        sum((y - y_mean) ** 2 for _, y in points) + Fraction(0),
        sum((x - x_mean) * (y - y_mean) for x, y in points) + Fraction(0),
    )


def _deviation(values: np.ndarray) -> float:
    known = _known(values)
    if len(known) < 2:
        return math.nan
    return math.sqrt(_squares([(value, value) for value in known])[0] / (len(known) - 1))


def _variation(values: np.ndarray) -> float:
    known = _known(values)
    if len(known) < 2:
        return math.nan
    return _deviation(values) / float(sum(known) / len(known) + Fraction(1e-12))


def _correlation(left: np.ndarray, right: np.ndarray) -> float:
    if _deviation(left) <= FLAT or _deviation(right) <= FLAT:
        return math.nan
    both = np.isfinite(left) & np.isfinite(right)
    if both.sum() < 2:
        return math.nan
    x, y, together = _squares(list(zip(_known(left[both]), _known(right[both]), strict=True)))
    return math.nan if not x * y else float(together) / math.sqrt(x * y)


def _regression(family: str, close: np.ndarray) -> float:
    points = [
        (Fraction(place - len(close) + 1), Fraction(float(value)))
        for place, value in enumerate(close)
        if np.isfinite(value)
    ]
    if len(points) < 2:
        return math.nan
    x, y, together = _squares(points)
    if family == "RSQR":
        return math.nan if not y or _deviation(close) <= FLAT else float(together * together / (x * y))
    slope = together / x
    if family == "BETA":
        return float(slope) / close[-1]
    if not np.isfinite(close[-1]):
        return math.nan
    count = Fraction(len(points))
    level = sum(y for _, y in points) / count - slope * sum(x for x, _ in points) / count
    return float(Fraction(float(close[-1])) - level) / close[-1]
