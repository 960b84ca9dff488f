"""Send the desk's stored orders to its broker, as soon as they are stored."""

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import connection

from execution.brokers.base import Broker, BrokerError
from execution.brokers.registry import broker_for
from execution.models import Account
from execution.selectors import desk_account
from execution.services.dispatch import CHANNEL, dispatch_once
from execution.services.recovery import (
    begin_recovery,
    recover_account,
    resolve_unanswered,
)
from execution.services.reports import apply_reports
from execution.services.wishes import fulfil_wishes
from marketdata.clock import wall_now
from trading.management.worker import WorkerCommand

log = structlog.get_logger(__name__)

RESOLVE_EVERY = timedelta(seconds=5)


class Command(WorkerCommand):
    """Recovery first, then rounds: woken by PostgreSQL at each commit of an order, and once a second anyway."""

    help = "Send stored orders and cancels of the desk's account to its broker."
    name = "dispatcher"

    def start(self) -> None:
        """Listen, and settle what an earlier process left open; until that succeeds nothing leaves."""
        self.recovered = False
        self.resolved_at: datetime | None = None
        self.sent = 0
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")

    def round(self) -> None:
        """Stop first what somebody wanted stopped while the database was away; then send what waits."""
        fulfil_wishes(settings.VAR_DIR, wall_now=wall_now())
        account = desk_account(str(settings.TRADING_MODE))
        if account is None:
            return
        broker = broker_for(account)
        if not self.recovered and not self._recover(account, broker):
            return
        while not self.stopping.is_set():
            report = dispatch_once(account=account, broker=broker, wall_now=wall_now())
            self.sent += report.sent
            if not report.did_something:
                break
        # The answer to a cancel comes as a report: who pressed the kill switch should not wait for the next tick.
        apply_reports(account=account, broker=broker, wall_now=wall_now())
        self._resolve(account, broker)

    def wait(self) -> None:
        """Sleep until an order is stored, a second at most."""
        if self.stopping.is_set():
            return
        connection.ensure_connection()
        raw: Any = connection.connection
        for _ in raw.notifies(timeout=1, stop_after=1):
            return

    def detail(self) -> dict[str, Any]:
        """Tell how many orders this process has sent."""
        return {"sent": self.sent, "recovered": self.recovered}

    def _recover(self, account: Account, broker: Broker) -> bool:
        begin_recovery(account=account)
        try:
            resolved = recover_account(account=account, broker=broker, wall_now=wall_now())
        except BrokerError as error:
            log.warning("recovery_failed", account=account.name, reason=str(error))
            return False
        log.info("recovered", account=account.name, resolved=resolved, state=account.reconciliation)
        self.recovered = True
        return True

    def _resolve(self, account: Account, broker: Broker) -> None:
        """Ask about unanswered orders now and then."""
        now = wall_now()
        if self.resolved_at is not None and now - self.resolved_at < RESOLVE_EVERY:
            return
        self.resolved_at = now
        if resolve_unanswered(account=account, broker=broker, wall_now=now):
            apply_reports(account=account, broker=broker, wall_now=now)
