"""A job's own process: behind everything that trades in the queue for the processor, and gone when its parent is."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from trading.hidden import without_secrets
from trading.models import Job
from trading.supervisor import die_with_parent, signal_group

NICE = 10
MOST_OUTPUT = 64 * 1024
READ_AT_ONCE = 8 * 1024
LAST_WORDS_SECONDS = 1
ROLE = "job"


class JobProcess:
    """`manage.py run_job` for one job, in a process group of its own; only the end of its output is kept."""

    def __init__(self, job: Job, *, manage: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(manage), "run_job", str(job.pk), str(job.claim)],
            cwd=manage.parent,
            env=os.environ | {"PROCESS_ROLE": ROLE, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_before_exec(),
        )
        self._tail = b""
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, name=f"job-{job.pk}", daemon=True)
        self._reader.start()

    def exit_code(self) -> int | None:
        """Return how it ended (negative: the signal that ended it); None while it runs."""
        return self.process.poll()

    def output(self) -> str:
        """Return the end of what it has written, without the secrets of the settings."""
        with self._lock:
            return without_secrets(self._tail.decode(errors="replace"))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to all it has started; nothing when it is gone."""
        signal_group(self.process.pid, number)

    def close(self) -> None:
        """End whatever it has left behind, and give back what it held."""
        signal_group(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(LAST_WORDS_SECONDS)  # what left the group may hold the pipe for ever
        if self.process.stdout is not None and not self._reader.is_alive():
            self.process.stdout.close()

    def _read(self) -> None:
        pipe = self.process.stdout
        assert pipe is not None, "it was asked for above"
        while piece := os.read(pipe.fileno(), READ_AT_ONCE):
            with self._lock:
                self._tail = (self._tail + piece)[-MOST_OUTPUT:]


def _before_exec() -> Callable[[], None]:
    die = die_with_parent()

    def prepare() -> None:
        os.nice(NICE)
        if die is not None:
            die()

    return prepare
