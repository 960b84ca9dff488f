"""Keep a set of processes running: restart with back-off, one log stream, a clean end.

Each child leads a process group of its own, so that Ctrl-C in the terminal reaches the supervisor only, and so that
what a child forked is stopped with it. On Linux the kernel ends the children of a killed supervisor.
"""

import asyncio
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 30.0
HEALTHY_SECONDS = 60.0
STOP_SECONDS = 10.0
LINE_LIMIT = 1 << 20  # bytes; a longer line is cut into pieces
POLL_SECONDS = 0.05
PR_SET_PDEATHSIG = 1

Say = Callable[[str, str], None]


class ChildState(StrEnum):
    """What a child is doing."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run under a name."""

    name: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long the supervisor waits for what, in seconds."""

    first_backoff: float = FIRST_BACKOFF_SECONDS
    longest_backoff: float = LONGEST_BACKOFF_SECONDS
    healthy: float = HEALTHY_SECONDS
    stop: float = STOP_SECONDS

    def backoff(self, failures: int) -> float:
        """Return the pause before the next start after some failures in a row."""
        return min(self.first_backoff * float(2 ** max(failures - 1, 0)), self.longest_backoff)


class Child:
    """One program and the process that runs it now."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: asyncio.subprocess.Process | None = None
        self.state = ChildState.STARTING
        self.since = time.time()
        self.restarts = 0
        self.failures = 0
        self.last_exit: int | None = None

    def enter(self, state: ChildState) -> None:
        """Note a new state and since when it holds."""
        self.state = state
        self.since = time.time()

    def as_row(self) -> dict[str, Any]:
        """Return what the state file says of it."""
        return {
            "name": self.program.name,
            "pid": self.process.pid if self.process is not None else None,
            "state": self.state.value,
            "since": self.since,
            "restarts": self.restarts,
            "last_exit": self.last_exit,
        }


@dataclass(frozen=True, slots=True)
class RunningChild:
    """What the state file of a living supervisor says of one of its processes; `since` is wall time, Unix seconds."""

    pid: int
    state: str
    since: float


def running_child(state_file: Path, name: str) -> RunningChild | None:
    """Return the process of that name; None without a supervisor that lives, or without such a process."""
    try:
        state = json.loads(state_file.read_text())
        os.kill(int(state["pid"]), 0)
        rows = {row["name"]: row for row in state["processes"]}
        row = rows.get(name)
        if row is None or row["pid"] is None:
            return None
        return RunningChild(int(row["pid"]), str(row["state"]), row["since"])
    except (OSError, OverflowError, ValueError, KeyError, TypeError):
        return None


def die_with_parent() -> Callable[[], None] | None:
    """Return what a child calls before it becomes its program, so that it never outlives a killed supervisor."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """Run programs until told to stop."""

    def __init__(self, programs: Sequence[Program], *, say: Say, state_file: Path, patience: Patience) -> None:
        self.children = [Child(program) for program in programs]
        self.say = say
        self.state_file = state_file
        self.patience = patience
        self.stopping = asyncio.Event()
        self.before_exec = die_with_parent()

    async def run(self) -> None:
        """Start everything, keep it running, and return when all of it is gone."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        async with asyncio.TaskGroup() as group:
            for child in self.children:
                group.create_task(self.keep_running(child))
            group.create_task(self.stop_all_when_told())
        self.state_file.unlink(missing_ok=True)

    def stop(self) -> None:
        """Begin the end; a second call changes nothing."""
        if not self.stopping.is_set():
            self.say("up", "stopping")
            self.stopping.set()

    async def keep_running(self, child: Child) -> None:
        """Start one program again and again, more slowly after each failure in a row."""
        while not self.stopping.is_set():
            started = time.monotonic()
            await self.run_once(child)
            if self.stopping.is_set():
                break
            healthy = time.monotonic() - started >= self.patience.healthy
            child.failures = 1 if healthy else child.failures + 1
            pause = self.patience.backoff(child.failures)
            self.say("up", f"{child.program.name} ended with {child.last_exit}, again in {pause:g} s")
            child.enter(ChildState.WAITING)
            self.write_state()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), pause)
            child.restarts += 1
        child.enter(ChildState.STOPPED)
        self.write_state()

    async def run_once(self, child: Child) -> None:
        """Start the program, pass on what it prints, and wait for its end."""
        child.enter(ChildState.RUNNING)
        try:
            child.process = await asyncio.create_subprocess_exec(
                *child.program.command,
                env=os.environ | child.program.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                limit=LINE_LIMIT,
                start_new_session=True,
                preexec_fn=self.before_exec,
            )
        except OSError as error:
            self.say(child.program.name, f"cannot start: {error}")
            child.last_exit = 127
            return
        self.write_state()
        await self.pass_on(child, child.process)
        child.last_exit = await ended(child.process)
        child.process = None

    async def pass_on(self, child: Child, process: asyncio.subprocess.Process) -> None:
        """Copy a process' lines into the one stream until it ends; what it forked may hold the pipe longer."""
        reader = asyncio.ensure_future(self.copy_lines(child, process))
        await ended(process)
        signal_group(process.pid, signal.SIGKILL)  # whatever it forked and left behind
        with suppress(TimeoutError):
            await asyncio.wait_for(reader, 1)

    async def copy_lines(self, child: Child, process: asyncio.subprocess.Process) -> None:
        """Copy lines until the pipe closes."""
        if process.stdout is None:
            return
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than the limit: what was buffered is gone
                continue
            if not line:
                return
            self.say(child.program.name, line.decode(errors="replace").rstrip("\n"))

    async def stop_all_when_told(self) -> None:
        """Ask all children to end, and end those that do not in time."""
        await self.stopping.wait()
        running = [(child.program.name, child.process) for child in self.children if child.process is not None]
        if not running:
            return
        for _, process in running:
            with suppress(ProcessLookupError):
                process.terminate()
        ends = {asyncio.ensure_future(ended(process)): (name, process) for name, process in running}
        _, late = await asyncio.wait(ends, timeout=self.patience.stop)
        for end in late:
            name, process = ends[end]
            self.say("up", f"{name} does not stop: killed")
            signal_group(process.pid, signal.SIGKILL)

    def write_state(self) -> None:
        """Tell others what runs, for `status`; the file is replaced whole."""
        state = {"pid": os.getpid(), "processes": [child.as_row() for child in self.children]}
        draft = self.state_file.with_suffix(".tmp")
        draft.write_text(json.dumps(state))
        draft.replace(self.state_file)


async def ended(process: asyncio.subprocess.Process) -> int:
    """Wait for the end of a process alone, and return its exit code.

    Its own `wait` also waits for the pipe, which whatever it forked keeps open.
    """
    while process.returncode is None:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(POLL_SECONDS)
    return process.returncode


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a child and all it forked; nothing where they are gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


async def answers(host: str, port: int, path: str) -> bool:
    """Say whether an HTTP server answers a path with 200."""
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 2)
    except (OSError, TimeoutError):
        return False
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        status = await asyncio.wait_for(reader.readline(), 5)
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()
    return b" 200 " in status
