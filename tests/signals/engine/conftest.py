"""A Dask cluster of two worker processes, and one in processes of its own that may be killed."""

import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest
from distributed import LocalCluster

from signals.engine import cluster as module

REPOSITORY = Path(__file__).resolve().parents[3]
PAUSE = Event()


@pytest.fixture(autouse=True)
def _tree_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may save a file between the start of a worker and the next test; what that means has its own test."""
    monkeypatch.setattr(module, "THE_SAME", tuple(name for name in module.THE_SAME if name != "code"))


@pytest.fixture(scope="package")
def cluster() -> Iterator[str]:
    """Return the address of a cluster with two workers, which are started again when they die."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library, while it starts and ends its loops
        with LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as started:
            yield started.scheduler_address


@dataclass
class Outside:
    """A scheduler and a worker as somebody starts them on other machines."""

    address: str
    scheduler: subprocess.Popen[bytes]
    worker: subprocess.Popen[bytes] | None = None

    def add_worker(self) -> None:
        """Start a worker without a nanny: killed, it stays away."""
        self.worker = run("worker", self.address, "--no-nanny", "--nthreads", "1", "--no-dashboard")

    def end(self) -> None:
        """Kill what is left."""
        for process in (self.worker, self.scheduler):
            if process is not None:
                process.kill()
                process.wait()


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    """Return a cluster of one scheduler, without a worker yet."""
    told = tmp_path / "scheduler.json"
    scheduler = run("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(told))
    while not told.exists() or not told.stat().st_size:
        assert scheduler.poll() is None
        PAUSE.wait(0.05)
    import json

    started = Outside(json.loads(told.read_text())["address"], scheduler)
    yield started
    started.end()


def run(*words: str) -> subprocess.Popen[bytes]:
    """Start one of Dask's commands."""
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *words],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
