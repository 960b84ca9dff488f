"""The dead man's switch: when nobody decides or nobody sends any more, trading stops without anybody.

It runs in a process of its own with its own database connection. The scheduler (clock) evaluates the breaker, the
dispatcher carries out what people and rules want: without either of them, open orders and positions have no master.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.db.models import Q

from execution.brokers.base import Broker
from execution.models import Account, Order, Position
from execution.services.cancel_sending import send_cancels
from execution.services.halt import engage_kill_switch
from execution.services.reports import apply_reports
from execution.services.second_lock import keep_second_lock
from execution.states import OPEN
from risk.models import KillSwitchEvent
from risk.selectors import stop_scopes
from risk.services.alerts import raise_alert, resolve_alert
from risk.states import AlertSeverity, SwitchLevel
from risk.stops import rank
from trading.models import Heartbeat
from trading.processes import watched_here

log = structlog.get_logger(__name__)

ESSENTIAL = ("clock", "dispatcher")
OPERATOR = "watchdog"
SILENT = "process_silent"
ASLEEP = timedelta(seconds=10)
"""Wall time between two looks after which this process has slept itself, and knows nothing of the others."""
AHEAD = timedelta(seconds=5)
"""A sign of life further ahead of us is of a clock that has been put back since, and says nothing."""


@dataclass(slots=True)
class DeadMan:
    """What one watchdog knows of the others; `patience` is how long an essential process may be silent (wall time)."""

    since: datetime
    patience: timedelta
    first_patience: timedelta
    """For a process that this watchdog has never heard: it may still be starting."""
    heard: dict[str, datetime] = field(default_factory=dict)
    looked_at: datetime | None = None
    silent: tuple[str, ...] = ()
    told: set[str] = field(default_factory=set)
    well: set[str] = field(default_factory=set)
    has_asked: bool = False
    """The newest look has asked the broker, which may take longer than a sleep."""

    def look(self, *, account: Account, broker_of: Callable[[Account], Broker], wall_now: datetime) -> bool:
        """Look at the signs of life; tell whether trading was stopped now.

        While the dispatcher is dead and the account is stopped, this process sends the cancels and keeps the second
        lock itself. No network inside a transaction.
        :raises BrokerError: the broker cannot be asked; the stop itself stands
        """
        self._hear(wall_now)
        self.silent = tuple(name for name in ESSENTIAL if self._is_silent(name, wall_now))
        stopped = bool(self.silent) and self._stop(account, wall_now)
        self.has_asked = "dispatcher" in self.silent and _is_stopped(account)
        if self.has_asked:
            self._cancel(account, broker_of(account), wall_now)
        return stopped

    def rest(self, wall_now: datetime) -> None:
        """Note when a look was over: time that the broker has taken was no sleep, and the next look knows what it knew.

        Without it a broker that hangs would end the cancels that are sent from here for `first_patience`.
        """
        if self.has_asked and self.looked_at is not None:
            self.looked_at = max(self.looked_at, wall_now)

    def _hear(self, wall_now: datetime) -> None:
        if self.looked_at is not None and not timedelta() <= wall_now - self.looked_at < ASLEEP:
            log.warning("watchdog_slept", since=self.looked_at.isoformat())
            self.since = wall_now
            self.heard.clear()
        self.looked_at = wall_now
        beats = dict(Heartbeat.objects.values_list("name", "at"))
        for name, process in watched_here().items():
            if self.since < beats.get(name, self.since) <= wall_now + AHEAD:
                self.heard[name] = beats[name]
            self._tell(name, timedelta(seconds=process.dead_seconds), wall_now)

    def _silence(self, name: str, wall_now: datetime) -> timedelta:
        return wall_now - self.heard.get(name, self.since)

    def _is_silent(self, name: str, wall_now: datetime) -> bool:
        return self._silence(name, wall_now) > (self.patience if name in self.heard else self.first_patience)

    def _tell(self, name: str, limit: timedelta, wall_now: datetime) -> None:
        """Raise an alert at the beginning of a silence, and resolve it at its end."""
        limit = limit if name in self.heard else max(limit, self.first_patience)
        silence = self._silence(name, wall_now)
        if silence > limit and name not in self.told:
            self.told.add(name)
            self.well.discard(name)
            message = f"{name} gave no sign of life for {int(silence.total_seconds())} s"
            severity = AlertSeverity.CRITICAL if watched_here()[name].trades else AlertSeverity.WARNING
            raise_alert(code=SILENT, subject=name, severity=severity, message=message, now=wall_now)
        elif silence <= limit and name in self.heard and name not in self.well:
            resolve_alert(code=SILENT, subject=name, now=wall_now)  # perhaps an earlier watchdog's
            self.told.discard(name)
            self.well.add(name)

    def _stop(self, account: Account, wall_now: datetime) -> bool:
        """Engage the account's kill switch when something is at stake and nobody has stopped it yet."""
        if _is_stopped(account) or not is_at_stake(account):
            return False
        names = ", ".join(f"{name} for {int(self._silence(name, wall_now).total_seconds())} s" for name in self.silent)
        engage_kill_switch(
            scope=account.scope,
            operator=OPERATOR,
            reason=f"dead man's switch: no sign of life of {names}",
            source=KillSwitchEvent.Source.SYSTEM,
            wall_now=wall_now,
        )
        log.error("dead_mans_switch", account=account.name, silent=list(self.silent))
        return True

    def _cancel(self, account: Account, broker: Broker, wall_now: datetime) -> None:
        keep_second_lock(account=account, broker=broker, wall_now=wall_now)
        market_at = account.feed.market_now(wall_now)
        send_cancels(account=account, broker=broker, wall_now=wall_now, market_at=market_at)
        apply_reports(account=account, broker=broker, wall_now=wall_now)


def is_at_stake(account: Account) -> bool:
    """Tell whether the account has open orders or holds anything."""
    open_orders = Order.objects.filter(account=account, status__in=sorted(OPEN))
    return open_orders.exists() or Position.objects.filter(~Q(quantity=0), account=account).exists()


def _is_stopped(account: Account) -> bool:
    return rank(stop_scopes().level_of_account(account.scope)) >= rank(SwitchLevel.HALTED)
