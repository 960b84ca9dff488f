"""Change limits and the restricted list; every change leaves a row that says who and why."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from marketdata.models import Instrument
from risk.errors import InvalidLimit
from risk.limits import SETTABLE
from risk.models import Limit, LimitChange, RestrictedInstrument
from risk.services.reasons import require_reason
from risk.signals import limits_changed


def set_limit(
    *,
    name: str,
    value: Decimal | None,
    operator: str,
    reason: str,
    now: datetime,
    strategy: str = "",
    symbol: str = "",
) -> LimitChange:
    """Override a limit globally, for a strategy, a symbol or both; None removes the override.

    Takes effect with the next order: the gate reads the newest change under its lock. Locks: all changes of limits.
    :raises InvalidLimit: unknown name, or value outside what is allowed
    :raises InvalidReason: nothing is stored
    """
    text = require_reason(reason)
    require_valid(name, value)
    with transaction.atomic():
        lock_changes()
        key: dict[str, Any] = {"name": name, "strategy": strategy, "symbol": symbol}
        row = Limit.objects.filter(**key).first()
        old = row.value if row else None
        if value is None:
            Limit.objects.filter(**key).delete()
        else:
            Limit.objects.update_or_create(**key, defaults={"value": value})
        change = LimitChange.objects.create(
            **key, old_value=old, new_value=value, operator=operator, reason=text, at=now
        )
        transaction.on_commit(lambda: limits_changed.send_robust(LimitChange, change_id=change.pk))
    return change


def restrict_instrument(*, instrument: Instrument, operator: str, reason: str, now: datetime) -> RestrictedInstrument:
    """Put a name on the restricted list: from the next order on it can only be reduced."""
    text = require_reason(reason)
    row, _created = RestrictedInstrument.objects.get_or_create(
        instrument=instrument,
        lifted_at=None,
        defaults={"operator": operator, "reason": text, "at": now},
    )
    return row


def lift_restriction(*, restriction: RestrictedInstrument, operator: str, now: datetime) -> None:
    """Take a name off the restricted list; the row stays as history."""
    RestrictedInstrument.objects.filter(pk=restriction.pk, lifted_at=None).update(lifted_by=operator, lifted_at=now)


def lock_changes() -> None:
    """Wait for whoever changes limits, until the end of the transaction."""
    # The newest change's id is the version that every process caches limits by. Ids must therefore become visible in
    # their order: a change that commits after a later one would never be read.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('risk limits', 0))")


def require_valid(name: str, value: Decimal | None) -> None:
    """Refuse an unknown limit and a value that it cannot have; None stands for none.

    :raises InvalidLimit: it says what is allowed
    """
    definition = SETTABLE.get(name)
    if definition is None:
        raise InvalidLimit(f"name: got {name!r}, allowed are {', '.join(sorted(SETTABLE))}")
    if value is None:
        return
    if not value.is_finite() or not definition.minimum <= value <= definition.maximum:
        raise InvalidLimit(
            f"{name}: got {value}, allowed is {definition.minimum} to {definition.maximum:f} {definition.unit}"
        )
