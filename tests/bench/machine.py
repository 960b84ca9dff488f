"""On what, and on which state of the code, a run was made."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from typing import Any

import psutil

from tests.bench.workplace import REPOSITORY


def description() -> dict[str, Any]:
    """Return machine, commit and time."""
    return {
        "cpus": os.cpu_count(),
        "cpu": _cpu_model(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        **_commit(),
    }


def load() -> list[float]:
    """Return the load averages over 1, 5 and 15 minutes: on a busy machine only ratios mean anything."""
    return [round(value, 2) for value in os.getloadavg()]


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            lines = [line for line in file if line.startswith("model name")]
    except OSError:
        return platform.processor()
    return lines[0].partition(":")[2].strip() if lines else platform.processor()


def _commit() -> dict[str, Any]:
    def git(*words: str) -> str:
        answer = subprocess.run(["git", *words], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        return answer.stdout.strip()

    try:
        return {
            "commit": git("rev-parse", "--short", "HEAD"),
            "changed_files": len(git("status", "-s", "-uno").splitlines()),
        }
    except OSError:  # an unpacked archive, or no git on the machine
        return {"commit": "", "changed_files": None}


class CpuMeter:
    """CPU time of processes with their children, between two looks (seconds)."""

    def __init__(self, *pids: int) -> None:
        self._pids = pids
        self._before = self._now()

    def taken(self) -> float:
        """Return the CPU seconds since this meter was made; processes that ended meanwhile are left out."""
        now = self._now()
        return sum(seconds - self._before.get(pid, 0.0) for pid, seconds in now.items())

    def _now(self) -> dict[int, float]:
        found: dict[int, float] = {}
        for pid in self._pids:
            root = psutil.Process(pid)
            for process in (root, *root.children(recursive=True)):
                try:
                    times = process.cpu_times()
                except psutil.NoSuchProcess:
                    continue
                found[process.pid] = times.user + times.system
        return found
