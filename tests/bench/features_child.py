"""Alpha158 in a process of its own, so that its peak of memory can be told: seconds and MiB as JSON.

python -m tests.bench.features_child BARS.parquet whole|groups REPEATS
"""

import json
import resource
import sys
from time import perf_counter, process_time

import polars as pl

from signals.features import FEATURES, alpha158, alpha158_by_groups


def main() -> int:
    """Read, compute several times, print."""
    path, way, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3])
    bars = pl.read_parquet(path)
    taken, cpu = [], []
    for _ in range(repeats):
        started, started_cpu = perf_counter(), process_time()
        rows = _whole(bars) if way == "whole" else _groups(bars)
        taken.append(perf_counter() - started)
        cpu.append(process_time() - started_cpu)
        assert rows == bars.height
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"seconds": taken, "cpu_seconds": cpu, "rows": bars.height, "peak_mib": round(peak, 1)}
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


def _whole(bars: pl.DataFrame) -> int:
    found = alpha158(bars)
    assert found.width == len(FEATURES) + 2
    return found.height


def _groups(bars: pl.DataFrame) -> int:
    """Take one group after the other and keep none of them, as a writer of files does."""
    return sum(group.height for group in alpha158_by_groups(bars))


if __name__ == "__main__":
    sys.exit(main())
