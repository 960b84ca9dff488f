"""Send the desk's stored orders to its broker, as soon as they are stored."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.core.management import CommandError
from django.db import DatabaseError, connection

from execution.brokers.alpaca_modes import NETWORK_MODES
from execution.brokers.base import Broker, BrokerError, BrokerNotConfigured, BrokerUnavailable, WrongAccount
from execution.brokers.registry import broker_for
from execution.halting.procedure import advance, ensure_procedures
from execution.models import Account
from execution.selectors import desk_account
from execution.services.broker_identity import verify_identity
from execution.services.dispatch import dispatch_once
from execution.services.recovery import (
    begin_recovery,
    recover_account,
    resolve_unanswered,
)
from execution.services.reports import apply_reports
from execution.services.second_lock import keep_second_lock
from execution.services.sweep import sweep, sweep_interval
from execution.services.waking import CHANNEL
from execution.services.wishes import fulfil_wishes
from marketdata import calendar
from marketdata.clock import wall_now
from risk.selectors import announced_version, is_outdated
from trading.management.worker import WorkerCommand
from trading.services.cancel_line import CancelLine

log = structlog.get_logger(__name__)

RESOLVE_EVERY = timedelta(seconds=5)
VERIFY_EVERY = timedelta(seconds=30)
VERIFY_SOONER = timedelta(seconds=10)
RETRY_VERIFY = timedelta(seconds=2)
LOOK_AGAIN_FIRST, LOOK_AGAIN_AT_LEAST = timedelta(seconds=1), timedelta(minutes=1)
COMPLAIN_EVERY = timedelta(minutes=1)
SENDING_AT_MOST = timedelta(seconds=2)
"""After this much sending a round looks at everything else: wishes, reports, its sign of life."""


class Command(WorkerCommand):
    """Recovery first, then rounds: woken by PostgreSQL at each commit of an order, and once a second anyway."""

    help = (
        "Send stored orders and cancels of the desk's account to its broker. Nothing is sent before the broker has "
        "said that it is the account that was met first; a wrong account or missing keys end the start with one line."
    )
    name = "dispatcher"

    recovered = False
    verified = False
    verified_at: datetime | None = None
    resolved_at: datetime | None = None
    swept_at: datetime | None = None
    look_again_after = LOOK_AGAIN_FIRST
    look_again_at = datetime.min.replace(tzinfo=UTC)
    complaint: tuple[str, datetime] | None = None
    cancels: CancelLine | None = None
    once = False
    more = False
    sent = 0

    def handle(self, *args: Any, **options: Any) -> None:
        """Refuse the start at a wrong account, then work until SIGTERM or SIGINT.

        :raises CommandError: no keys, or keys of another account; after a single round also a broker that is away
        """
        self.once = bool(options["once"])
        try:
            self._refuse_wrong_account()
        except DatabaseError as error:
            log.warning("start_not_checked", reason=str(error).splitlines()[0])  # the first round does it all again
        super().handle(*args, **options)
        if options["once"] and self.complaint is not None:
            raise CommandError(f"nothing is sent: {self.complaint[0]}")

    def start(self) -> None:
        """Listen, and settle what an earlier process left open; until that succeeds nothing leaves.

        The calendar is read first: it takes a second or more once, which the first order shall not wait.
        """
        self.recovered = False
        self.resolved_at = self.swept_at = None
        self.sent = 0
        calendar.session_table()
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")

    def round(self) -> None:
        """Stop first what somebody wanted stopped while the database was away; then send what waits."""
        self.more = False
        if not self._cancels_go_alone:
            fulfil_wishes(settings.VAR_DIR, wall_now=wall_now())
        account = desk_account(str(settings.TRADING_MODE))
        if account is None:
            return
        try:
            broker = broker_for(account)
        except BrokerNotConfigured as error:
            self._complain("broker_not_configured", error)
            return
        self._let_cancels_go(account, broker)
        if not self._verified(account, broker):
            return
        if not self._recovered(account, broker):
            self._send(account, broker)  # cancels alone: nothing else leaves an account that is not reconciled
            self._halts(account, broker)
            return
        self._send(account, broker)
        self._halts(account, broker)
        # The answer to a cancel comes as a report: who pressed the kill switch should not wait for the next tick.
        apply_reports(account=account, broker=broker, wall_now=wall_now())
        self._resolve(account, broker)
        self._sweep(account, broker)

    def finish(self) -> None:
        """End the thread of the cancels."""
        if self.cancels is not None:
            self.cancels.stop()

    def wait(self) -> None:
        """Sleep until an order is stored, a second at most, and not at all while orders wait to be sent."""
        if self.stopping.is_set() or self.more:
            return
        connection.ensure_connection()
        raw: Any = connection.connection
        for _ in raw.notifies(timeout=1, stop_after=1):
            return

    def detail(self) -> dict[str, Any]:
        """Tell how many orders this process has sent, and what keeps it from sending."""
        said = {"sent": self.sent, "recovered": self.recovered}
        if is_outdated():
            return said | {"problem": f"version {announced_version()} was announced: start this process anew"}
        return said if self.complaint is None else said | {"problem": self.complaint[0]}

    def _send(self, account: Account, broker: Broker) -> None:
        """Send cancels and orders until nothing is left to do or there is something else to look at.

        What was told meanwhile is booked before each look: an exit must not be judged on a position that is gone. The
        second lock follows right after the cancels of a kill switch.
        """
        until = wall_now() + SENDING_AT_MOST
        while not self.stopping.is_set():
            apply_reports(account=account, broker=broker, wall_now=wall_now())
            alone = self.cancels if self._cancels_go_alone else None
            with nullcontext() if alone is None else alone.booking():
                report = dispatch_once(account=account, broker=broker, wall_now=wall_now(), with_cancels=alone is None)
            self.sent += report.sent
            keep_second_lock(account=account, broker=broker, wall_now=wall_now())
            if not report.did_something:
                return
            if wall_now() >= until:
                self.more = True
                return

    @property
    def _cancels_go_alone(self) -> bool:
        """Tell whether a thread sends the cancels; otherwise the rounds do."""
        return self.cancels is not None and self.cancels.is_alive

    def _let_cancels_go(self, account: Account, broker: Broker) -> None:
        """Give cancels a thread of their own where the broker is on a network, which may hang.

        They need no recovery, only a broker that has said who it is.
        """
        if self.once or account.mode not in NETWORK_MODES:
            return
        if not self._cancels_go_alone:
            self.cancels = CancelLine(account=account, broker=broker, var_dir=settings.VAR_DIR, wall=wall_now)
            self.cancels.start()
        assert self.cancels is not None, "it was made just now"
        self.cancels.allow(self.verified)

    def _refuse_wrong_account(self) -> None:
        fulfil_wishes(settings.VAR_DIR, wall_now=wall_now())
        account = desk_account(str(settings.TRADING_MODE))
        if account is None:
            return
        try:
            verify_identity(account=account, broker=broker_for(account), wall_now=wall_now())
        except (BrokerNotConfigured, WrongAccount) as error:
            raise CommandError(f"nothing is sent: {error}") from None
        except BrokerError as error:
            self._complain("broker_not_reached", error)  # it may come back, and the rounds wait for it
            return
        self.verified, self.verified_at = True, wall_now()

    def _verified(self, account: Account, broker: Broker) -> bool:
        """Compare who answers with who was pinned, before the first order and every 30 seconds.

        A broker that is away for a moment is still the same; one that answers as somebody else is not.
        """
        now = wall_now()
        pause = RETRY_VERIFY if not self.verified else VERIFY_EVERY if self.complaint is None else VERIFY_SOONER
        if self.verified_at is not None and now - self.verified_at < pause:
            return self.verified
        self.verified_at = now
        try:
            verify_identity(account=account, broker=broker, wall_now=now)
        except WrongAccount as error:
            self.verified = self.recovered = False
            self._complain("wrong_account", error)
        except BrokerUnavailable as error:
            self._complain("broker_not_reached", error)
        else:
            self.verified, self.complaint = True, None
        if self.cancels is not None:
            self.cancels.allow(self.verified)
        return self.verified

    def _complain(self, event: str, error: BrokerError) -> None:
        """Log what keeps everything from leaving, once a minute while it stays the same."""
        now = wall_now()
        if self.complaint is None or self.complaint[0] != str(error) or now - self.complaint[1] >= COMPLAIN_EVERY:
            self.complaint = (str(error), now)
            log.error(event, reason=str(error))

    def _recovered(self, account: Account, broker: Broker) -> bool:
        """Recover at the start; where positions differ at a broker over a network, look again, ever more seldom.

        The difference may be an execution that happened while nobody listened, and whose report is on its way.
        """
        if not self.recovered:
            begin_recovery(account=account)
            return self._recover(account, broker)
        broken = account.reconciliation == Account.Reconciliation.BROKEN and account.mode in NETWORK_MODES
        if broken and wall_now() >= self.look_again_at:
            self._recover(account, broker)
        return True

    def _recover(self, account: Account, broker: Broker) -> bool:
        try:
            resolved = recover_account(account=account, broker=broker, wall_now=wall_now())
        except BrokerError as error:
            log.warning("recovery_failed", account=account.name, reason=str(error))
            return False
        log.info("recovered", account=account.name, resolved=resolved, state=account.reconciliation)
        broken = account.reconciliation == Account.Reconciliation.BROKEN
        self.look_again_after = min(self.look_again_after * 2, LOOK_AGAIN_AT_LEAST) if broken else LOOK_AGAIN_FIRST
        self.look_again_at = wall_now() + self.look_again_after
        self.recovered = True
        return True

    def _resolve(self, account: Account, broker: Broker) -> None:
        """Ask about unanswered orders now and then; a broker that cannot be asked is asked the next time."""
        now = wall_now()
        if self.resolved_at is not None and now - self.resolved_at < RESOLVE_EVERY:
            return
        self.resolved_at = now
        try:
            resolved = resolve_unanswered(account=account, broker=broker, wall_now=now)
        except BrokerError as error:
            log.warning("unanswered_not_resolved", account=account.name, reason=str(error))
            return
        if resolved:
            apply_reports(account=account, broker=broker, wall_now=now)

    def _halts(self, account: Account, broker: Broker) -> None:
        """Move every halt on: its cancels, its proof at the broker, its closing orders."""
        now = wall_now()
        ensure_procedures(account=account, wall_now=now)
        if advance(account=account, broker=broker, wall_now=now):
            self.more = True  # what it has asked for leaves at once

    def _sweep(self, account: Account, broker: Broker) -> None:
        """Look now and then, and more often while something is stopped, for orders that should be over."""
        now = wall_now()
        if self.swept_at is not None and now - self.swept_at < sweep_interval(account):
            return
        self.swept_at = now
        try:
            sweep(account=account, broker=broker, wall_now=now)
        except BrokerError as error:
            log.warning("not_swept", account=account.name, reason=str(error))
