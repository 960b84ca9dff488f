"""Raise an alert, see it, and say that it is over."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F

from risk.errors import AlertOver
from risk.models import Alert
from risk.signals import alerts_changed
from risk.states import AlertState

LONGEST_SUBJECT, LONGEST_MESSAGE = 200, 500


def raise_alert(
    *,
    code: str,
    subject: str,
    severity: str,
    message: str,
    now: datetime,
    detail: Mapping[str, Any] | None = None,
) -> Alert:
    """Tell of a trouble, in the caller's transaction; one that is told already counts on and keeps who has seen it.

    One that was over and comes again is a new row. Two tellers at once leave one row. Locks: the alert.
    """
    told = {"severity": severity, "message": message[:LONGEST_MESSAGE], "detail": dict(detail or {}), "last_at": now}
    alert, created = Alert.objects.exclude(state=AlertState.RESOLVED).get_or_create(
        code=code, subject=subject[:LONGEST_SUBJECT], defaults={**told, "first_at": now}
    )
    if not created:
        Alert.objects.filter(pk=alert.pk).update(**told, count=F("count") + 1)
        alert.refresh_from_db()
    _announce(alert.pk)
    return alert


def resolve_alert(*, code: str, subject: str, now: datetime) -> bool:
    """Say that a trouble is over; False when none of it was told."""
    found = Alert.objects.filter(code=code, subject=subject[:LONGEST_SUBJECT]).exclude(state=AlertState.RESOLVED)
    ids = list(found.values_list("pk", flat=True))
    if not found.update(state=AlertState.RESOLVED, resolved_at=now):
        return False
    for pk in ids:
        _announce(pk)
    return True


def acknowledge_alert(*, alert_id: int, operator: str, now: datetime) -> Alert:
    """Note that an operator has seen it; the second who says so changes nothing.

    :raises AlertOver: it is over, or there never was one
    """
    fresh = Alert.objects.filter(pk=alert_id, state=AlertState.OPEN)
    if fresh.update(state=AlertState.ACKNOWLEDGED, acknowledged_by=operator, acknowledged_at=now):
        _announce(alert_id)
    alert = Alert.objects.filter(pk=alert_id).first()
    if alert is None or alert.state == AlertState.RESOLVED:
        raise AlertOver(f"alert {alert_id} is {'over' if alert else 'not known'}")
    return alert


def _announce(alert_id: int) -> None:
    transaction.on_commit(partial(alerts_changed.send_robust, Alert, alert_id=alert_id))
