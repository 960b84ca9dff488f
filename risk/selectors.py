"""Reads of this app: is trading allowed, which limits are in force, what was decided."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings

from risk.limits import LIMITS, LimitBook, LimitRow
from risk.models import GLOBAL_SCOPE, BreakerEvent, KillSwitchEvent, Limit, LimitChange
from risk.states import BreakerState


@dataclass(frozen=True, slots=True)
class KillSwitchStatus:
    """One scope's state; who, when and why are empty when it was never touched."""

    scope: str
    engaged: bool
    operator: str = ""
    second_operator: str = ""
    reason: str = ""
    source: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BreakerStatus:
    """A breaker's state now; a quiet period that is over reads as open."""

    scope: str
    state: BreakerState
    cause: str
    reason: str
    operator: str
    at: datetime | None
    quiet_until: datetime | None


def newest_kill_event(scope: str) -> KillSwitchEvent | None:
    """Return the event in force for the scope."""
    return KillSwitchEvent.objects.filter(scope=scope).order_by("-id").first()


def is_engaged(scope: str) -> bool:
    """Tell whether the scope is stopped; for `global` a missing row means yes."""
    event = newest_kill_event(scope)
    return scope == GLOBAL_SCOPE if event is None else event.engaged


def kill_switch_status() -> list[KillSwitchStatus]:
    """Return the state of every scope ever touched, `global` first and always there. One query."""
    newest = KillSwitchEvent.objects.order_by("scope", "-id").distinct("scope")
    found = {
        event.scope: KillSwitchStatus(
            scope=event.scope,
            engaged=event.engaged,
            operator=event.operator,
            second_operator=event.second_operator,
            reason=event.reason,
            source=event.source,
            at=event.at,
        )
        for event in newest
    }
    missing = KillSwitchStatus(scope=GLOBAL_SCOPE, engaged=True, reason="no state is stored: counts as engaged")
    return [found.pop(GLOBAL_SCOPE, missing), *found.values()]


def newest_breaker_event(scope: str) -> BreakerEvent | None:
    """Return the newest change of the scope's breaker."""
    return BreakerEvent.objects.filter(scope=scope).order_by("-id").first()


def breaker_state(*, state: str | None, quiet_until: datetime | None, wall_now: datetime) -> BreakerState:
    """Say what a stored state means now: none is tripped, a quiet period that is over is open."""
    if state is None:
        return BreakerState.TRIPPED
    if state == BreakerState.QUIET_PERIOD and quiet_until is not None and quiet_until <= wall_now:
        return BreakerState.OPEN
    return BreakerState(state)


def breaker_status(scope: str, wall_now: datetime) -> BreakerStatus:
    """Return the breaker as the gate sees it at this wall time."""
    event = newest_breaker_event(scope)
    if event is None:
        return BreakerStatus(
            scope, BreakerState.TRIPPED, "missing", "no state is stored: counts as tripped", "", None, None
        )
    state = breaker_state(state=event.state, quiet_until=event.quiet_until, wall_now=wall_now)
    return BreakerStatus(scope, state, event.cause, event.reason, event.operator, event.at, event.quiet_until)


class _LimitCache:
    """The limits of the newest version in this process; exact, because the version is read with every order."""

    def __init__(self) -> None:
        self._book: LimitBook | None = None

    def at_version(self, version: int) -> LimitBook:
        if self._book is None or self._book.version != version:
            self._book = load_limits(version)
        return self._book


_cache = _LimitCache()


def limits_version() -> int:
    """Return the id of the newest change of a limit, 0 when there was none."""
    return LimitChange.objects.order_by("-id").values_list("id", flat=True).first() or 0


def limit_book(version: int | None = None) -> LimitBook:
    """Return all limits at a version (the newest when none is given)."""
    return _cache.at_version(limits_version() if version is None else version)


def load_limits(version: int) -> LimitBook:
    """Read the limits from the database and the defaults from code and settings."""
    rows = [LimitRow(*row) for row in Limit.objects.values_list("name", "strategy", "symbol", "value")]
    return LimitBook(rows=rows, defaults=default_limits(), version=version)


def default_limits() -> dict[str, Decimal]:
    """Return every limit's default; the environment may set the largest position in shares and the price age."""
    values = {name: definition.default for name, definition in LIMITS.items()}
    values["max_position_quantity"] = Decimal(settings.MAX_POSITION_SIZE)
    values["max_price_age_seconds"] = Decimal(settings.DATA_FRESHNESS_MINUTES * 60)
    return values
