"""Trip and reset an account's circuit breaker; every change is a new row."""

from datetime import datetime, timedelta

from django.db import connection, transaction

from risk import selectors
from risk.errors import AlreadyInState
from risk.models import BreakerEvent
from risk.services.alerts import raise_alert, resolve_alert
from risk.services.reasons import require_reason
from risk.signals import trading_state_changed
from risk.states import AlertSeverity, BreakerState

QUIET_PERIOD = timedelta(minutes=5)
MANUAL = "manual"
TRIPPED = "breaker_tripped"
"""Code of the alert that is open while the breaker is tripped."""


def initialise(*, scope: str, operator: str, now: datetime) -> BreakerEvent | None:
    """Open the breaker of a new account; None when it already has a history."""
    with transaction.atomic():
        _lock(scope)
        if BreakerEvent.objects.filter(scope=scope).exists():
            return None
        return _store(scope, BreakerState.OPEN, "installation", "a new account, nothing traded yet", operator, now)


def trip(*, scope: str, cause: str = MANUAL, reason: str, operator: str, now: datetime) -> BreakerEvent:
    """Let only reducing orders pass from this commit on.

    Tripping what is tripped returns the event in force. Locks: the scope's advisory lock.
    :raises InvalidReason: nothing is stored
    """
    text = require_reason(reason)
    with transaction.atomic():
        _lock(scope)
        newest = selectors.newest_breaker_event(scope)
        if newest is not None and newest.state == BreakerState.TRIPPED:
            return newest
        event = _store(scope, BreakerState.TRIPPED, cause, text, operator, now)
        raise_alert(
            code=TRIPPED,
            subject=scope,
            severity=AlertSeverity.CRITICAL,
            message=f"The circuit breaker is tripped ({cause}): {text}",
            now=now,
        )
        return event


def reset(*, scope: str, reason: str, operator: str, now: datetime) -> BreakerEvent:
    """Begin the quiet period, after which the breaker counts as open. Locks: the scope's advisory lock.

    :raises AlreadyInState: the breaker is not tripped
    :raises InvalidReason: nothing is stored
    """
    text = require_reason(reason)
    with transaction.atomic():
        _lock(scope)
        newest = selectors.newest_breaker_event(scope)
        if newest is not None and newest.state != BreakerState.TRIPPED:
            raise AlreadyInState(f"{scope}: the breaker is {newest.state}, only a tripped one can be reset")
        resolve_alert(code=TRIPPED, subject=scope, now=now)
        return _store(scope, BreakerState.QUIET_PERIOD, MANUAL, text, operator, now, quiet_until=now + QUIET_PERIOD)


def _lock(scope: str) -> None:
    # The table is append-only and may be empty, so there is no row to lock: the scope's name is the lock.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"breaker {scope}"])


def _store(
    scope: str,
    state: BreakerState,
    cause: str,
    reason: str,
    operator: str,
    now: datetime,
    quiet_until: datetime | None = None,
) -> BreakerEvent:
    event = BreakerEvent.objects.create(
        scope=scope, state=state, cause=cause, reason=reason, operator=operator, at=now, quiet_until=quiet_until
    )
    transaction.on_commit(lambda: trading_state_changed.send_robust(BreakerEvent, scope=scope))
    return event
