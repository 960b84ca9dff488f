"""The supervisor, with small programs for children."""

import asyncio
import json
import sys
import time
from pathlib import Path

import psutil
import pytest

from trading.supervisor import Patience, Program, Supervisor, answers

QUICK = Patience(first_backoff=0.05, longest_backoff=0.2, healthy=30, stop=0.5)
OBEDIENT = "import time\nprint('up', flush=True)\ntime.sleep(600)"
STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)"
)
FORKING = (
    "import os, time\nchild = os.fork()\nif child == 0:\n    time.sleep(600)\nprint(child, flush=True)\ntime.sleep(600)"
)
CRASHING = "raise SystemExit(3)"
KILLED_BESIDE_A_FORK = "import os, time\nif os.fork() == 0:\n    time.sleep(600)\nos.kill(os.getpid(), 9)"


class Desk:
    """A supervisor and what it said, with a way to wait for a line."""

    def __init__(self, folder: Path, **programs: str) -> None:
        self.lines: list[tuple[str, str]] = []
        self.heard = asyncio.Event()
        self.state_file = folder / "supervisor.json"
        self.supervisor = Supervisor(
            [Program(name=name, command=[sys.executable, "-c", code]) for name, code in programs.items()],
            say=self.say,
            state_file=self.state_file,
            patience=QUICK,
        )

    def say(self, name: str, line: str) -> None:
        self.lines.append((name, line))
        self.heard.set()

    async def until(self, *, name: str, count: int) -> list[str]:
        """Wait until a name was heard some times; return its lines."""
        async with asyncio.timeout(30):
            while len(self.of(name)) < count:
                self.heard.clear()
                await self.heard.wait()
        return self.of(name)

    def of(self, name: str) -> list[str]:
        return [line for speaker, line in self.lines if speaker == name]

    def pids(self) -> dict[str, int]:
        return {row["name"]: row["pid"] for row in json.loads(self.state_file.read_text())["processes"]}


async def stopped(desk: Desk, running: "asyncio.Task[None]") -> None:
    desk.supervisor.stop()
    async with asyncio.timeout(30):
        await running


def test_a_crashing_child_is_started_again_more_and_more_slowly(tmp_path):
    async def scenario() -> list[str]:
        desk = Desk(tmp_path, bad=CRASHING, good=OBEDIENT)
        running = asyncio.create_task(desk.supervisor.run())
        told = await desk.until(name="up", count=4)
        assert desk.of("good") == ["up"]
        await stopped(desk, running)
        return told

    assert asyncio.run(scenario())[:4] == [
        "bad ended with 3, again in 0.05 s",
        "bad ended with 3, again in 0.1 s",
        "bad ended with 3, again in 0.2 s",
        "bad ended with 3, again in 0.2 s",
    ]


def test_stopping_leaves_nothing_behind(tmp_path):
    async def scenario() -> tuple[Desk, list[int]]:
        desk = Desk(tmp_path, obedient=OBEDIENT, stubborn=STUBBORN, forking=FORKING)
        running = asyncio.create_task(desk.supervisor.run())
        for name in ("obedient", "stubborn"):
            await desk.until(name=name, count=1)
        (grandchild,) = await desk.until(name="forking", count=1)
        pids = [*desk.pids().values(), int(grandchild)]
        await stopped(desk, running)
        return desk, pids

    desk, pids = asyncio.run(scenario())
    deadline = time.monotonic() + 10
    while (left := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left == []
    assert "stubborn does not stop: killed" in desk.of("up")
    assert "obedient does not stop: killed" not in desk.of("up")
    assert not desk.state_file.exists()


def test_a_killed_child_is_missed_even_if_its_fork_holds_the_pipe(tmp_path):
    async def scenario() -> list[str]:
        desk = Desk(tmp_path, torn=KILLED_BESIDE_A_FORK)
        running = asyncio.create_task(desk.supervisor.run())
        told = await desk.until(name="up", count=2)
        await stopped(desk, running)
        return told

    assert asyncio.run(scenario())[0] == "torn ended with -9, again in 0.05 s"


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_program_that_does_not_exist_is_told(tmp_path):
    async def scenario() -> Desk:
        desk = Desk(tmp_path)
        program = Program(name="none", command=["/nowhere/program"])
        desk.supervisor = Supervisor([program], say=desk.say, state_file=desk.state_file, patience=QUICK)
        running = asyncio.create_task(desk.supervisor.run())
        await desk.until(name="up", count=1)
        await stopped(desk, running)
        return desk

    desk = asyncio.run(scenario())
    assert desk.of("none")[0].startswith("cannot start: ")


@pytest.mark.parametrize(("failures", "pause"), [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (50, 30)])
def test_back_off_doubles_up_to_half_a_minute(failures, pause):
    assert Patience().backoff(failures) == pause


def test_nobody_answers_on_a_closed_port():
    assert asyncio.run(answers("127.0.0.1", 1, "/health/live")) is False
