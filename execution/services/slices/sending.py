"""Send one claimed slice: through the gate as any order, then record what came of it through the claim's fence.

Whoever dies in between leaves either no order, and another sends the slice under the same id when the lease has run
out, or an order that is found by its parent and number and recorded. So a slice is never sent twice and never lost.
"""

from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from execution.crashpoints import Point, crashpoint
from execution.errors import OrderConflict
from execution.models import Order, ParentOrder, Slice
from execution.services.orders import submit_order
from execution.services.slices.children import STOPPING, last_price, slice_intent
from execution.services.slices.history import LONGEST_REASON, SYSTEM, lock_parent, step
from execution.slicing.states import ParentStatus, ParentStep, SliceStatus
from execution.types import SubmitResult
from risk.types import Denial

# What the database refuses a child with; see the migration of the slices.
REFUSALS = frozenset({"order_parent_active", "order_slice_claimed", "order_within_parent", "order_slice_unique"})
ACTIVE, PAUSED = ParentStatus.ACTIVE, ParentStatus.PAUSED
TAKEN = "its id belongs to another order"


def send_slice(*, slice_id: int, claim: UUID, wall_now: datetime) -> bool:
    """Send a slice that the caller has claimed; False when it became no working order.

    Locks: as submitting; then, apart from it, the parent.
    """
    row = Slice.objects.select_related("parent__account__feed", "parent__strategy", "parent__instrument").get(
        pk=slice_id
    )
    parent = row.parent
    intent = slice_intent(parent, number=row.number, quantity=row.quantity, last=last_price(parent))
    try:
        result = submit_order(intent=intent, account=parent.account, wall_now=wall_now)
    except IntegrityError as refusal:
        if constraint_of(refusal) not in REFUSALS:
            raise
        return _record_refusal(row, claim, str(refusal).splitlines()[0], wall_now)
    except OrderConflict:  # another has sent it meanwhile at another price, or the id is somebody else's
        result = SubmitResult(Order.objects.filter(parent=parent, slice_number=row.number).first(), created=False)
    crashpoint(Point.SLICE_AFTER_SUBMIT)
    if result.order is not None and result.order.parent_id != parent.pk:
        result = SubmitResult(None, created=False)
    if result.order is None and not result.denials:
        return _record_failure(row, claim, wall_now)
    return _record(row, claim, result, wall_now)


def constraint_of(error: IntegrityError) -> str:
    """Return the name of the constraint that a statement has violated."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return str(getattr(diagnosis, "constraint_name", "") or "")


def _record(row: Slice, claim: UUID, result: SubmitResult, wall_now: datetime) -> bool:
    """Note the order, or the gate's refusal; nothing when the claim is not held any more."""
    status = SliceStatus.RETURNED if result.denials else SliceStatus.SENT
    reason = "; ".join(denial.message for denial in result.denials)[:LONGEST_REASON]
    with transaction.atomic():
        parent = lock_parent(row.parent_id)
        if not _release(row, claim, status, reason, result.order):
            return False
        kind = ParentStep.RETURNED if result.denials else ParentStep.SENT
        detail = {"slice": row.number, "quantity": f"{row.quantity.normalize():f}"}
        if result.denials:
            detail["denied"] = ", ".join(denial.code.value for denial in result.denials)
        market_at = parent.account.feed.market_now(wall_now)
        step(parent, kind, market_at=market_at, wall_now=wall_now, detail=detail)
        _stop_for(parent, result.denials, wall_now)
    return not result.denials


def _stop_for(parent: ParentOrder, denials: list[Denial], wall_now: datetime) -> None:
    stops = [denial for denial in denials if denial.code in STOPPING]
    if not stops or parent.status != ACTIVE:
        return
    step(
        parent,
        ParentStep.PAUSED,
        PAUSED,
        market_at=parent.account.feed.market_now(wall_now),
        wall_now=wall_now,
        actor=SYSTEM,
        reason=f"{stops[0].message}; it goes on when somebody resumes it",
    )


def _record_refusal(row: Slice, claim: UUID, reason: str, wall_now: datetime) -> bool:
    """Give a slice that the database refused back to the plan."""
    with transaction.atomic():
        parent = lock_parent(row.parent_id)
        if _release(row, claim, SliceStatus.RETURNED, reason, None):
            market_at = parent.account.feed.market_now(wall_now)
            detail = {"slice": row.number, "because": reason}
            step(parent, ParentStep.RETURNED, market_at=market_at, wall_now=wall_now, detail=detail)
    return False


def _record_failure(row: Slice, claim: UUID, wall_now: datetime) -> bool:
    """End a parent whose slices cannot be named: their ids belong to other orders. What ends anyway is left to it."""
    with transaction.atomic():
        parent = lock_parent(row.parent_id)
        if _release(row, claim, SliceStatus.RETURNED, TAKEN, None) and parent.status in (ACTIVE, PAUSED):
            market_at = parent.account.feed.market_now(wall_now)
            reason = f"slice {row.number}: {TAKEN}"
            step(parent, ParentStep.ENDED, ParentStatus.FAILED, market_at=market_at, wall_now=wall_now, reason=reason)
    return False


def _release(row: Slice, claim: UUID, status: SliceStatus, reason: str, order: Order | None) -> bool:
    """Give up the claim with what came of it, in one fencing update; False when somebody else holds it."""
    held = Slice.objects.filter(pk=row.pk, status=SliceStatus.CLAIMED, claim=claim)
    fields = {"status": status, "reason": reason, "order": order, "claim": None, "claimed_until": None}
    return bool(held.update(**fields))
