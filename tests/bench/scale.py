"""How the cost of features grows with symbols and with rows a symbol, in the processor's own time."""

import math
from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from statistics import median
from time import process_time

import numpy as np
import polars as pl

from signals.features import FEATURES, alpha158
from tests.bench.figures import Figures, verdict
from tests.bench.plan import FULL, Effort

DAYS = 2_500
SYMBOLS = (25, 50, 100, 200)
MINUTES_A_DAY = 390
MINUTE_DAYS = (32, 64, 128, 256)
MINUTE_SYMBOLS = 4
QUICK = 2
"""How many of the sizes a quick run takes."""


def measure(effort: Effort) -> Figures:
    """Measure growth by symbols and by rows."""
    sizes = len(SYMBOLS) if effort.seconds >= FULL.seconds else QUICK
    symbols = _growth([(count, DAYS) for count in SYMBOLS[:sizes]], effort.repeats)
    minutes = _growth([(MINUTE_SYMBOLS, days * MINUTES_A_DAY) for days in MINUTE_DAYS[:sizes]], effort.repeats)
    return {
        "features by symbols": symbols,
        "features by rows a symbol": minutes,
        "bytes of a row": {"bars": 6 * 8 + 12, "features": len(FEATURES) * 8 + 12},
        "targets": {
            "exponent of growth by symbols": verdict(symbols["exponent"], most=1.15),
            "exponent of growth by rows a symbol": verdict(minutes["exponent"], most=1.15),
        },
    }


def bars(symbols: int, rows: int) -> pl.DataFrame:
    """Return random bars; the dates count on, because a feature does not look at them."""
    chance = np.random.default_rng(1)
    first = date(1900, 1, 1)
    days = pl.date_range(first, first + timedelta(days=rows - 1), eager=True)
    frames = []
    for number in range(symbols):
        close = 50 * np.exp(np.cumsum(chance.normal(0, 0.001, rows)))
        columns = {name: close * (1 + shift) for name, shift in (("open", 0.0005), ("high", 0.001), ("low", -0.001))}
        volume = chance.integers(1_000, 9_000, rows).astype(float)
        frames.append(
            pl.DataFrame({"symbol": f"S{number:05}", "date": days, **columns, "close": close, "volume": volume})
        )
    return pl.concat(frames)


def _growth(sizes: list[tuple[int, int]], repeats: int) -> Figures:
    """Return processor seconds by size, what a million rows cost, and the exponent of growth between the ends."""
    found = []
    for symbols, rows in sizes:
        frame = bars(symbols, rows)
        spent = median(_spent(lambda frame=frame: alpha158(frame), process_time) for _ in range(repeats))
        found.append({"symbols": symbols, "rows": frame.height, "processor_seconds": round(spent, 3)})
    first, last = found[0], found[-1]
    grown = last["processor_seconds"] / first["processor_seconds"]
    return {
        "sizes": found,
        "processor_seconds_a_million_rows": round(last["processor_seconds"] / last["rows"] * 1e6, 3),
        "exponent": round(math.log(grown) / math.log(last["rows"] / first["rows"]), 3),
        "steps": [round(b["processor_seconds"] / a["processor_seconds"], 2) for a, b in pairwise(found)],
    }


def _spent(work: Callable[[], object], clock: Callable[[], float]) -> float:
    began = clock()
    work()
    return clock() - began
