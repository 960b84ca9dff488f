"""Start everything and keep it running."""

import asyncio
import fcntl
import os
import socket
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from execution.brokers.base import BrokerError
from execution.selectors import desk_account, open_orders
from marketdata.clock import wall_now
from marketdata.errors import MarketDataError
from trading.management.halt_here import cancel_before_stop
from trading.preparation import prepare
from trading.processes import PROCESSES, needed_here
from trading.supervisor import Patience, Program, Supervisor, answers

LOCAL = "127.0.0.1"
READY_SECONDS = 120
STOP_SECONDS = 15
"""How long a clean stop waits for the broker's word on cancels."""


class Command(BaseCommand):
    """Prepare, then supervise until Ctrl-C or SIGTERM."""

    help = (
        "Start everything: the database's tables, the sample, then the processes "
        f"{', '.join(process.name for process in PROCESSES)}; restart what ends. "
        "Ctrl-C stops everything cleanly; open orders are kept or canceled as OPEN_ORDERS_AT_STOP says. "
        "Exit code 0 after a clean stop, 1 when the start failed."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the options."""
        parser.add_argument("--host", default=LOCAL, help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=settings.PORT, help="console; the API's own is one higher")
        parser.add_argument("--speed", type=speed_of, metavar="N", help="market seconds in a second of the replay")
        parser.add_argument(
            "--processes",
            nargs="+",
            choices=[process.name for process in PROCESSES],
            default=[process.name for process in needed_here()],
            metavar="NAME",
            help="only these",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Check, prepare, supervise."""
        self.started = time.monotonic()
        host, port, names = options["host"], options["port"], options["processes"]
        with only_one(settings.VAR_DIR / "run" / "up.lock"):
            for needed in [port] * ("web" in names) + [port + 1] * ("api" in names):
                refuse_taken(host, needed)
            try:
                self.passwords = prepare(say=self.announce, speed=options["speed"])
            except (BrokerError, MarketDataError) as error:
                raise CommandError(f"{settings.TRADING_MODE}: {error}; nothing was sent") from None
            connections.close_all()
            try:
                asyncio.run(self.supervise(host, port, names))
                self.settle_orders(names)
            finally:
                self.announce("stopped")
                self.tell_passwords()

    def settle_orders(self, names: list[str]) -> None:
        """Do with open orders at a clean stop what the settings say, and tell what was done."""
        account = desk_account(str(settings.TRADING_MODE)) if "dispatcher" in names else None
        if account is None:
            return
        if settings.OPEN_ORDERS_AT_STOP == "keep":
            count = open_orders(account).count()
            self.announce(f"open orders stay open: {count} (OPEN_ORDERS_AT_STOP=keep)")
            return
        try:
            self.announce(cancel_before_stop(account=account, seconds=STOP_SECONDS, now=wall_now))
        except BrokerError as error:
            self.announce(f"open orders are NOT canceled: {error.reason}; look at the broker")

    async def supervise(self, host: str, port: int, names: list[str]) -> None:
        """Run the processes, and tell once the console answers."""
        supervisor = Supervisor(
            programs(host, port, names),
            say=self.say,
            state_file=settings.VAR_DIR / "run" / "supervisor.json",
            patience=Patience(),
        )
        greeting = asyncio.create_task(self.greet_when_ready(supervisor, host, port, names))
        try:
            await supervisor.run()
        finally:
            greeting.cancel()

    async def greet_when_ready(self, supervisor: Supervisor, host: str, port: int, names: list[str]) -> None:
        """Print the console's address once it answers."""
        if "web" not in names:
            return
        near = LOCAL if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 -- compared, not bound
        while not await answers(near, port, "/health/live"):
            if supervisor.stopping.is_set():
                return
            if time.monotonic() - self.started > READY_SECONDS:
                self.announce(f"the console does not answer after {READY_SECONDS} s; its lines above say why")
                return
            await asyncio.sleep(0.1)
        self.greet(near, port)

    def greet(self, host: str, port: int) -> None:
        """Tell where the console is and how to log in."""
        took = time.monotonic() - self.started
        self.stdout.write(f"\nPortcullis is ready after {took:.1f} s: http://{host}:{port}")
        self.tell_passwords()
        self.stdout.write("")
        self.stdout.flush()

    def tell_passwords(self) -> None:
        """Print the passwords made in this start, the only time they can be read."""
        for name, password in self.passwords.items():
            self.stdout.write(f"  log in as {name} with the password {password}")
        if self.passwords:
            self.stdout.write("  (printed this once; `manage.py changepassword NAME` sets another)")
        self.passwords = {}

    def announce(self, text: str) -> None:
        """Tell something of our own."""
        self.say("up", text)

    def say(self, name: str, line: str) -> None:
        """Write one line of the one stream."""
        self.stdout.write(f"{name:<10} | {line}")
        self.stdout.flush()


def programs(host: str, port: int, names: list[str]) -> list[Program]:
    """Return what to run; each process learns its role."""
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    commands = {
        "web": [sys.executable, "-m", "daphne", "-v", "0", "-b", host, "-p", str(port), "trading.asgi:application"],
        "api": [
            *(sys.executable, "-m", "gunicorn", "-c", str(settings.BASE_DIR / "deploy" / "gunicorn.conf.py")),
            *("--chdir", str(settings.BASE_DIR), "--bind", f"{host}:{port + 1}", "trading.wsgi:application"),
        ],
    } | {process.name: [*manage, process.command] for process in PROCESSES if process.command}
    base = {"DJANGO_SETTINGS_MODULE": "trading.settings", "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(settings.BASE_DIR)}
    return [
        Program(name=name, command=commands[name], environment=base | {"PROCESS_ROLE": name, "PORT": str(port)})
        for name in (process.name for process in PROCESSES)
        if name in names
    ]


def speed_of(text: str) -> Decimal:
    """Read a replay's speed."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None


def refuse_taken(host: str, port: int) -> None:
    """Fail where another program listens on the port.

    :raises CommandError: it does
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(f"port {port} on {host}: {error.strerror}; PORT=… chooses another") from None


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold a lock while this installation runs.

    :raises CommandError: it runs already
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise CommandError(f"already running with the data in {path.parent.parent}") from None
    finally:
        os.close(descriptor)
