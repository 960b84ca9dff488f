"""Is the process alive, is the platform ready, may it trade: for probes, load balancers and programs.

What is not known is never good: a check that cannot be made counts as failed, with the reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_safe

from execution.brokers.alpaca_modes import NETWORK_MODES
from execution.models import Account, BrokerLink, Position
from execution.reconciliation.forced import forced_until
from execution.selectors import desk_account
from marketdata.clock import wall_now
from marketdata.models import Instrument, Quote
from ops_console.api.wire import encode
from ops_console.redis_light import redis_answers
from ops_console.snapshot.broker_line import described, line_tone, troubles
from risk.models import GLOBAL_SCOPE
from risk.selectors import breaker_status, kill_switch_status, limit_book
from risk.states import BreakerState
from trading.processes import Process, watched_here
from trading.selectors import heartbeat_ages
from trading.services.reconciling import LATE_AFTER, is_compared, is_late

RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One check; the failure of one that is not required degrades the platform but does not stop it."""

    name: str
    ok: bool
    detail: str
    required: bool = True

    @property
    def state(self) -> str:
        """`ok`, `degraded` or `failed`."""
        if self.ok:
            return "ok"
        return "failed" if self.required else "degraded"


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Answer 200: this process serves requests. Nothing else is asked, so a failing database restarts nobody."""
    return _answer({"status": "ok"}, 200)


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Answer 200 when everything that requests need is there; Redis away is said and is no reason to turn them away."""
    checks = readiness(wall_now())
    failed = [check.name for check in checks if check.state == "failed"]
    degraded = [check.name for check in checks if check.state == "degraded"]
    status = "failed" if failed else "degraded" if degraded else "ok"
    body = {
        "status": status,
        "checks": {check.name: {"state": check.state, "detail": check.detail} for check in checks},
    }
    return _answer(body, 503 if failed else 200)


@require_safe
def trade(request: HttpRequest) -> HttpResponse:
    """Answer 200 when an order may leave now, else 503 with every reason."""
    reasons = [f"{check.name}: {check.detail}" for check in tradability(wall_now()) if not check.ok]
    return _answer({"may_trade": not reasons, "reasons": reasons}, 503 if reasons else 200)


def readiness(now: datetime) -> list[Check]:
    """Return the checks of `/health/ready`; without a database the others of its kind are unknown, hence failed."""
    redis = Check("redis", *_redis(), required=False)
    try:
        return [_database(), redis, *_processes(now)]
    except (DatabaseError, InterfaceError) as error:
        away = f"unknown: {type(error).__name__}"
        return [Check("database", False, away), redis, *(Check(name, False, away) for name in silences())]


def tradability(now: datetime) -> list[Check]:
    """Return the checks of `/health/trade`."""
    try:
        account = desk_account(settings.TRADING_MODE)
        if account is None:
            return [Check("account", False, f"the desk has no account {settings.TRADING_MODE!r}")]
        dispatcher = [check for check in _processes(now) if check.name == "dispatcher"]
        return [
            _kill_switch(account),
            _breaker(account, now),
            _reconciled(account, now),
            _prices(account, now),
            *dispatcher,
            *_line(account, now),
        ]
    except (DatabaseError, InterfaceError) as error:
        return [Check("database", False, f"unknown: {type(error).__name__}")]


def _database() -> Check:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return Check("database", True, "answers")


def _redis() -> tuple[bool, str]:
    if redis_answers():
        return True, "answers"
    return False, "does not answer: live updates are slower; orders and the kill switch do not need it"


def silences() -> dict[str, int]:
    """Return the processes that this mode needs, with how long each may be silent (s)."""
    return {name: process.dead_seconds for name, process in watched_here().items()}


def _processes(now: datetime) -> list[Check]:
    ages = heartbeat_ages(now)
    return [_process(process, ages.get(name)) for name, process in watched_here().items()]


def _process(process: Process, age: int | None) -> Check:
    if age is None:
        return Check(process.name, False, "never seen", required=process.trades)
    if age > process.dead_seconds:
        said = f"silent for {age} s, {process.dead_seconds} s are allowed"
        return Check(process.name, False, said, required=process.trades)
    return Check(process.name, True, f"seen {max(age, 0)} s ago")


def _kill_switch(account: Account) -> Check:
    engaged = [
        item.scope for item in kill_switch_status() if item.engaged and item.scope in {GLOBAL_SCOPE, account.scope}
    ]
    return Check("kill_switch", not engaged, f"engaged ({', '.join(engaged)})" if engaged else "off")


def _breaker(account: Account, now: datetime) -> Check:
    status = breaker_status(account.scope, now)
    return Check("circuit_breaker", status.state == BreakerState.OPEN, f"{status.state.value}: {status.reason}")


def _reconciled(account: Account, now: datetime) -> Check:
    """Tell whether the books agreed a short while ago; the word of two people counts until it expires, and is named."""
    said = account.get_reconciliation_display()
    if account.reconciliation == Account.Reconciliation.FORCED:
        until = forced_until(account.pk, now)
        if until is None:
            return Check("reconciliation", False, f"{said}: its time is over")
        return Check("reconciliation", True, f"{said}: without a clean run until {until:%H:%M:%S} UTC")
    since = account.reconciled_at
    is_unknown = is_compared(account) and (since is None or is_late(account, now))
    if account.reconciliation == Account.Reconciliation.CLEAN and is_unknown:
        allowed = LATE_AFTER * int(settings.RECONCILIATION_INTERVAL_SECONDS)
        age = "none was stored" if since is None else f"it is {int((now - since).total_seconds())} s old"
        return Check("reconciliation", False, f"the verdict is unknown: {age}, {allowed} s are allowed")
    return Check("reconciliation", account.reconciliation == Account.Reconciliation.CLEAN, said)


def _line(account: Account, now: datetime) -> list[Check]:
    """A desk at a broker over a network must know who answers there, and hear of its fills by the stream or by REST."""
    if account.mode not in NETWORK_MODES:
        return []
    link = BrokerLink.objects.filter(account=account).first()
    wrong = [found for found in troubles(link, now) if found.tone == "bad"]
    if wrong or line_tone(link, now) not in {"good", "warn"}:
        return [Check("broker", False, "; ".join(found.title for found in wrong) or described(link, now))]
    return [Check("broker", True, described(link, now))]


def _prices(account: Account, now: datetime) -> Check:
    """Every name that is held, and at least one tradable name, must have a price that the gate would take."""
    market_at = account.feed.market_now(now)
    oldest = int(limit_book().resolve(strategy="", symbol="").account.max_price_age_seconds)
    quotes = dict(Quote.objects.filter(feed=account.feed, last__isnull=False).values_list("instrument__symbol", "at"))
    fresh = {symbol for symbol, at in quotes.items() if 0 <= account.feed.price_age(at, market_at) <= oldest}
    held = set(
        Position.objects.filter(account=account).exclude(quantity=0).values_list("instrument__symbol", flat=True)
    )
    tradable = set(Instrument.objects.filter(tradable=True).values_list("symbol", flat=True))
    stale = sorted(held - fresh)
    if stale:
        return Check("prices", False, f"no fresh price of {', '.join(stale)}, which are held")
    if not tradable & fresh:
        return Check("prices", False, "no tradable name has a fresh price")
    return Check("prices", True, f"{len(tradable & fresh)} of {len(tradable)} names have a fresh price")


def _answer(body: dict[str, Any], status: int) -> HttpResponse:
    response = HttpResponse(encode(body), status=status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


View = Callable[[HttpRequest], HttpResponse]
VIEWS: dict[str, View] = {"live": live, "ready": ready, "trade": trade}
urlpatterns = [path(f"health/{name}", view, name=f"health-{name}") for name, view in VIEWS.items()]
