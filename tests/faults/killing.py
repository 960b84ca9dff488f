"""A supervisor for tests: child processes that die by SIGKILL at a named place, a hundred in the time of one start.

A zygote is forked once, before there are threads and sockets, with everything imported. For each trial it forks a child
that opens a database connection of its own, is armed, and does what it is told. Only a child that died by SIGKILL at
the place counts; one that got through, failed or hung is told apart.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from select import select
from typing import Any

from django.db import connections

from execution.crashpoints import Point, arm
from marketdata.calendar import session_table

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

    def __init__(self, line: Connection, pid: int) -> None:
        self._line = line
        self._pid = pid

    def kill(self, work: Work, *arguments: Any, at: Point, passage: int = 1) -> Ended:
        """Let a child do the work and die at the n-th passage of the place."""
        return self._run(_Task(work=work, arguments=arguments, at=at, passage=passage))

    def kill_after(self, work: Work, *arguments: Any, seconds: float) -> Ended:
        """Let a child do the work and die some time after its beginning, wherever it is."""
        return self._run(_Task(work=work, arguments=arguments, after_seconds=seconds))

    def run(self, work: Work, *arguments: Any) -> Ended:
        """Let a child do the work and live."""
        return self._run(_Task(work=work, arguments=arguments))

    def close(self) -> None:
        """Let it end."""
        self._line.close()
        os.waitpid(self._pid, 0)

    def _run(self, task: _Task) -> Ended:
        self._line.send(task)
        ended = self._line.recv()
        assert isinstance(ended, Ended)
        return ended


@contextmanager
def zygote() -> Iterator[Zygote]:
    """Fork the zygote; it ends with the block, or with the test process."""
    ours, theirs = Pipe()
    pid = _fork()
    if pid == 0:
        ours.close()
        _serve(theirs)
    theirs.close()
    with closing(Zygote(ours, pid)) as here:
        yield here


def _fork() -> int:
    """Fork although there may be threads: the child uses nothing that another thread can have locked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on
        return os.fork()


def _serve(line: Connection) -> None:
    """Fork a child for each request until nobody is there to ask; never returns."""
    try:
        _forget_connections()
        session_table()  # a second's work, which every child would do again
        gc.freeze()  # a collection in a child would copy all memory
        while True:
            try:
                task = line.recv()
            except EOFError:
                os._exit(0)
            line.send(_child(task))
    except BaseException:  # noqa: BLE001 - whatever it was, a forked process never returns into the test's code
        sys.stderr.write(traceback.format_exc())
        os._exit(1)


def _forget_connections() -> None:
    """Leave connections of the process before to that process: a good-bye from here would end its own."""
    for each in connections.all(initialized_only=True):
        _kept.append(each.connection)
        each.connection = None


_kept: list[object] = []
"""What must not be closed by being forgotten."""


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
    except BaseException:  # noqa: BLE001 - as above
        os.write(told, traceback.format_exc().encode())
        os._exit(1)
    os._exit(0)
