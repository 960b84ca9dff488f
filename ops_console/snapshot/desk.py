"""Read what the frame of every page tells: may we trade, what time is it, what have we got, who is alive."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError

from execution import selectors as execution_selectors
from execution.brokers.alpaca_modes import NETWORK_MODES
from execution.models import Account, BrokerLink, Order, RefusedReport
from execution.selectors import RealtimePnl
from execution.services.reports import MOVES_SHARES
from execution.services.wishes import Wish, kept_wishes
from marketdata.models import TradingStatus
from ops_console.redis_light import redis_answers
from risk import selectors as risk_selectors
from risk.models import Alert, ReleaseRequest
from risk.selectors import BreakerStatus, KillSwitchStatus
from risk.states import AlertState, BreakerState, ReleaseState, SwitchLevel
from risk.stops import strongest
from trading.models import Heartbeat

# What a database that is away, restarting or out of connections raises.
DATABASE_AWAY = (DatabaseError, InterfaceError)
CANCEL_LATE = timedelta(seconds=10)
"""Wall time after which a cancel that is not done is a problem that people should know of."""
ANSWER_LATE = timedelta(seconds=3)
"""Wall time after which an order that was sent and not answered is one."""
MOST_ALERTS = 20
TOLD_ELSEWHERE = frozenset({"process_silent", "broker_report_refused"})
"""Alerts of what the page sees for itself, sooner."""
REFUSED_SHOWN = timedelta(days=1)
"""Wall time for which executions that could not be booked are shown as a problem; they stay in the records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The desk at one wall instant; what could not be read is None, and None never reads as well."""

    wall_now: datetime
    mode: str
    database: bool
    redis: bool
    account: Account | None = None
    market_at: datetime | None = None
    pnl: RealtimePnl | None = None
    kill: list[KillSwitchStatus] | None = None
    breaker: BreakerStatus | None = None
    heartbeats: Mapping[str, datetime] = field(default_factory=dict)
    requests: list[ReleaseRequest] = field(default_factory=list)
    wishes: list[Wish] = field(default_factory=list)
    halts: list[TradingStatus] = field(default_factory=list)
    link: BrokerLink | None = None
    late_cancels: list[Order] = field(default_factory=list)
    unanswered: list[Order] = field(default_factory=list)
    refused: list[RefusedReport] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)

    @property
    def kill_state(self) -> str:
        """`on` when everything or this account is stopped, `off` when neither is, `unknown` when nobody could tell."""
        if self.kill is None:
            return "unknown"
        return "on" if self.stops else "off"

    @property
    def stops(self) -> list[KillSwitchStatus]:
        """Switches that stop the whole desk, the global one first."""
        scopes = {"global", self.account.scope if self.account else ""}
        return [status for status in self.kill or [] if status.engaged and status.scope in scopes]

    @property
    def level(self) -> SwitchLevel:
        """The strongest level that covers the whole desk."""
        return strongest(status.level for status in self.stops)

    @property
    def stopped_strategies(self) -> list[KillSwitchStatus]:
        """Switches that stop single strategies or symbols."""
        parts = ("strategy:", "symbol:")
        return [status for status in self.kill or [] if status.engaged and status.scope.startswith(parts)]

    @property
    def has_line(self) -> bool:
        """Whether the desk's broker is one over a network."""
        return self.mode in NETWORK_MODES

    @property
    def trading_state(self) -> str:
        """`active`, `reducing` (only orders that reduce), `halted`, or `unknown`."""
        if self.kill is None or self.breaker is None:
            return "halted" if self.stops else "unknown"
        if self.stops:
            return "reducing" if self.level == SwitchLevel.REDUCING else "halted"
        return "active" if self.breaker.state == BreakerState.OPEN else "reducing"

    def age_of(self, process: str) -> int | None:
        """Seconds since a process gave a sign of life; None when it never did."""
        at = self.heartbeats.get(process)
        return None if at is None else max(int((self.wall_now - at).total_seconds()), 0)


def read_desk(wall_now: datetime) -> Desk:
    """Read everything; a database that does not answer gives a desk of which nothing is known, not an error."""
    mode = str(settings.TRADING_MODE)
    redis = redis_answers()
    try:
        return _read(wall_now, mode, redis)
    except DATABASE_AWAY:
        wishes = kept_wishes(settings.VAR_DIR)
        return Desk(wall_now=wall_now, mode=mode, database=False, redis=redis, wishes=wishes)


def _read(wall_now: datetime, mode: str, redis: bool) -> Desk:
    account = execution_selectors.desk_account(mode)
    pnl = execution_selectors.realtime_pnl(account, wall_now) if account is not None else None
    halts = TradingStatus.objects.filter(feed=account.feed if account else None, halted=True)
    return Desk(
        wall_now=wall_now,
        mode=mode,
        database=True,
        redis=redis,
        account=account,
        market_at=None if account is None else account.feed.market_now(wall_now),
        pnl=pnl,
        kill=risk_selectors.kill_switch_status(),
        breaker=None if account is None else risk_selectors.breaker_status(account.scope, wall_now),
        heartbeats=dict(Heartbeat.objects.values_list("name", "at")),
        wishes=kept_wishes(settings.VAR_DIR),
        link=_link(account) if mode in NETWORK_MODES else None,
        late_cancels=_late_cancels(account, wall_now),
        unanswered=_unanswered(account, wall_now),
        refused=_refused(account, wall_now),
        alerts=list(Alert.objects.filter(state=AlertState.OPEN).exclude(code__in=TOLD_ELSEWHERE)[:MOST_ALERTS]),
        halts=list(halts.select_related("instrument").order_by("instrument__symbol")),
        requests=list(ReleaseRequest.objects.filter(state=ReleaseState.PENDING, expires_at__gt=wall_now)),
    )


def _refused(account: Account | None, wall_now: datetime) -> list[RefusedReport]:
    """Return the executions of the last day that could not be booked, newest first."""
    found = RefusedReport.objects.filter(
        account=account, created_at__gt=wall_now - REFUSED_SHOWN, payload__kind__in=sorted(MOVES_SHARES)
    )
    return [] if account is None else list(found)


def _link(account: Account | None) -> BrokerLink | None:
    return None if account is None else BrokerLink.objects.filter(account=account).first()


def _unanswered(account: Account | None, wall_now: datetime) -> list[Order]:
    """Return the orders that were sent some time ago and that nobody has answered, oldest first."""
    if account is None:
        return []
    found = execution_selectors.unknown_outcomes(account, wall_now=wall_now, older_than=ANSWER_LATE)
    return list(found.order_by("submitted_at", "pk"))


def _late_cancels(account: Account | None, wall_now: datetime) -> list[Order]:
    """Return the orders of which a cancel was asked for some time ago and that are still open, oldest cancel first."""
    if account is None:
        return []
    return list(execution_selectors.late_cancels(account, wall_now=wall_now, older_than=CANCEL_LATE))
