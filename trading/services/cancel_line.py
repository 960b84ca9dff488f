"""Cancels on a way of their own: whatever else of the dispatcher hangs, a cancel that was asked for leaves at once.

While a submit is under way, what the broker tells is booked here as well: the book must not stand still with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError, connection

from execution.brokers.base import Broker
from execution.models import Account
from execution.services.cancel_sending import send_cancels
from execution.services.cancel_turns import Turns
from execution.services.reports import apply_reports
from execution.services.waking import CHANNEL
from execution.services.wishes import fulfil_wishes

log = structlog.get_logger(__name__)

LOOK_EVERY = timedelta(milliseconds=500)
PAUSE = timedelta(seconds=1)
"""While the database is away."""
STOP_SECONDS = 3


class CancelLine:
    """One thread with a database connection of its own: kill switches from disk, then cancels of one account.

    Woken by PostgreSQL when a cancel is stored, and twice a second anyway. Cancels go out only while it is `allow`ed.
    """

    def __init__(self, *, account: Account, broker: Broker, var_dir: Path | str, wall: Callable[[], datetime]) -> None:
        self.account_id = account.pk
        self._broker = broker
        self._var_dir = var_dir
        self._wall = wall
        self._allowed, self._stopping = threading.Event(), threading.Event()
        self._books = threading.Event()
        self._turns = Turns()
        self._listens: Any = None
        self._thread = threading.Thread(target=self._run, name="cancels", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Tell whether the thread works."""
        return self._thread.is_alive()

    def allow(self, allowed: bool) -> None:
        """Let cancels out, or none when another account answers at the broker."""
        if allowed:
            self._allowed.set()
        else:
            self._allowed.clear()

    @contextmanager
    def booking(self) -> Iterator[None]:
        """Book what the broker tells during the block, which may hang in a call to it.

        Only then: a recovery that compares positions must not find a book that moves.
        """
        self._books.set()
        try:
            yield
        finally:
            self._books.clear()

    def stop(self) -> None:
        """End after the cancel that is on its way; one that hangs is not waited for."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)
        if self.is_alive:
            log.warning("cancel_line_does_not_end", seconds=STOP_SECONDS)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    self._round()
                    self._wait()
                except (DatabaseError, InterfaceError) as error:
                    log.warning("cancels_not_looked_at", reason=str(error).split("\n")[0])
                    connection.close()
                    self._stopping.wait(PAUSE.total_seconds())
        finally:
            connection.close()

    def _round(self) -> None:
        now = self._wall()
        fulfil_wishes(self._var_dir, wall_now=now)
        if self._allowed.is_set():
            account = Account.objects.select_related("feed").get(pk=self.account_id)
            market_at = account.feed.market_now(now)
            send_cancels(account=account, broker=self._broker, wall_now=now, market_at=market_at, turns=self._turns)
            if self._books.is_set():
                apply_reports(account=account, broker=self._broker, wall_now=now)

    def _wait(self) -> None:
        connection.ensure_connection()
        raw: Any = connection.connection
        if raw is not self._listens:
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
            self._listens = raw
            return  # what was stored before nobody told us
        for _ in raw.notifies(timeout=LOOK_EVERY.total_seconds(), stop_after=1):
            return
