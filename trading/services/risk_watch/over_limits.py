"""Names and books over a limit: listed, told, and what would make it worse taken back.

A limit that is lowered under what is held is no error: the gate lets only orders pass that reduce, and here the open
orders that add are canceled. What is held goes by somebody's order, or by the automatic reduction.
"""

from collections.abc import Sequence
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet

from execution.models import Account
from execution.services.cancels import cancel_open_orders
from risk.exposure import Passed, overcommitted, passed_limits, to_cancel
from risk.limits import LIMITS
from risk.models import LimitBreach, RiskReading
from risk.selectors import limit_book
from risk.services.alerts import raise_alert, resolve_alert
from risk.states import AlertSeverity
from risk.types import Side
from trading.services.risk_watch.account_view import read_view
from trading.services.risk_watch.watch import OPERATOR, Look

log = structlog.get_logger(__name__)
CODE = "over_limit"
REDUCTION_FAILED = "auto_reduction_failed"
REASON = "it adds to what is over its limit"


def keep_to_limits(*, account: Account, look: Look, wall_now: datetime) -> list[LimitBreach]:
    """List what has passed a limit and cancel open orders that add to it; returns the breaches in force.

    What the market has carried over a limit stops orders that add to that; after a change of limits, orders go as well
    that would pass the new limit once they fill. Locks: breaches; then as the canceling of orders.
    """
    lines = look.view.lines
    passed = passed_limits(lines, look.limits)
    breaches = record_breaches(account=account, passed=passed, wall_now=wall_now)
    doomed = to_cancel(passed, lines) | (overcommitted(lines, look.limits) if look.limits_changed else set())
    if doomed:
        cancel_open_orders(
            orders=_orders_of(doomed), account=account, operator=OPERATOR, wall_now=wall_now, reason=REASON
        )
    if look.limits_changed:
        RiskReading.objects.filter(scope=account.scope).update(limits_version=look.limits.version)
    return breaches


def enforce_changed_limits(*, wall_now: datetime) -> None:
    """Keep every desk to the limits as they are now, without waiting for the next look."""
    for account in Account.objects.select_related("feed").filter(kind=Account.Kind.DESK).order_by("pk"):
        view = read_view(account=account, wall_now=wall_now)
        keep_to_limits(account=account, look=Look(view, [], limit_book(), limits_changed=True), wall_now=wall_now)


def breaches_in_force(scope: str) -> QuerySet[LimitBreach]:
    """Return what is over its limit now, the oldest first."""
    return LimitBreach.objects.filter(scope=scope, over_at__isnull=True).order_by("id")


@transaction.atomic
def record_breaches(*, account: Account, passed: Sequence[Passed], wall_now: datetime) -> list[LimitBreach]:
    """Bring the list of breaches up to date; each is told once, and once more when it is over.

    Locks: the account's breaches in force.
    """
    stored = {key_of(row): row for row in breaches_in_force(account.scope).select_for_update(no_key=True)}
    for one in passed:
        row = stored.pop((one.limit_name, one.symbol, one.strategy), None)
        if row is None:
            _begin(account, one, wall_now)
            continue
        row.allowed, row.observed, row.path, row.seen_at = one.allowed, one.observed, one.path, wall_now
        row.save(update_fields=["allowed", "observed", "path", "seen_at"])
    for row in stored.values():
        row.over_at = wall_now
        row.save(update_fields=["over_at"])
        for code in (CODE, REDUCTION_FAILED):
            resolve_alert(code=code, subject=subject_of(row), now=wall_now)
        log.info("limit_kept_again", scope=row.scope, limit=row.limit_name, symbol=row.symbol, breach_id=row.pk)
    return list(breaches_in_force(account.scope))


def _begin(account: Account, one: Passed, wall_now: datetime) -> None:
    row, created = LimitBreach.objects.get_or_create(
        scope=account.scope,
        limit_name=one.limit_name,
        symbol=one.symbol,
        strategy=one.strategy,
        over_at=None,
        defaults={
            "allowed": one.allowed,
            "observed": one.observed,
            "path": one.path,
            "since": wall_now,
            "seen_at": wall_now,
        },
    )
    if not created:
        return
    log.warning("limit_passed", scope=row.scope, limit=one.limit_name, symbol=one.symbol, breach_id=row.pk)
    raise_alert(
        code=CODE,
        subject=subject_of(row),
        severity=AlertSeverity.WARNING,
        message=described(row),
        now=wall_now,
        detail={"limit": one.limit_name, "allowed": one.allowed, "observed": one.observed, "breach_id": row.pk},
    )


def key_of(row: LimitBreach) -> tuple[str, str, str]:
    """Return what a breach is of."""
    return row.limit_name, row.symbol, row.strategy


def subject_of(row: LimitBreach) -> str:
    """Return what its alerts are about."""
    parts = [row.scope, f"limit:{row.limit_name}"]
    parts += [f"symbol:{row.symbol}"] if row.symbol else []
    parts += [f"strategy:{row.strategy}"] if row.strategy else []
    return " ".join(parts)


def described(row: LimitBreach) -> str:
    """Say a breach in a line."""
    label = LIMITS[row.limit_name].label if row.limit_name in LIMITS else row.limit_name
    where = " of ".join(part for part in (row.symbol, row.strategy) if part)
    return (
        f"{label}{f' ({where})' if where else ''}: {row.observed.normalize():f}, {row.allowed.normalize():f} allowed; "
        f"{row.path}"
    )


def _orders_of(doomed: set[tuple[str, str, int]]) -> Q:
    wanted = Q()
    for strategy, symbol, sign in sorted(doomed):
        side = Side.BUY if sign > 0 else Side.SELL
        wanted |= Q(strategy__name=strategy, instrument__symbol=symbol, side=side)
    return wanted & Q(reduce_only=False)
