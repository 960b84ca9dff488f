"""Quantiles of trailing windows, by merging sorted ones.

A sorted window of 10 rows is the merge of two sorted windows of 5, one of 20 that of two of 10, and so on. Merging is
done for all rows at once by a network of comparisons (Batcher's odd-even merge for lists of any lengths: Knuth, The Art
of Computer Programming, vol. 3, 5.3.4), and the longest window is not sorted but only asked for the places that are
needed. Windows that lack values are few; they are sorted one by one.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from signals.features.windows import STEPS, WINDOWS, Column, Counts, Rows

Sorted = Sequence[Column]


def quantiles(
    values: Column, counts: Counts, rows: Rows, shares: Sequence[float]
) -> Mapping[float, Mapping[int, Column]]:
    """Return each quantile of each window, between two values by linear interpolation, right in `rows` alone."""
    filled = np.where(counts.present, values, np.inf)
    found: dict[float, dict[int, Column]] = {share: {} for share in shares}
    blocks: dict[int, Sorted] = {1: [filled]}
    for newer, older in STEPS:
        window = newer + older
        left = [column[older:] for column in blocks[newer]]
        right = [column[:-newer] for column in blocks[older]]
        if window < WINDOWS[-1]:
            blocks[window] = merged(left, right)
        if window not in WINDOWS:
            continue
        lacking = rows[counts[window][rows] < window]
        for share in shares:
            below, part = divmod(share * (window - 1), 1.0)
            if window < WINDOWS[-1]:
                low, high = blocks[window][int(below)], blocks[window][int(below) + 1]
            else:
                low, high = (selected(left, right, place) for place in (int(below), int(below) + 1))
            column = np.full(len(values), np.nan)
            column[window - 1 :] = low + (high - low) * part
            column[lacking] = _one_by_one(filled, counts, lacking, window, share)
            found[share][window] = column
    return found


def merged(left: Sorted, right: Sorted) -> Sorted:
    """Merge two lists of columns, each sorted row by row."""
    if not left or not right:
        return [*left, *right]
    if len(left) == len(right) == 1:
        return [np.minimum(left[0], right[0]), np.maximum(left[0], right[0])]
    first = merged(left[::2], right[::2])
    second = merged(left[1::2], right[1::2])
    found = [first[0]]
    for one, other in zip(first[1:], second, strict=False):
        found += [np.minimum(one, other), np.maximum(one, other)]
    return [*found, *first[len(second) + 1 :], *second[len(first) - 1 :]]


def selected(left: Sorted, right: Sorted, place: int) -> Column:
    """Return the column at a place of the merged lists without merging them.

    Of the `place` + 1 lowest, some are the first of `left` and the others the first of `right`: the split with the
    lowest largest value is the right one.
    """
    best: Column | None = None
    for taken in range(max(0, place + 1 - len(right)), min(place + 1, len(left)) + 1):
        ends = [side[count - 1] for side, count in ((left, taken), (right, place + 1 - taken)) if count]
        largest = ends[0] if len(ends) == 1 else np.maximum(*ends)
        best = largest.copy() if best is None else np.minimum(best, largest, out=best)
    assert best is not None
    return best


def _one_by_one(filled: Column, counts: Counts, rows: Rows, window: int, share: float) -> Column:
    """Return the quantile of windows that lack values (infinity here), NaN for those that hold none."""
    values = np.sort(filled[rows[:, np.newaxis] - np.arange(window)], axis=1)
    count = counts[window][rows]
    below, part = np.divmod(np.maximum(share * (count - 1.0), 0.0), 1.0)
    place = below.astype(np.intp)[:, np.newaxis]
    low = np.take_along_axis(values, place, axis=1)[:, 0]
    high = np.take_along_axis(values, np.minimum(place + 1, window - 1), axis=1)[:, 0]
    return np.where(count == 0.0, np.nan, low + np.where(part > 0.0, (high - low) * part, 0.0))
