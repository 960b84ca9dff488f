"""The platform's own processes on servers of their own, at an emulator whose log says what truly left.

Everything here may be killed, stopped and emptied without anybody else's tests noticing; PostgreSQL keeps its promises
(`fsync` is on), because that is what is looked at. Time is the wall's: these are real processes.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import psycopg

from execution.emulator.clock import VenueClock
from execution.emulator.log import Entry, EventLog
from execution.emulator.market import ScriptedMarket
from execution.emulator.server import RunningEmulator
from execution.emulator.venue import VenueSettings
from marketdata.clock import wall_now
from tests.factories import MARKET_AT, D
from trading import embedded
from trading.management.commands.up import programs
from trading.supervisor import die_with_parent

REPOSITORY = Path(__file__).resolve().parents[2]
LOCAL = "127.0.0.1"
PATIENCE = timedelta(seconds=60)
PAUSE = Event()
CASH = D(10) ** 10
WIDE_RATE = 1_000_000_000
PROCESSES = ("web", "api", "dispatcher", "trade_updates")
STOP_SECONDS = 15


class StampedLog(EventLog):
    """The broker's log with the wall's time beside each entry: its own `at` is the market's."""

    def __init__(self) -> None:
        super().__init__()
        self.walls: list[datetime] = []

    def add(self, kind: str, *, at: datetime, **data: Any) -> Entry:
        self.walls.append(wall_now())
        return super().add(kind, at=at, **data)

    def stamped(self, kind: str) -> list[tuple[datetime, Entry]]:
        """Return what happened of a kind, with the wall's time."""
        return [(self.walls[entry.sequence - 1], entry) for entry in self.entries(kind=kind)]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; status 0 is a connection that ended without one. `seconds` from the connect to the last byte."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0

    def json(self) -> Any:
        return json.loads(self.body)


class Outpost:
    """One desk: its servers, its processes and its broker."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.layout = embedded.layout_of(root)
        self.log = StampedLog()
        market = ScriptedMarket()
        market.say("AAPL", last=D(100), bid=D("99.99"), ask=D("100.01"), at=MARKET_AT)
        self.emulator = RunningEmulator(
            market=market,
            clock=VenueClock.manual(MARKET_AT),
            log=self.log,
            rate_limit=WIDE_RATE,
            settings=VenueSettings(starting_cash=CASH, participation=D(1)),
        )
        self.port = two_free_ports()
        self.tests, self.tag = 0, ""
        """Sets the names of one test's orders apart from all others'."""
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    # life

    def open(self) -> None:
        """Start servers, the broker and everything that trades."""
        assert not self.layout.for_tests, "what is proven here needs a server that keeps what it acknowledged"
        embedded.use_servers(self.layout, postgres=True, redis=True)
        with embedded.connect(self.layout, "postgres") as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {embedded.DATABASE} WITH (FORCE)")
            admin.execute(f"CREATE DATABASE {embedded.DATABASE}")
        self.emulator.start()
        seeded = subprocess.run(
            [sys.executable, "-m", "tests.faults.outpost_seed"],
            check=True, cwd=REPOSITORY, env=self.environment(), stdout=subprocess.PIPE,
        )  # fmt: skip
        told = json.loads(seeded.stdout)
        self.account_id, self.key, self.cookie = told["account"], told["key"], told["cookie"]
        for name in PROCESSES:
            self.start(name)
        until(self.is_ready, say=self.tails)

    def close(self) -> None:
        """End what was started, and the servers with it."""
        for name in list(self.running):
            self.stop(name)
        self.emulator.close()
        with suppress(embedded.EmbeddedServerError):
            embedded.release(self.layout)

    def environment(self) -> dict[str, str]:
        """Return what every process of the desk is told."""
        keys = self.emulator.keys
        return os.environ | {
            "VAR_DIR": str(self.root),
            "PYTHONPATH": str(REPOSITORY),
            "TRADING_MODE": "alpaca_paper",
            "ALPACA_API_KEY_ID": keys.key_id,
            "ALPACA_API_SECRET_KEY": keys.secret,
            "ALPACA_BASE_URL": self.emulator.url,
            "ALPACA_STREAM_URL": self.emulator.stream_url,
            "ALPACA_DATA_URL": self.emulator.url,
            "ALPACA_READ_TIMEOUT_MILLISECONDS": "2000",
            "API_ORDERS_PER_MINUTE": "1000000",
            "DJANGO_SETTINGS_MODULE": "trading.settings",
        }

    def start(self, name: str) -> None:
        """Start one of the platform's processes as `manage.py up` does."""
        program = next(each for each in programs(LOCAL, self.port, [name]) if each.name == name)
        with (self.layout.log / f"{name}.log").open("ab") as output:
            self.running[name] = subprocess.Popen(
                program.command,
                env=self.environment() | program.environment,
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End a process and all that it forked."""
        process = self.running.pop(name)
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)

    def repair(self) -> None:
        """Bring everything back to where a test may begin."""
        self.tests += 1
        self.tag = f"t{self.tests}"
        embedded.ensure_postgres(self.layout)
        embedded.ensure_redis(self.layout)
        for name in PROCESSES:
            if name in self.running and self.running[name].poll() is not None:
                self.stop(name)
            if name not in self.running:
                self.start(name)
        if self.sql("SELECT engaged FROM risk_killswitchevent ORDER BY id DESC LIMIT 1") == [(True,)]:
            self.release()
        until(self.is_ready, say=self.tails)

    def is_ready(self) -> bool:
        """Tell whether orders are taken and sent; fail at once when a process has ended."""
        ended = {name: process.returncode for name, process in self.running.items() if process.poll() is not None}
        assert not ended, f"ended: {ended}\n{self.tails()}"
        answers = all(self.ask("GET", "/health/live", port=port).status == 200 for port in (self.port, self.port + 1))
        return answers and self.may_trade()

    def may_trade(self) -> bool:
        """Tell whether the book was compared with the broker's, its stream is heard and the account not suspended."""
        query = (
            "SELECT a.reconciliation = 'clean' AND l.stream = 'live' AND NOT l.suspended_by_us "
            "FROM execution_account a JOIN execution_brokerlink l ON l.account_id = a.id WHERE a.id = %s"
        )
        return self.sql(query, self.account_id) == [(True,)]

    def tails(self) -> str:
        """Return how the logs of the processes end."""
        files = sorted(self.layout.log.glob("*.log"))
        return "\n".join(f"== {file.name}\n{file.read_text(errors='replace')[-1500:]}" for file in files)

    # servers

    def stop_postgres_at_once(self) -> None:
        """End PostgreSQL as a crash of the machine would: no checkpoint, no good-bye (`pg_ctl stop -m immediate`)."""
        process = embedded.postmaster(self.layout)
        assert process is not None, "PostgreSQL does not run"
        process.send_signal(signal.SIGQUIT)
        process.wait(STOP_SECONDS)

    def start_postgres(self) -> None:
        embedded.start_postgres(self.layout)

    def stop_redis(self) -> None:
        embedded.stop_redis(self.layout)

    def start_redis(self) -> None:
        embedded.ensure_redis(self.layout)

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a connection of the test's own, past everything."""
        return embedded.connect(self.layout, embedded.DATABASE)

    def sql(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own."""
        with closing(self.connect()) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    # what people and programs do

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        port: int | None = None,
        timeout: float = 30,
        **headers: str,
    ) -> Reply:
        """Send one request over a connection of its own, by default to the API's process."""
        began = wall_now()
        connection = http.client.HTTPConnection(LOCAL, port or self.port + 1, timeout=timeout)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, str | None) else json.dumps(body)
        with closing(connection):
            try:
                connection.request(method, path, data, {"Content-Type": "application/json"} | sent)
                answer = connection.getresponse()
                told = answer.read()
            except (OSError, http.client.HTTPException):
                return Reply(0, seconds=since(began))
        return Reply(answer.status, told, dict(answer.getheaders()), since(began))

    def program(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        """Send a request with the program's key."""
        return self.ask(method, path, body, Authorization=f"Token {self.key}", **options)

    def order_body(self, name: str, **fields: Any) -> dict[str, Any]:
        """Return the wish for one share of AAPL at a price that the market does not meet, unless said otherwise."""
        body = {
            "strategy": "manual",
            "symbol": "AAPL",
            "side": "buy",
            "quantity": "1",
            "order_type": "limit",
            "time_in_force": "day",
            "limit_price": "99.00",
            "client_order_id": name,
        }
        return {key: value for key, value in (body | fields).items() if value is not None}

    def order(self, name: str, *, timeout: float = 30, **fields: Any) -> Reply:
        """Ask for an order; see `order_body`."""
        wanted = self.order_body(name, **fields)
        return self.program("POST", "/api/v1/orders", wanted, Idempotency_Key=name, timeout=timeout)

    def engage(self, reason: str = "pressed by the proof of it", **options: Any) -> Reply:
        """Press the kill switch at the console's process, unless another port is named."""
        path, port = "/api/v1/kill-switch/engage", options.pop("port", self.port)
        return self.program("POST", path, {"reason": reason}, port=port, **options)

    def page(self, path: str = "/", **options: Any) -> Reply:
        """Open a page of the console as somebody who is logged in."""
        return self.ask("GET", path, port=self.port, Cookie=f"sessionid={self.cookie}", **options)

    def release(self) -> None:
        """Let trading go on without two people and a minute's wait, so that it can be stopped again."""
        self.sql(
            "INSERT INTO risk_killswitchevent "
            "(scope, engaged, operator, second_operator, reason, source, at, releases) "
            "SELECT 'global', false, 'test', 'other', 'the next round of the proof', 'command', now(), max(id) "
            "FROM risk_killswitchevent WHERE engaged"
        )

    def command(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `manage.py` as a person at a shell would."""
        return subprocess.run(
            [sys.executable, str(REPOSITORY / "manage.py"), *words],
            check=False, cwd=REPOSITORY, env=self.environment() | environment, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip

    # what truly happened

    def sent(self) -> list[str]:
        """Return the names of the orders that the broker took, from its log."""
        return [entry.data["client_order_id"] for entry in self.log.entries(kind="submitted")]

    def positions_agree(self) -> bool:
        """Tell whether the book's positions are the broker's."""
        rows = self.sql(
            "SELECT i.symbol, sum(p.quantity) FROM execution_position p JOIN marketdata_instrument i "
            "ON i.id = p.instrument_id WHERE p.account_id = %s GROUP BY 1 HAVING sum(p.quantity) <> 0",
            self.account_id,
        )
        return dict(rows) == self.emulator.call(self.log.positions)

    def is_settled(self) -> bool:
        """Tell whether no order waits or is without an answer, and the book is the broker's."""
        query = "SELECT count(*) FROM execution_order WHERE status IN ('pending', 'submitted', 'pending_cancel')"
        return self.sql(query) == [(0,)] and self.positions_agree()


def two_free_ports() -> int:
    """Return a port that is free together with the next one: the console's and the API's."""
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second, suppress(OSError, OverflowError):
            first.bind((LOCAL, 0))
            port = int(first.getsockname()[1])
            second.bind((LOCAL, port + 1))
            return port
    raise AssertionError("no two free ports side by side")


def since(began: datetime) -> float:
    """Return the seconds since an instant of the wall."""
    return (wall_now() - began).total_seconds()


def until(
    condition: Callable[[], bool], *, say: Callable[[], object] = lambda: "", within: timedelta = PATIENCE
) -> float:
    """Wait until something is true, looking twenty times a second; returns the seconds that it took."""
    began = wall_now()
    while not condition():
        if wall_now() - began > within:
            raise AssertionError(f"not within {within}: {say()}")
        PAUSE.wait(0.05)
    return since(began)


@contextmanager
def opened(root: Path) -> Iterator[Outpost]:
    """Open an outpost and close it again, whatever happens."""
    outpost = Outpost(root)
    try:
        outpost.open()
        yield outpost
    finally:
        outpost.close()
