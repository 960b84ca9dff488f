"""Note how the orders of a parent have ended, and end the parent itself."""

from datetime import datetime
from decimal import Decimal

from django.db import transaction

from execution.models import Order, ParentOrder, Slice
from execution.parent_orders import progress
from execution.services.overfills import tell_overfill
from execution.services.slices.children import STOPPING
from execution.services.slices.history import LONGEST_REASON, lock_parent, step
from execution.slicing.states import ParentStatus, ParentStep, SliceStatus
from execution.states import OPEN, TERMINAL, OrderStatus

UNFILLED = "the window is over, and no slice may grow beyond its limits to catch up"


def end_if_over(parent_id: int, *, wall_now: datetime) -> None:
    """End a parent that is being canceled or has expired, once none of its orders can trade. Locks: parent."""
    with transaction.atomic():
        parent = lock_parent(parent_id)
        if parent.status not in (ParentStatus.CANCELING, ParentStatus.EXPIRING):
            return
        if parent.children.filter(status__in=sorted(OPEN)).exists():
            return
        end(parent, wall_now=wall_now)


def end(parent: ParentOrder, *, wall_now: datetime) -> None:
    """Give a locked parent without open orders its last status: completed when all is filled."""
    market_at = parent.account.feed.market_now(wall_now)
    settle(parent, market_at=market_at, wall_now=wall_now)
    unsent = parent.slices.filter(status=SliceStatus.CLAIMED)
    unsent.update(
        status=SliceStatus.SKIPPED, claim=None, claimed_until=None, reason="the order ended before it was sent"
    )
    done = progress(parent)
    left = done.left(parent.quantity)
    if not left:
        to, reason = ParentStatus.COMPLETED, "dry run: nothing was sent" if done.imagined else ""
    elif parent.status == ParentStatus.CANCELING:
        to, reason = ParentStatus.CANCELED, parent.reason
    else:
        to, reason = (
            ParentStatus.EXPIRED,
            f"{left.normalize():f} of {parent.quantity.normalize():f} unfilled: {UNFILLED}",
        )
    detail = {"filled": f"{done.filled.normalize():f}", "left": f"{left.normalize():f}"}
    step(parent, ParentStep.ENDED, to, market_at=market_at, wall_now=wall_now, reason=reason, detail=detail)


def settle(parent: ParentOrder, *, market_at: datetime, wall_now: datetime) -> str:
    """Note what has become of a locked parent's orders; returns why it has to stop, empty when it need not.

    An order that was stored and not recorded (its sender died) is recorded now. What an ended order has not filled
    goes back to the plan. A late fill beyond the parent is a fact and an alert.
    """
    adopt(parent)
    stop = ""
    ended = parent.slices.filter(status=SliceStatus.SENT, order__status__in=sorted(TERMINAL))
    for row in ended.select_related("order").order_by("number"):
        order = row.order
        assert order is not None, "a slice that was sent has its order"
        rest = _rest(order)
        if not rest:
            Slice.objects.filter(pk=row.pk).update(status=SliceStatus.DONE)
            continue
        reason = f"{order.status}: {rest.normalize():f} of {order.quantity.normalize():f} went back"
        if order.error_message:
            reason = f"{reason} ({order.error_message})"[:LONGEST_REASON]
        Slice.objects.filter(pk=row.pk).update(status=SliceStatus.RETURNED, reason=reason)
        detail = {"slice": row.number, "order": order.client_order_id, "returned": f"{rest.normalize():f}"}
        step(
            parent,
            ParentStep.RETURNED,
            market_at=market_at,
            wall_now=wall_now,
            detail=detail | {"because": reason},
        )
        if order.error_code in STOPPING:
            stop = reason
    tell_overfill(parent, wall_now=wall_now)
    return stop


def adopt(parent: ParentOrder) -> None:
    """Record the orders of a locked parent that are stored and whose slices do not know it."""
    for row in parent.slices.filter(status=SliceStatus.CLAIMED):
        order = parent.children.filter(slice_number=row.number).first()
        if order is not None:
            Slice.objects.filter(pk=row.pk).update(status=SliceStatus.SENT, order=order, claim=None, claimed_until=None)


def _rest(order: Order) -> Decimal:
    return Decimal(0) if order.status == OrderStatus.DRY_RUN else order.quantity - order.filled_quantity
