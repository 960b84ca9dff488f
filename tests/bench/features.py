"""Alpha158 beside Qlib's own, on the same invented bars in the same run, each in processes of their own.

`make parity` makes the environment of Qlib, `.venv-parity` (PARITY_PYTHON names another); without it only ours is
measured, and the report says so.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl

from signals.features import LOOKBACK, alpha158, alpha158_newest, feature_version
from tests.bench.figures import Figures, latencies, over_repeats, ratio, verdict
from tests.bench.plan import FULL, Effort
from tests.bench.workplace import REPOSITORY, child_environment, python_module
from tests.parity.universes import walk

QLIB = Path(os.environ.get("PARITY_PYTHON") or REPOSITORY / ".venv-parity" / "bin" / "python")
SPEED = REPOSITORY / "tests" / "parity" / "qlib_speed.py"
SYMBOLS, DAYS = 300, 2_500
QUICK_SYMBOLS = 40
FEW, FEW_DAYS = 5, 2_431
CALLS = 60


def measure(effort: Effort) -> Figures:
    """Measure the whole universe and five symbols, ours and Qlib's in turn; then the newest rows alone."""
    symbols = SYMBOLS if effort.seconds >= FULL.seconds else QUICK_SYMBOLS
    folder = Path(os.environ["VAR_DIR"]) / "features"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        many = _compared(folder, "universe", symbols, DAYS, effort)
        few = _compared(folder, "few", FEW, FEW_DAYS, effort)
    finally:
        shutil.rmtree(folder)
    newest = {
        f"{count}_symbols": {
            "newest_row": _newest(alpha158_newest, count),
            "all_of_lookback": _newest(alpha158, count),
        }
        for count in (FEW, 500)
    }
    figures = {"version": feature_version(), "universe": many, "few": few, "newest": newest}
    return figures | {"targets": _targets(many, few, newest)}


def _compared(folder: Path, name: str, symbols: int, days: int, effort: Effort) -> Figures:
    """Run ours and Qlib in turns, so that what else the machine does meets both."""
    path = folder / f"{name}.parquet"
    _universe(symbols, days).write_parquet(path)
    ours, by_groups, theirs = [], [], []
    for turn in range(effort.repeats):
        ours.append(_ours(path, "whole"))
        by_groups.append(_ours(path, "groups"))
        if QLIB.exists():
            theirs.append(_qlib(path, folder / f"{name}-{turn}"))
    figures: Figures = {
        "rows": symbols * days,
        "ours": over_repeats(ours),
        "ours_by_groups": over_repeats(by_groups),
    }
    if not theirs:
        return figures | {"qlib": "not measured: .venv-parity is missing (make parity makes it)"}
    return figures | {
        "qlib": over_repeats(theirs),
        "qlib_to_ours_seconds": ratio(theirs, ours, "seconds"),
        "qlib_to_ours_cpu_seconds": ratio(theirs, ours, "cpu_seconds"),
        "ours_to_qlib_memory": ratio(ours, theirs, "peak_mib"),
        "by_groups_to_qlib_memory": ratio(by_groups, theirs, "peak_mib"),
    }


def _universe(symbols: int, days: int) -> pl.DataFrame:
    return pl.concat([walk(f"S{place:04d}", days, place) for place in range(symbols)])


def _ours(path: Path, way: str) -> Figures:
    """The better of two: the first call of a process also loads what it needs."""
    answer = python_module("tests.bench.features_child", str(path), way, "2")
    return _best(json.loads(answer.stdout))


def _qlib(path: Path, folder: Path) -> Figures:
    """Qlib as it is used: its binary files, its own processes on all cores, no caches; the better of two."""
    try:
        answer = subprocess.run(
            [QLIB, SPEED, path, folder, str(os.cpu_count() or 1), "2"],
            check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=child_environment(PYTHONPATH=""),
        )  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return _best(json.loads(answer.stdout.splitlines()[-1]))


def _best(figures: dict[str, Any]) -> Figures:
    return {name: min(value) if isinstance(value, list) else value for name, value in figures.items()}


def _newest(compute: Callable[[pl.DataFrame], pl.DataFrame], symbols: int) -> Figures:
    """Time the features of bars that have just become enough: LOOKBACK rows of each symbol."""
    bars = _universe(symbols, LOOKBACK)
    samples: list[float] = []
    for _ in range(CALLS):
        started = perf_counter()
        compute(bars)
        samples.append((perf_counter() - started) * 1000)
    return {**latencies(samples), "min_ms": round(min(samples), 3)}


def _targets(many: Figures, few: Figures, newest: Figures) -> Figures:
    faster, memory = many.get("qlib_to_ours_seconds", {}), many.get("ours_to_qlib_memory", {})
    groups = many.get("by_groups_to_qlib_memory", {})
    return {
        f"{many['rows']} rows: Qlib's seconds / ours": verdict(faster.get("ratio"), least=10),
        "its peak memory: ours / Qlib's": verdict(memory.get("ratio"), most=1),
        "its peak memory by groups: ours / Qlib's": verdict(groups.get("ratio"), most=0.5),
        f"{few['rows']} rows, seconds": verdict(few["ours"]["seconds"], most=0.1),
        "newest row of 5 symbols, p50 ms": verdict(newest["5_symbols"]["newest_row"]["p50_ms"], most=10),
        "newest row of 500 symbols, p50 ms": verdict(newest["500_symbols"]["newest_row"]["p50_ms"], most=150),
    }
