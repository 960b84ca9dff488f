"""The shape of a process that works in rounds until it is told to stop."""

import signal
import threading
from argparse import ArgumentParser
from datetime import datetime, timedelta
from types import FrameType
from typing import Any

import structlog
from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError, close_old_connections, connection

from marketdata.clock import wall_now
from risk.release import code_version
from trading.services.heartbeats import beat

log = structlog.get_logger(__name__)

BEAT_EVERY = timedelta(seconds=2)
PAUSE_AFTER_FAILURE_SECONDS = 1
MAX_PAUSE_SECONDS = 30
DATABASE_AWAY = (OperationalError, InterfaceError)
COMPLAIN_EVERY = 30
"""Failures in a row; a database that is away would fill the log with the same line each second."""


class WorkerCommand(BaseCommand):
    """Rounds with a pause between them; a round that fails is logged and tried again, more slowly each time."""

    name = ""
    """Name of the heartbeat."""
    pause = timedelta(seconds=1)
    """Time between two rounds."""
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add `--once`."""
        parser.add_argument("--once", action="store_true", help="do one round and end; its failure is the exit code")

    def handle(self, *args: Any, **options: Any) -> None:
        """Work until SIGTERM or SIGINT."""
        code_version()  # before the files can change under the running process
        self.stopping = threading.Event()
        self.last_beat: datetime | None = None
        if options["once"]:
            self.start()
            self.round()
            self._beat()
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        log.info("process_started", name=self.name)
        self._loop()
        self.finish()
        log.info("process_stopped", name=self.name)

    def start(self) -> None:
        """Prepare; called again after each failure."""

    def round(self) -> None:
        """Do what is due now."""
        raise NotImplementedError

    def wait(self) -> None:
        """Pause between two rounds; ends early when the process is told to stop."""
        self.stopping.wait(self.time_between_rounds().total_seconds())

    def finish(self) -> None:
        """Say good-bye."""

    def time_between_rounds(self) -> timedelta:
        """Return the pause."""
        return self.pause

    def detail(self) -> dict[str, Any]:
        """Return what the heartbeat tells beside the time."""
        return {}

    def _loop(self) -> None:
        failures = 0
        started = False
        while not self.stopping.is_set():
            try:
                if not started:
                    self.start()
                    started = True
                self.round()
                self._beat()
                failures = 0
            except DATABASE_AWAY as error:
                # It is looked for each second: orders are taken again at once when it is back, and must not wait here.
                failures, started = failures + 1, False
                if failures % COMPLAIN_EVERY == 1:
                    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
                    log.error("process_without_database", name=self.name, failures=failures, reason=reason)
                self._drop_broken_connection()
                self.stopping.wait(PAUSE_AFTER_FAILURE_SECONDS)
                continue
            except Exception:  # the outermost loop of a process: whatever it was, it is logged and tried again
                failures, started = failures + 1, False
                log.exception("process_round_failed", name=self.name, failures=failures)
                self._drop_broken_connection()
                self.stopping.wait(min(PAUSE_AFTER_FAILURE_SECONDS * 2 ** min(failures - 1, 5), MAX_PAUSE_SECONDS))
                continue
            self.wait()

    def _beat(self) -> None:
        now = wall_now()
        if self.last_beat is None or now - self.last_beat >= BEAT_EVERY:
            beat(name=self.name, wall_now=now, detail=self.detail())
            self.last_beat = now

    def _drop_broken_connection(self) -> None:
        if connection.in_atomic_block:
            connection.set_rollback(True)
        connection.close_if_unusable_or_obsolete() if connection.connection else close_old_connections()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping.set()
