"""Let a limit be another for a while: asked with a reason, approved by a second person, ended by the clock."""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from django.db import transaction

from risk.errors import InvalidLimit, RequestNotPending, SecondOperatorRequired
from risk.models import Limit, LimitChange, LimitOverride
from risk.services.limits import lock_changes, require_valid
from risk.services.reasons import require_reason
from risk.signals import limits_changed
from risk.states import OverrideState

LONGEST = timedelta(days=7)
"""What is to last longer is no exception: it is a limit."""


def request_override(
    *,
    name: str,
    value: Decimal,
    valid_until: datetime,
    operator: str,
    reason: str,
    now: datetime,
    valid_from: datetime | None = None,
    strategy: str = "",
    symbol: str = "",
) -> LimitOverride:
    """Ask for another value of a limit until a wall time; nothing changes before another person has approved it.

    Only limits have values: kill switch, breaker, reconciliation and the form of an order cannot be named here.
    :raises InvalidLimit: unknown name, value outside what is allowed, or a time that is over, reversed or too long
    :raises InvalidReason: nothing is stored
    """
    text = require_reason(reason)
    require_valid(name, value)
    begins = max(valid_from or now, now)
    if valid_until <= begins:
        raise InvalidLimit(f"valid_until: got {valid_until.isoformat()}, allowed is after {begins.isoformat()}")
    if valid_until - begins > LONGEST:
        raise InvalidLimit(f"valid_until: got {valid_until.isoformat()}, allowed are {LONGEST.days} days at most")
    return LimitOverride.objects.create(
        name=name,
        strategy=strategy,
        symbol=symbol,
        value=value,
        reason=text,
        valid_from=begins,
        valid_until=valid_until,
        requested_by=operator,
        requested_at=now,
    )


@transaction.atomic
def approve_override(*, override_id: int, operator: str, now: datetime) -> LimitOverride:
    """Let another person's request count, from the next order on. Locks: all changes of limits, the request.

    :raises SecondOperatorRequired: it is the operator's own request
    :raises RequestNotPending: there is none, it was decided before, or its time is over
    """
    override = _pending(override_id, now)
    if override.requested_by == operator:
        raise SecondOperatorRequired(
            f"override {override.pk} was asked for by {operator}: another person has to approve"
        )
    override.state, override.decided_by, override.decided_at = OverrideState.APPROVED, operator, now
    override.save(update_fields=["state", "decided_by", "decided_at"])
    _tell(override, old=_standing(override), new=override.value, operator=operator, reason=override.reason, now=now)
    return override


@transaction.atomic
def reject_override(*, override_id: int, operator: str, now: datetime) -> LimitOverride:
    """Refuse a request; who asked may take it back so as well. Locks: all changes of limits, the request.

    :raises RequestNotPending: there is none, it was decided before, or its time is over
    """
    override = _pending(override_id, now)
    override.state, override.decided_by, override.decided_at = OverrideState.REJECTED, operator, now
    override.save(update_fields=["state", "decided_by", "decided_at"])
    return override


@transaction.atomic
def revoke_override(*, override_id: int, operator: str, reason: str, now: datetime) -> LimitOverride:
    """End an override before its time, from the next order on; one person is enough. Locks: as approving.

    :raises RequestNotPending: there is none, it was never approved, or it is over
    """
    text = require_reason(reason)
    lock_changes()
    override = LimitOverride.objects.select_for_update().filter(pk=override_id).first()
    if override is None or override.state != OverrideState.APPROVED or override.valid_until <= now:
        raise RequestNotPending(f"override {override_id} is not in force{_why(override, now)}")
    override.state, override.revoked_by, override.revoked_at = OverrideState.REVOKED, operator, now
    override.save(update_fields=["state", "revoked_by", "revoked_at"])
    _tell(override, old=override.value, new=_standing(override), operator=operator, reason=text, now=now)
    return override


def _pending(override_id: int, now: datetime) -> LimitOverride:
    lock_changes()
    override = LimitOverride.objects.select_for_update().filter(pk=override_id).first()
    if override is None or override.state != OverrideState.REQUESTED or override.valid_until <= now:
        raise RequestNotPending(f"override {override_id} waits for nobody{_why(override, now)}")
    return override


def _why(override: LimitOverride | None, now: datetime) -> str:
    if override is None:
        return ": there is none of that number"
    return ": its time is over" if override.valid_until <= now else f": it is {override.state}"


def _standing(override: LimitOverride) -> Decimal | None:
    """Return the stored value of the override's own scope, None where there is none."""
    rows = Limit.objects.filter(name=override.name, strategy=override.strategy, symbol=override.symbol)
    return rows.values_list("value", flat=True).first()


def _tell(
    override: LimitOverride, *, old: Decimal | None, new: Decimal | None, operator: str, reason: str, now: datetime
) -> None:
    change = LimitChange.objects.create(
        name=override.name,
        strategy=override.strategy,
        symbol=override.symbol,
        old_value=old,
        new_value=new,
        override=override,
        operator=operator,
        reason=reason,
        at=now,
    )
    transaction.on_commit(partial(limits_changed.send_robust, LimitChange, change_id=change.pk))
