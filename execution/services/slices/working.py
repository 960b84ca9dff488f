"""Work parent orders: note what has ended, plan the rest, send what is due, end what is over.

A look at a parent is one transaction that holds its row (passing over what another worker holds) and decides; what it
has decided is done afterwards without the row: cancels, and one slice at a time.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from execution.crashpoints import Point, crashpoint
from execution.models import Account, ParentOrder, Slice
from execution.parent_orders import parents_due, progress
from execution.services.slices.ending import end, settle
from execution.services.slices.failures import resolve_failures, tell_failure
from execution.services.slices.history import SYSTEM, free_parents, step
from execution.services.slices.planning import plan_rest
from execution.services.slices.sending import send_slice
from execution.services.slices.steering import cancel_children
from execution.slicing.states import PARENT_LIVE, ParentStatus, ParentStep, SliceStatus
from execution.states import OPEN

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=30)
MOST_AT_ONCE = 200
ACTIVE = ParentStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a parent has decided: cancel its open orders and why, or send the claimed slice."""

    cancel: str = ""
    claimed: int | None = None
    claim: uuid.UUID | None = None


def work_parents(*, account: Account, now: Callable[[], datetime]) -> int:
    """Work every parent of the account that has something to be done; returns how many slices were sent.

    `now` gives the wall time, read anew for each, because a look at many takes its time. One that fails spares the
    others and is told of; the last failure is raised in the end, and what failed is asked for again after a pause.
    """
    worked: list[int] = []
    sent = 0
    failure: Exception | None = None
    for parent_id in _due_parents(account, now()):
        try:
            sent += work_parent(parent_id=parent_id, wall_now=now())
            worked.append(parent_id)
        except Exception as error:  # each parent is a loop of its own: one must not keep the others from their slices
            log.exception("parent_not_worked", parent_id=parent_id)
            failure = error
            tell_failure(parent_id, error, wall_now=now())
    resolve_failures(worked, wall_now=now())
    _forget_asking(worked)
    if failure is not None:
        raise failure
    return sent


def _due_parents(account: Account, wall_now: datetime) -> list[int]:
    """Return the ids of the parents to be looked at, oldest first, a limited number."""
    market_at = account.feed.market_now(wall_now)
    due = parents_due(account_id=account.pk, market_at=market_at, wall_now=wall_now)
    return list(due.values_list("pk", flat=True)[:MOST_AT_ONCE])


def _forget_asking(parent_ids: Sequence[int]) -> None:
    """Note that parents were looked at: what is due of them is asked for again. Locks: those that are free."""
    with transaction.atomic():
        ParentOrder.objects.filter(pk__in=free_parents(parent_ids)).update(asked_at=None)


def work_parent(*, parent_id: int, wall_now: datetime) -> bool:
    """Do what is to be done for one parent now; True when a slice was sent. Safe to repeat, and by many at once."""
    look = look_at(parent_id, wall_now=wall_now)
    if look.cancel:
        parent = ParentOrder.objects.get(pk=parent_id)
        cancel_children(parent, operator=SYSTEM, wall_now=wall_now, reason=look.cancel)
    if look.claimed is None or look.claim is None:
        return False
    crashpoint(Point.SLICE_AFTER_CLAIM)
    sent = send_slice(slice_id=look.claimed, claim=look.claim, wall_now=wall_now)
    log.info("slice_worked", parent_id=parent_id, slice_id=look.claimed, sent=sent)
    return sent


@transaction.atomic
def look_at(parent_id: int, *, wall_now: datetime) -> Look:
    """Settle a parent and decide what is next. Locks: the parent, unless another has it: then nothing is decided."""
    found = ParentOrder.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
    live = found.filter(pk=parent_id, status__in=sorted(PARENT_LIVE))
    parent = live.select_related("account__feed", "strategy", "instrument").first()
    if parent is None:
        return Look()
    market_at = parent.account.feed.market_now(wall_now)
    stop = settle(parent, market_at=market_at, wall_now=wall_now)
    _take_back(parent, wall_now)
    is_working = parent.children.filter(status__in=sorted(OPEN)).exists()
    if not is_working and _is_over(parent):
        end(parent, wall_now=wall_now)
        return Look()
    if parent.status in (ParentStatus.CANCELING, ParentStatus.EXPIRING):
        return Look(cancel=parent.reason or "the window is over")
    if market_at >= parent.ends_at:
        return _expire(parent, is_working=is_working, market_at=market_at, wall_now=wall_now)
    if stop and parent.status == ACTIVE:
        reason = f"{stop}; it goes on when somebody resumes it"
        step(parent, ParentStep.PAUSED, ParentStatus.PAUSED, market_at=market_at, wall_now=wall_now, reason=reason)
    if parent.status != ACTIVE:
        return Look(cancel=parent.reason or "paused" if is_working else "")
    plan_rest(parent, market_at=market_at, wall_now=wall_now)
    return _next(parent, is_working=is_working, market_at=market_at, wall_now=wall_now)


def _is_over(parent: ParentOrder) -> bool:
    """Tell whether a parent without working orders has nothing left to do."""
    if parent.status in (ParentStatus.CANCELING, ParentStatus.EXPIRING):
        return True
    return not progress(parent).left(parent.quantity)


def _expire(parent: ParentOrder, *, is_working: bool, market_at: datetime, wall_now: datetime) -> Look:
    step(parent, ParentStep.CANCEL_ASKED, ParentStatus.EXPIRING, market_at=market_at, wall_now=wall_now)
    if not is_working:
        end(parent, wall_now=wall_now)
    return Look(cancel="the window is over" if is_working else "")


def _next(parent: ParentOrder, *, is_working: bool, market_at: datetime, wall_now: datetime) -> Look:
    """Claim the slice that is due, once nothing of an earlier one can trade any more."""
    due = parent.slices.filter(status=SliceStatus.PLANNED, due_at__lte=market_at).order_by("due_at").first()
    if due is None:
        return Look()
    if is_working:
        return Look(cancel=f"slice {due.number} is due")
    if parent.slices.filter(status=SliceStatus.CLAIMED).exists():
        return Look()
    claim = uuid.uuid4()
    Slice.objects.filter(pk=due.pk).update(
        status=SliceStatus.CLAIMED, claim=claim, claimed_until=wall_now + LEASE, reason=""
    )
    return Look(claimed=due.pk, claim=claim)


def _take_back(parent: ParentOrder, wall_now: datetime) -> None:
    """Plan a slice again whose sender has not recorded it in time and has left no order."""
    left_behind = parent.slices.filter(status=SliceStatus.CLAIMED, claimed_until__lte=wall_now)
    left_behind.update(status=SliceStatus.PLANNED, claim=None, claimed_until=None)
