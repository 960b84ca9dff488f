"""A supervisor for tests: child processes that die by SIGKILL at a named place, a hundred in the time of one start.

A zygote is started once: a process without threads and connections, with everything imported. For each trial it forks a
child that opens a database connection of its own, is armed, and does what it is told. Only a child that died by SIGKILL
at the place counts; one that got through, failed or hung is told apart.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from select import select
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db import connection

from execution.crashpoints import Point, arm
from marketdata.calendar import session_table
from tests.conftest import REPOSITORY

HANGS_AFTER_SECONDS = 60
"""A child that takes so long ends by SIGALRM, and fails its trial."""
Work = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended; `told` is what it said when it failed."""

    status: int
    told: str = ""

    @property
    def was_killed(self) -> bool:
        """Tell whether it died at the place: nobody else sends SIGKILL to it."""
        return os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) == signal.SIGKILL

    @property
    def got_through(self) -> bool:
        """Tell whether it did all of its work and never passed the place that often."""
        return os.WIFEXITED(self.status) and os.WEXITSTATUS(self.status) == 0

    def __str__(self) -> str:
        if os.WIFSIGNALED(self.status):
            return f"died by {signal.Signals(os.WTERMSIG(self.status)).name} {self.told}".strip()
        return f"ended with {os.WEXITSTATUS(self.status)} {self.told}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """What a child does, and how it is to die: at a place, some seconds after its beginning, or not at all."""

    work: Work
    arguments: tuple[Any, ...]
    at: Point | None = None
    passage: int = 1
    after_seconds: float | None = None


class Zygote:
    """The process that forks the children, as seen from the test; work and arguments are pickled."""

    def __init__(self, line: Connection) -> None:
        self._line = line

    def kill(self, work: Work, *arguments: Any, at: Point, passage: int = 1) -> Ended:
        """Let a child do the work and die at the n-th passage of the place."""
        return self._run(_Task(work=work, arguments=arguments, at=at, passage=passage))

    def kill_after(self, work: Work, *arguments: Any, seconds: float) -> Ended:
        """Let a child do the work and die some time after its beginning, wherever it is."""
        return self._run(_Task(work=work, arguments=arguments, after_seconds=seconds))

    def run(self, work: Work, *arguments: Any) -> Ended:
        """Let a child do the work and live."""
        return self._run(_Task(work=work, arguments=arguments))

    def _run(self, task: _Task) -> Ended:
        self._line.send(task)
        ended = self._line.recv()
        assert isinstance(ended, Ended)
        return ended


@contextmanager
def zygote() -> Iterator[Zygote]:
    """Start the zygote on the database of this test process; it ends with the block, or with the test process."""
    ours, theirs = Pipe()
    with closing(ours):
        with closing(theirs):
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.zygote", str(theirs.fileno())],
                cwd=REPOSITORY,
                env=database_environment(),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        try:
            yield Zygote(ours)
        finally:
            ours.close()
            process.wait(HANGS_AFTER_SECONDS)


def database_environment() -> dict[str, str]:
    """Return variables with which a process works on this test's database."""
    database = connection.settings_dict
    url = f"postgresql://{database['USER']}@/{database['NAME']}?host={quote(str(database['HOST']), safe='')}"
    if database["PORT"]:
        url += f"&port={database['PORT']}"
    return os.environ | {"DATABASE_URL": url, "REDIS_URL": settings.REDIS_URL, "PYTHONPATH": str(REPOSITORY)}


def serve(line: Connection) -> None:
    """Fork a child for each request until nobody is there to ask. Runs in the zygote."""
    session_table()  # a second's work, which every child would do again
    gc.freeze()  # a collection in a child would copy all memory
    while True:
        try:
            task = line.recv()
        except EOFError:
            return
        line.send(_child(task))


def _child(task: _Task) -> Ended:
    said, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(said)
        _work(task, told)
    os.close(told)
    with os.fdopen(said, "rb") as read:
        if task.after_seconds is not None and not select([read], [], [], task.after_seconds)[0]:
            os.kill(pid, signal.SIGKILL)
        text = read.read().decode(errors="replace")
    return Ended(os.waitpid(pid, 0)[1], text)


def _work(task: _Task, told: int) -> None:
    """Do the work in a child, with as much time as a trial may take; never returns."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(HANGS_AFTER_SECONDS)
    try:
        if task.at is not None:
            arm(task.at, passage=task.passage)
        task.work(*task.arguments)
    except BaseException:  # noqa: BLE001 - whatever it was, a child never becomes a second zygote
        os.write(told, traceback.format_exc().encode())
        os._exit(1)
    os._exit(0)
