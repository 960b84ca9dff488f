"""Tell people of a parent order that cannot be worked, and that it can be again."""

from collections.abc import Sequence
from datetime import datetime

from execution.models import ParentOrder
from risk.models import Alert
from risk.services.alerts import raise_alert, resolve_alert
from risk.states import AlertSeverity, AlertState

CODE = "parent_not_worked"


def tell_failure(parent_id: int, error: Exception, *, wall_now: datetime) -> None:
    """Raise the alert: what is due of the parent is not done, and is tried again."""
    parent = ParentOrder.objects.select_related("account").get(pk=parent_id)
    raise_alert(
        code=CODE,
        subject=subject_of(parent),
        severity=AlertSeverity.CRITICAL,
        message=f"its slices are not worked: {type(error).__name__}: {error}",
        now=wall_now,
        detail={"parent_id": parent_id},
    )


def resolve_failures(parent_ids: Sequence[int], *, wall_now: datetime) -> None:
    """Resolve the alerts of parents that were worked. One query when nothing was told."""
    told = set(Alert.objects.exclude(state=AlertState.RESOLVED).filter(code=CODE).values_list("subject", flat=True))
    if not told:
        return
    for parent in ParentOrder.objects.select_related("account").filter(pk__in=parent_ids):
        if subject_of(parent) in told:
            resolve_failure(parent, wall_now=wall_now)


def resolve_failure(parent: ParentOrder, *, wall_now: datetime) -> None:
    """Resolve the alert of one parent, because it was worked or is over."""
    resolve_alert(code=CODE, subject=subject_of(parent), now=wall_now)


def subject_of(parent: ParentOrder) -> str:
    """Return what the alerts of a parent are about."""
    return f"{parent.account.scope} order:{parent.client_order_id}"
