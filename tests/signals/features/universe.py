"""Invented bars for tests of features."""

import numpy as np
import polars as pl

from signals.features import FEATURES
from tests.parity.universes import walk


def symbols(count: int, rows: int, seed: int = 0) -> pl.DataFrame:
    """Return random walks of so many symbols."""
    return pl.concat([walk(f"X{place:03d}", rows, seed + place) for place in range(count)])


def same(left: pl.DataFrame, right: pl.DataFrame) -> bool:
    """Say whether two frames have the same rows and bit for bit the same features (NaN is NaN)."""
    keys = left.select("symbol", "date").equals(right.select("symbol", "date"))
    return keys and np.array_equal(left.select(FEATURES).to_numpy(), right.select(FEATURES).to_numpy(), equal_nan=True)
