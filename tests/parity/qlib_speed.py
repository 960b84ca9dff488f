"""Time Qlib's Alpha158 as Qlib is used; runs in the environment of requirements-parity.txt, which has none of our code.

    python qlib_speed.py BARS.parquet FOLDER KERNELS REPEATS

Writes the bars as Qlib's own binary files into FOLDER, starts Qlib on them without caches, and prints seconds and peak
memory as JSON. Memory is that of this process, which collects the result; those of its workers are told beside it.
"""

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

FIELDS = ("open", "high", "low", "close", "volume", "vwap")


def write_files(bars: pd.DataFrame, folder: Path) -> None:
    """Write calendar, instruments and one file a symbol and field: its first day's number, then float32 values."""
    days = sorted(bars["date"].unique())
    number = {day: place for place, day in enumerate(days)}
    for name in ("calendars", "instruments", "features"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "calendars" / "day.txt").write_text("".join(f"{pd.Timestamp(day):%Y-%m-%d}\n" for day in days))
    lines = []
    for symbol, rows in bars.groupby("symbol", sort=False):
        first, last = rows["date"].iloc[0], rows["date"].iloc[-1]
        lines.append(f"{symbol}\t{pd.Timestamp(first):%Y-%m-%d}\t{pd.Timestamp(last):%Y-%m-%d}\n")
        place = rows["date"].map(number).to_numpy() - number[first]
        target = folder / "features" / str(symbol).lower()
        target.mkdir(exist_ok=True)
        for field in FIELDS:
            values = np.full(place[-1] + 2, np.nan, dtype="<f4")
            values[0] = number[first]
            values[place + 1] = rows[field]
            values.tofile(target / f"{field}.day.bin")
    (folder / "instruments" / "all.txt").write_text("".join(lines))


def start_qlib(folder: Path, kernels: int) -> tuple[Callable[..., Any], Callable[..., pd.DataFrame]]:
    """Do what `qlib.init` does, without its recorder of experiments, which needs a tracking service's packages."""
    from qlib.config import C
    from qlib.contrib.data.handler import Alpha158
    from qlib.data import D
    from qlib.data.data import register_all_wrappers
    from qlib.data.ops import register_all_ops

    C.set(
        "client", provider_uri=str(folder), kernels=kernels, expression_cache=None, dataset_cache=None, logging_level=40
    )
    register_all_ops(C)
    register_all_wrappers(C)
    C._registered = True
    return Alpha158.get_feature_config, D.features


def memory(who: int) -> float:
    return round(resource.getrusage(who).ru_maxrss / 1024, 1)


def cpu_seconds() -> float:
    """Return what this process and its ended workers have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> int:
    """Write, start, ask several times, print."""
    source, folder, kernels, repeats = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    bars = pd.read_parquet(source)
    if "vwap" not in bars.columns:
        bars["vwap"] = (bars["high"] + bars["low"] + bars["close"]) / 3
    write_files(bars, folder)
    symbols = [str(symbol) for symbol in bars["symbol"].unique()]
    rows = len(bars)
    del bars
    started = perf_counter()
    fields_of, features = start_qlib(folder, kernels)
    fields, _ = fields_of(None)
    start_seconds = perf_counter() - started
    taken, cpu = [], []
    for _ in range(repeats):
        started, started_cpu = perf_counter(), cpu_seconds()
        found = features(symbols, fields, freq="day")
        taken.append(perf_counter() - started)
        cpu.append(cpu_seconds() - started_cpu)
        assert found.shape == (rows, len(fields)), found.shape
        del found
    figures = {
        "seconds": taken,
        "cpu_seconds": cpu,
        "start_seconds": start_seconds,
        "rows": rows,
        "kernels": kernels,
        "peak_mib": memory(resource.RUSAGE_SELF),
        "peak_mib_of_a_worker": memory(resource.RUSAGE_CHILDREN),
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
