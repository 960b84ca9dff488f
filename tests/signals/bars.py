"""Invented bars for tests of strategies."""

import math
import random
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import polars as pl

START = date(2010, 1, 4)


def weekdays(count: int, start: date = START) -> list[date]:
    """Return `count` weekdays from `start`."""
    days: list[date] = []
    day = start
    while len(days) < count:
        if day.weekday() < 5:
            days.append(day)
        day += timedelta(days=1)
    return days


def frame(closes: Mapping[str, Sequence[float]], start: date = START) -> pl.DataFrame:
    """Return long bars with these closes, one weekday each."""
    parts = [
        pl.DataFrame({"symbol": [symbol] * len(path), "date": weekdays(len(path), start), "close": list(path)})
        for symbol, path in closes.items()
    ]
    close = pl.col("close").cast(pl.Float64)
    return pl.concat(parts).with_columns(
        close, open=close, high=close * 1.01, low=close * 0.99, volume=pl.lit(1_000_000.0)
    )


def random_walk(count: int, seed: int, drift: float = 0.0) -> list[float]:
    """Return a geometric random walk of `count` closes."""
    generator = random.Random(seed)
    path = [100.0]
    while len(path) < count:
        path.append(path[-1] * math.exp(generator.gauss(drift, 0.02)))
    return path
