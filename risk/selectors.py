"""Reads of this app: is trading allowed, which limits are in force, what was decided."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db.models import BigIntegerField, Max, QuerySet
from django.db.models.functions import Coalesce

from risk.limits import LIMITS, SOFT, SOFT_LIMITS, SOFT_SHARE, LimitBook, LimitRow, Override
from risk.models import GLOBAL_SCOPE, BreakerEvent, KillSwitchEvent, Limit, LimitChange, LimitOverride, Release
from risk.release import code_version
from risk.states import BreakerState, OverrideState, SwitchLevel
from risk.stops import StopScopes, strongest


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
    level: SwitchLevel = SwitchLevel.ACTIVE
    event_id: int = 0


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


def engages_in_force(scope: str) -> QuerySet[KillSwitchEvent]:
    """Return the engages of the scope that no release has taken back, newest first."""
    releases = KillSwitchEvent.objects.filter(scope=scope, engaged=False)
    upto = releases.aggregate(upto=Max(Coalesce("releases", "id", output_field=BigIntegerField())))["upto"]
    return KillSwitchEvent.objects.filter(scope=scope, engaged=True, id__gt=upto or 0).order_by("-id")


def newest_kill_event(scope: str) -> KillSwitchEvent | None:
    """Return the event that says where the scope stands: the newest engage in force, else the newest of all."""
    held = engages_in_force(scope).first()
    return held or KillSwitchEvent.objects.filter(scope=scope).order_by("-id").first()


def level_of(scope: str) -> SwitchLevel:
    """Return the level in force for the scope itself; `global` without a row is halted."""
    held = strongest(engages_in_force(scope).values_list("level", flat=True))
    if held == SwitchLevel.ACTIVE and scope == GLOBAL_SCOPE and newest_kill_event(scope) is None:
        return SwitchLevel.HALTED
    return held


def is_engaged(scope: str) -> bool:
    """Tell whether the scope is stopped at all; for `global` a missing row means yes."""
    return level_of(scope) != SwitchLevel.ACTIVE


# One row per scope ever touched: the newest engage in force, else the newest release; with the strongest level of all
# engages in force.
STATUS = """
WITH upto AS (
    SELECT scope, max(CASE WHEN engaged THEN 0 ELSE coalesce(releases, id) END) AS id
    FROM risk_killswitchevent GROUP BY scope
), held AS (
    SELECT e.scope, array_agg(DISTINCT e.level) AS levels, max(e.id) AS id
    FROM risk_killswitchevent e JOIN upto u ON u.scope = e.scope
    WHERE e.engaged AND e.id > u.id GROUP BY e.scope
), shown AS (
    SELECT scope, coalesce(max(id) FILTER (WHERE held), max(id)) AS id
    FROM (SELECT e.scope, e.id, h.id = e.id AS held FROM risk_killswitchevent e LEFT JOIN held h ON h.scope = e.scope) s
    GROUP BY scope
)
SELECT e.*, h.levels AS levels FROM risk_killswitchevent e
JOIN shown s ON s.id = e.id LEFT JOIN held h ON h.scope = e.scope ORDER BY e.scope
"""


def kill_switch_status() -> list[KillSwitchStatus]:
    """Return the state of every scope ever touched, `global` first and always there. One query."""
    found = {}
    for event in KillSwitchEvent.objects.raw(STATUS):
        levels: list[str] = vars(event)["levels"] or []
        found[event.scope] = KillSwitchStatus(
            scope=event.scope,
            engaged=bool(levels),
            level=strongest(levels),
            operator=event.operator,
            second_operator=event.second_operator,
            reason=event.reason,
            source=event.source,
            at=event.at,
            event_id=event.pk,
        )
    missing = KillSwitchStatus(
        scope=GLOBAL_SCOPE, engaged=True, level=SwitchLevel.HALTED, reason="no state is stored: counts as engaged"
    )
    return [found.pop(GLOBAL_SCOPE, missing), *found.values()]


def stop_scopes() -> StopScopes:
    """Return every engaged scope with its level. One query."""
    return StopScopes({status.scope: status.level for status in kill_switch_status() if status.engaged})


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


def announced_version() -> str:
    """Return which version of the code may trade; empty when none was ever announced."""
    return Release.objects.order_by("-id").values_list("version", flat=True).first() or ""


def is_outdated() -> bool:
    """Tell whether another version than this process's was announced: then it neither accepts nor sends new risk."""
    return announced_version() not in ("", code_version())


def limit_book(version: int | None = None) -> LimitBook:
    """Return all limits at a version (the newest when none is given)."""
    return _cache.at_version(limits_version() if version is None else version)


def load_limits(version: int) -> LimitBook:
    """Read the limits from the database and the defaults from code and settings."""
    rows = [LimitRow(*row) for row in Limit.objects.values_list("name", "strategy", "symbol", "value")]
    approved = LimitOverride.objects.filter(state=OverrideState.APPROVED)
    columns = ("id", "name", "strategy", "symbol", "value", "valid_from", "valid_until")
    overrides = [Override(*row) for row in approved.values_list(*columns)]
    return LimitBook(rows=rows, defaults=default_limits(), version=version, overrides=overrides)


def default_limits() -> dict[str, Decimal]:
    """Return every limit's default; the environment may set the largest position in shares and the price age."""
    values = {name: definition.default for name, definition in LIMITS.items()}
    values["max_position_quantity"] = Decimal(settings.MAX_POSITION_SIZE)
    values["max_price_age_seconds"] = Decimal(settings.DATA_FRESHNESS_MINUTES * 60)
    values["max_nbbo_age_seconds"] = values["max_price_age_seconds"]
    values["max_feed_age_seconds"] = values["max_price_age_seconds"]
    return values


def settable_defaults() -> dict[str, Decimal]:
    """Return the default of everything that can be set, soft values too."""
    hard = default_limits()
    return hard | {name: hard[name.removeprefix(SOFT)] * SOFT_SHARE for name in SOFT_LIMITS}
