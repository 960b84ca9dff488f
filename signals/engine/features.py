"""Alpha158 by groups of symbols, wherever there are workers."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from signals.engine.base import Engine
from signals.features import alpha158
from signals.progress import Progress, silent

GROUPS_A_WORKER = 3
"""So that workers which are done sooner have something left to do."""
FEWEST_ROWS = 16_384
"""Rows below which a group of its own costs more than it gains."""


def features_on(engine: Engine, bars: pl.DataFrame, *, progress: Progress = silent) -> pl.DataFrame:
    """Return what `alpha158(bars)` returns, computed by groups of whole symbols.

    A feature looks at its own symbol alone, so the numbers do not depend on how symbols are grouped.
    :raises EngineError: the engine cannot do it
    :raises UnusableBars: as `alpha158`
    """
    groups = symbol_groups(bars, most=engine.workers * GROUPS_A_WORKER) if engine.workers > 1 else [bars]
    if len(groups) <= 1:
        progress(0, 1, "features")
        found = alpha158(bars)
        progress(1, 1, "features")
        return found
    what = f"features of {bars['symbol'].n_unique()} symbols"
    return pl.concat(engine.map(_features, groups, progress=progress, what=what))


def symbol_groups(bars: pl.DataFrame, *, most: int) -> Sequence[pl.DataFrame]:
    """Cut bars, sorted by symbol, between symbols into at most `most` parts of about as many rows."""
    ends = np.cumsum(bars["symbol"].rle().struct.field("len").to_numpy().astype(np.intp))
    wanted = max(1, min(most, bars.height // FEWEST_ROWS, len(ends)))
    if wanted == 1:
        return [bars]
    marks = np.searchsorted(ends, np.arange(1, wanted) * (bars.height / wanted))
    cuts = [0, *np.unique(ends[np.minimum(marks, len(ends) - 1)]).tolist()]
    if cuts[-1] != bars.height:
        cuts.append(bars.height)
    return [bars.slice(start, end - start) for start, end in pairwise(cuts)]


def _features(_shared: Any, bars: pl.DataFrame) -> pl.DataFrame:
    return alpha158(bars)
