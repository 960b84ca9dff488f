"""The one place where a parent order changes its status: checked against the table, with its event."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from execution.errors import IllegalTransition
from execution.models import ParentEvent, ParentOrder, Slice
from execution.services.slices.failures import resolve_failure
from execution.slicing.states import PARENT_OVER, ParentStatus, ParentStep, SliceStatus, may_become

LONGEST_REASON = 500
SYSTEM = "slicer"


def step(
    parent: ParentOrder,
    kind: ParentStep,
    to: ParentStatus | None = None,
    *,
    market_at: datetime,
    wall_now: datetime,
    actor: str = SYSTEM,
    reason: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Note what happened to a parent whose row is locked, and move it; without `to` its status stays.

    What ends takes the slices with it that were not sent.
    :raises IllegalTransition: the table does not know the step
    """
    before = ParentStatus(parent.status)
    after = before if to is None else to
    if not may_become(before, after):
        raise IllegalTransition(f"parent order {parent.client_order_id}: {before} cannot become {after}")
    parent.status = after
    if reason is not None:
        parent.reason = reason[:LONGEST_REASON]
    if after in PARENT_OVER:
        parent.closed_at = wall_now
        unsent = Slice.objects.filter(parent=parent, status=SliceStatus.PLANNED)
        unsent.update(status=SliceStatus.SKIPPED, reason=f"the order is {after}")
        resolve_failure(parent, wall_now=wall_now)
    parent.save(update_fields=["status", "reason", "closed_at", "plan"])
    told = dict(detail or {}) | ({"reason": parent.reason} if reason else {})
    ParentEvent.objects.create(
        parent=parent,
        step=kind,
        from_status=before,
        to_status=after,
        actor=actor,
        detail=told,
        market_at=market_at,
        created_at=wall_now,
    )


def lock_parent(parent_id: int) -> ParentOrder:
    """Return the parent with its row held until the transaction ends."""
    found = ParentOrder.objects.select_for_update(of=("self",), no_key=True)
    return found.select_related("account__feed", "strategy", "instrument").get(pk=parent_id)


def free_parents(parent_ids: Sequence[int]) -> list[int]:
    """Lock the parents that nobody holds, in the order of their keys, and return their ids. Waits for nobody."""
    rows = ParentOrder.objects.select_for_update(no_key=True, skip_locked=True).filter(pk__in=parent_ids)
    return list(rows.order_by("pk").values_list("pk", flat=True))
