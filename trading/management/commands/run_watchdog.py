"""Watch the other processes, and stop trading when those that it cannot do without are dead."""

from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings

from execution.brokers.base import BrokerError
from execution.brokers.registry import broker_for
from execution.selectors import desk_account
from marketdata.clock import wall_now
from trading.management.worker import WorkerCommand
from trading.services.dead_man import DeadMan

log = structlog.get_logger(__name__)
FIRST_PATIENCE = timedelta(minutes=2)


class Command(WorkerCommand):
    """One look a second, over a database connection of its own."""

    help = (
        "The dead man's switch: when the clock or the dispatcher gives no sign of life for DEAD_MAN_SECONDS while "
        "orders are open or anything is held, the kill switch of the desk's account is engaged; with a dead "
        "dispatcher its cancels are sent from here. Nothing resumes by itself."
    )
    name = "watchdog"

    def start(self) -> None:
        """Begin to listen anew: what was silent while the database was away says nothing."""
        patience = timedelta(seconds=settings.DEAD_MAN_SECONDS)
        self.man = DeadMan(since=wall_now(), patience=patience, first_patience=max(patience, FIRST_PATIENCE))

    def round(self) -> None:
        """Look once."""
        account = desk_account(str(settings.TRADING_MODE))
        if account is None:
            return
        try:
            self.man.look(account=account, broker_of=broker_for, wall_now=wall_now())
        except BrokerError as error:
            log.warning("watchdog_cancels_not_sent", account=account.name, reason=error.reason)
        finally:
            self.man.rest(wall_now())

    def detail(self) -> dict[str, Any]:
        """Tell who is silent."""
        return {"silent": list(self.man.silent)}
