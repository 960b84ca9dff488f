"""Hear what the desk's broker tells about its orders, and ask it what it may not have told."""

import asyncio
from argparse import ArgumentParser
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from django.conf import settings
from django.core.management.base import CommandError

from execution.brokers.alpaca_modes import NETWORK_MODES
from execution.brokers.base import BrokerError, WrongAccount
from execution.brokers.registry import alpaca_broker_for
from execution.models import Account, BrokerLink
from execution.selectors import desk_account
from execution.services.broker_identity import verify_identity
from execution.services.broker_link import note_stream
from execution.services.line_alerts import LineAlarm
from marketdata.clock import wall_now
from trading.management.worker import WorkerCommand

if TYPE_CHECKING:
    from execution.brokers.alpaca.trade_updates import TradeUpdates

log = structlog.get_logger(__name__)

STANDS_STILL_AFTER = timedelta(seconds=15)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(seconds=30)
STOP_SECONDS = 8


class Command(WorkerCommand):
    """The line itself lives on a loop in a thread of its own; each round looks whether it is well."""

    help = (
        "Hold the trade updates stream of the desk's account at Alpaca, cross-check by REST every two seconds while "
        "orders are open, and keep everything that is told. For TRADING_MODE alpaca_paper and alpaca_live."
    )
    name = "trade_updates"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what `--once` means here."""
        parser.add_argument("--once", action="store_true", help="one cross-check by REST, without the stream; then end")

    def handle(self, *args: Any, **options: Any) -> None:
        """Work until SIGTERM or SIGINT.

        :raises CommandError: this mode has no broker on a network
        """
        mode = str(settings.TRADING_MODE)
        if mode not in NETWORK_MODES:
            raise CommandError(f"TRADING_MODE is {mode}: only {', '.join(sorted(NETWORK_MODES))} have trade updates")
        self.once = bool(options["once"])
        self.updates: TradeUpdates | None = None
        self.pool: ThreadPoolExecutor | None = None
        self.failures = 0
        self.alarm: LineAlarm | None = None
        self.failing_since = self.try_at = wall_now()
        super().handle(*args, **options)

    def start(self) -> None:
        """Begin anew after a failure: end the line that is there."""
        self._hang_up()

    def round(self) -> None:
        """Look whether the line is well; open it when there is none.

        :raises BrokerError: with `--once`, the broker cannot be asked
        """
        try:
            if self.once:
                self._check_once()
            elif self.updates is None:
                if wall_now() >= self.try_at:
                    self._open()
            else:
                self._require_well(self.updates)
        except BrokerError as failure:
            if self.once:
                raise CommandError(failure.reason) from None
            self._note_failure(failure)

    def detail(self) -> dict[str, Any]:
        """Tell what came so far."""
        return {} if self.updates is None else dict(self.updates.counts)

    def finish(self) -> None:
        """Store what came, and say good-bye."""
        self._hang_up()

    def _account(self) -> Account:
        account = desk_account(str(settings.TRADING_MODE))
        if account is None:
            raise BrokerError(f"the desk has no account {settings.TRADING_MODE} yet", code="no_account")
        return account

    def _updates(self) -> "TradeUpdates":
        """Return the line of an account whose identity was verified."""
        from execution.brokers.alpaca.trade_updates import TradeUpdates  # its library takes long to load

        account = self._account()
        broker = alpaca_broker_for(account)
        verify_identity(account=account, broker=broker, wall_now=wall_now())
        return TradeUpdates(account=account, line=broker.line, wall=wall_now)

    def _check_once(self) -> None:
        asyncio.run(self._updates().check_once())

    def _open(self) -> None:
        self.updates = self._updates()
        self.loop = asyncio.new_event_loop()
        self.ending = asyncio.Event()
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="trade-updates")
        self.running: Future[None] = self.pool.submit(self._run, self.updates)
        self.failures = 0

    def _run(self, updates: "TradeUpdates") -> None:
        try:
            self.loop.run_until_complete(updates.run(self.ending))
        finally:
            self.loop.close()

    def _require_well(self, updates: "TradeUpdates") -> None:
        if self.running.done():
            self.running.result()
            raise RuntimeError("the line to the broker has ended by itself")
        progress = updates.progress
        if progress is not None and wall_now() - progress > STANDS_STILL_AFTER:
            raise RuntimeError(f"the line to the broker stands still since {progress:%H:%M:%S} UTC")

    def _note_failure(self, failure: BrokerError) -> None:
        """Say why there is no line, and wait longer after each failure in a row; heartbeats go on meanwhile."""
        self._hang_up()
        self.failures += 1
        if self.failures == 1:
            self.alarm, self.failing_since = None, wall_now()
        pause = min(FIRST_PAUSE * (1 << min(self.failures - 1, 5)), LONGEST_PAUSE)
        self.try_at = wall_now() + pause
        log.warning("broker_line_not_open", reason=failure.reason, again_in_seconds=pause.seconds)
        account = desk_account(str(settings.TRADING_MODE))
        if account is not None:
            wrong = isinstance(failure, WrongAccount)
            state = BrokerLink.Stream.REFUSED if wrong else BrokerLink.Stream.DOWN
            note_stream(account_id=account.pk, state=state, problem=failure.reason, heard_at=None, wall_now=wall_now())
            self._tell(account, state, failure.reason)

    def _tell(self, account: Account, state: str, problem: str) -> None:
        """Raise an alert once there has been no line for a while; the line resolves it when it listens."""
        self.alarm = self.alarm or LineAlarm(subject=account.scope)
        away = wall_now() - self.failing_since
        self.alarm.look(
            state=state, problem=problem, away=away, unsteady=False, rest_answers=False, wall_now=wall_now()
        )

    def _hang_up(self) -> None:
        """End the line's loop and thread, if there are any."""
        if self.pool is None:
            return
        with suppress(RuntimeError):  # the loop has closed just now
            self.loop.call_soon_threadsafe(self.ending.set)
        try:
            ended_by = self.running.exception(STOP_SECONDS)
        except TimeoutError:
            ended_by = None
            log.warning("broker_line_does_not_end", seconds=STOP_SECONDS)
        if ended_by is not None:
            log.warning("broker_line_ended", reason=str(ended_by) or type(ended_by).__name__)
        self.pool.shutdown(wait=False)
        self.pool = self.updates = None
