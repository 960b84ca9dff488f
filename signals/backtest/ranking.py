"""From scores to target weights: the best names long, the worst short, each with an equal slot."""

import numpy as np

from signals.backtest.panel import BoolArray, FloatArray


def long_short_weights(scores: FloatArray, *, top: int, bottom: int, gross: float) -> FloatArray:
    """Return target weights of the same shape: `gross / top` for the best `top` names a day, `-gross / bottom` for the
    worst.

    Among equal scores the first column wins. A name without a score (NaN) gets 0, and a day without any score is a
    row of NaN, which the engine reads as "leave everything as it is". With fewer scored names than slots the names are
    shared out in the ratio of the slots and the other slots stay in cash: no name is on both sides, and none gets more
    than its slot.
    """
    scored = ~np.isnan(scores)
    counts = scored.sum(axis=1)
    weights = np.zeros_like(scores)
    full = counts >= top + bottom
    if full.all():
        _fill(weights, scores, top, bottom, gross)
    else:
        weights[full] = _filled(scores[full], top, bottom, gross)
        for row in np.flatnonzero(~full & (counts > 0)):
            weights[row] = _short_row(scores[row], scored[row], top, bottom, gross)
    weights[counts == 0] = np.nan
    return weights


def _filled(scores: FloatArray, top: int, bottom: int, gross: float) -> FloatArray:
    weights = np.zeros_like(scores)
    if len(scores):
        _fill(weights, scores, top, bottom, gross)
    return weights


def _fill(weights: FloatArray, scores: FloatArray, top: int, bottom: int, gross: float) -> None:
    if top:
        best = _lowest(-scores, top)
        weights[best] = gross / top
        if bottom:
            scores = np.where(best, np.nan, scores)
    if bottom:
        weights[_lowest(scores, bottom)] = -gross / bottom


def _lowest(values: FloatArray, count: int) -> BoolArray:
    """Mark the `count` lowest values of each row, the first columns among equals; NaN sorts last."""
    threshold = np.partition(values, count - 1, axis=1)[:, count - 1 : count]
    chosen = values <= threshold
    crowded = np.flatnonzero(chosen.sum(axis=1) > count)
    if len(crowded):
        below = values[crowded] < threshold[crowded]
        equal = values[crowded] == threshold[crowded]
        room = count - below.sum(axis=1, keepdims=True)
        chosen[crowded] = below | (equal & (equal.cumsum(axis=1) <= room))
    return chosen


def _short_row(scores: FloatArray, scored: BoolArray, top: int, bottom: int, gross: float) -> FloatArray:
    """Share out a day that has fewer names than slots; an odd name goes long."""
    names = np.flatnonzero(scored)
    longs = min(top, -(-len(names) * top // (top + bottom)))
    best = names[np.argsort(-scores[names], kind="stable")][:longs]
    rest = np.setdiff1d(names, best)
    worst = rest[np.argsort(scores[rest], kind="stable")][:bottom]
    weights = np.zeros_like(scores)
    if longs:
        weights[best] = gross / top
    if bottom:
        weights[worst] = -gross / bottom
    return weights
