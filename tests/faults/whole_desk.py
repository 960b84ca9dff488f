"""A whole installation as `manage.py up` runs it, at an emulator that replays a session; all of it may be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from shutil import rmtree
from threading import Event, Thread
from typing import Any

import psutil

from execution.emulator.bar_market import SampleMarket
from execution.emulator.clock import VenueClock
from execution.emulator.server import RunningEmulator
from execution.emulator.venue import VenueSettings
from marketdata.clock import wall_now
from tests.factories import D
from tests.faults.outpost import CASH, PAUSE, REPOSITORY, STOP_SECONDS, WIDE_RATE, Outpost, Reply, until
from trading import embedded
from trading.supervisor import die_with_parent

MORNING = datetime(2012, 6, 14, 15, 0, tzinfo=UTC)
START_WITHIN = timedelta(minutes=5)
ORDER_EVERY_SECONDS = 0.5
PATIENT_WATCHDOG = "180"  # seconds
PRICES = {"AAPL": "560.00", "IBM": "190.00", "MSFT": "29.00"}
"""What is offered for a share: a little below what it was traded at on that day."""
SEED = """
import django; django.setup()
from django.contrib.auth.models import User
from marketdata.clock import wall_now
from ops_console.scopes import Scope
from ops_console.services.tokens import create_token
from risk.limits import LIMITS
from tests.factories import allow
allow(**{name: limit.maximum for name, limit in LIMITS.items() if name.startswith("max_")})
allow(min_order_interval_seconds=0, identical_window_seconds=0)
print(create_token(user=User.objects.get(username="operator"), name="load", scope=Scope.RISK, now=wall_now()).key)
"""


class WholeDesk(Outpost):
    """One installation under its own supervisor."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.emulator = RunningEmulator(
            market=SampleMarket(),
            clock=VenueClock.replay(start=MORNING, end=None, speed=D(1), wall=wall_now),
            log=self.log,
            rate_limit=WIDE_RATE,
            settings=VenueSettings(starting_cash=CASH, participation=D(1)),
        )

    def open(self) -> None:
        """Start servers, the broker, and everything as an operator does."""
        embedded.use_servers(self.layout, postgres=True, redis=True)
        with embedded.connect(self.layout, "postgres") as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {embedded.DATABASE} WITH (FORCE)")
            admin.execute(f"CREATE DATABASE {embedded.DATABASE}")
        rmtree(self.root / "lake", ignore_errors=True)  # instruments come with the import of its bars
        self.emulator.start()
        with (self.layout.log / "up.log").open("wb") as output:
            self.running["up"] = subprocess.Popen(
                [sys.executable, str(REPOSITORY / "manage.py"), "up", "--port", str(self.port)],
                cwd=REPOSITORY,
                # Whoever comes back is waited for longer than the dead man's switch would, on a machine that is busy.
                env=self.environment() | {"DEAD_MAN_SECONDS": PATIENT_WATCHDOG},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )
        until(self.is_up, say=self.tails, within=START_WITHIN)
        seeded = subprocess.run(
            [sys.executable, "-c", SEED], check=True, cwd=REPOSITORY, env=self.environment(), stdout=subprocess.PIPE
        )
        self.key = seeded.stdout.decode().split()[-1]
        self.account_id = self.sql("SELECT id FROM execution_account")[0][0]
        until(self.is_ready, say=self.tails, within=START_WITHIN)

    def is_up(self) -> bool:
        """Tell whether the console answers; fail at once when the start has failed."""
        assert self.running["up"].poll() is None, self.tails()
        return self.ask("GET", "/health/live", port=self.port).status == 200

    # its processes

    def processes(self) -> dict[str, dict[str, Any]]:
        """Return what the supervisor says of each process, by name; empty while it writes its first word."""
        with suppress(OSError, ValueError):
            state = json.loads((self.root / "run" / "supervisor.json").read_text())
            return {row["name"]: row for row in state["processes"]}
        return {}

    def kill(self, name: str) -> int:
        """Send SIGKILL to the process that the supervisor names; return its id."""
        pid = self.pid_of(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def pid_of(self, name: str) -> int:
        """Return the id of a process that runs."""
        until(lambda: self.processes().get(name, {}).get("pid") is not None, say=self.tails)
        return int(self.processes()[name]["pid"])

    def kill_within(self, name: str, chosen: int) -> int:
        """Send SIGKILL to one of the processes that a process has forked; return its id."""
        parent = psutil.Process(self.pid_of(name))
        until(lambda: bool(parent.children()), say=self.tails)
        children = sorted(parent.children(), key=lambda child: child.pid)
        child = children[chosen % len(children)]
        child.kill()
        return int(child.pid)

    def is_back(self, name: str, killed: int) -> bool:
        """Tell whether another process runs under the name."""
        row = self.processes().get(name, {})
        return row.get("state") == "running" and row.get("pid") not in (None, killed)

    def has_beaten_since(self, name: str, at: datetime) -> bool:
        """Tell whether a process has shown a sign of life since a time of the wall."""
        found = self.sql("SELECT count(*) FROM trading_heartbeat WHERE name = %s AND at > %s", name, at)
        return found == [(1,)]


class Load:
    """A program that orders twice a second and asks again, under the same key, until it has an answer."""

    def __init__(self, desk: WholeDesk) -> None:
        self.desk = desk
        self.acknowledged: list[str] = []
        self.denied: dict[str, set[str]] = {}
        self.refused: list[str] = []
        self.asked_again = 0
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="load")

    def _run(self) -> None:
        for number in count():
            if self._stopping.wait(ORDER_EVERY_SECONDS):
                return
            symbol = list(PRICES)[number % len(PRICES)]
            self._order(f"load-{number}", symbol=symbol, limit_price=PRICES[symbol])

    def _order(self, name: str, **fields: str) -> None:
        while True:
            reply = self.desk.order(name, timeout=10, **fields)
            if reply.status in (200, 201):
                self.acknowledged.append(name)
                return
            if reply.status == 409 and (codes := denials_of(reply)):
                self.denied[name] = codes
                return
            if 400 <= reply.status < 500 and reply.status != 429:
                self.refused.append(f"{name}: {reply.status} {reply.body[:300]!r}")
                return
            self.asked_again += 1
            PAUSE.wait(ORDER_EVERY_SECONDS)

    def stop(self) -> None:
        """Order nothing more; what was asked for is still answered."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def denials_of(reply: Reply) -> set[str]:
    """Return the codes for which the gate denied an order."""
    return {str(denial["code"]) for denial in reply.json().get("denials", ())}


@contextmanager
def whole_desk(root: Path) -> Iterator[WholeDesk]:
    """Open an installation and end it again, whatever happens."""
    desk = WholeDesk(root)
    try:
        desk.open()
        yield desk
    finally:
        desk.close()
