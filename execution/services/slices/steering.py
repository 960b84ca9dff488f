"""Pause, resume and cancel what is worked in slices.

A parent's row is locked and committed before any of its orders is: nobody who holds an account or an order waits for
a parent that waits for them. A child that is stored meanwhile is refused by the database or seen afterwards.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from execution.errors import OrderNotOpen, PlanRefused
from execution.models import Order, ParentOrder
from execution.services.cancels import request_cancel
from execution.services.slices.children import STOPPING, plan_denials
from execution.services.slices.ending import end_if_over
from execution.services.slices.history import lock_parent, step
from execution.services.slices.planning import plan_rest
from execution.slicing.plan import PlannedSlice
from execution.slicing.states import PARENT_LIVE, ParentStatus, ParentStep, SliceStatus
from execution.states import OPEN, OrderStatus
from risk.models import GLOBAL_SCOPE
from risk.types import Denial

ACTIVE, PAUSED = ParentStatus.ACTIVE, ParentStatus.PAUSED


def pause_parent(*, parent: ParentOrder, operator: str, wall_now: datetime, reason: str = "") -> ParentOrder:
    """Send nothing more of it, and cancel what of it is open; pausing again changes nothing.

    Locks: parent; then, apart from it, its orders and positions.
    :raises OrderNotOpen: it is over, or being canceled
    """
    with transaction.atomic():
        locked = lock_parent(parent.pk)
        if locked.status not in (ACTIVE, PAUSED):
            raise OrderNotOpen(f"order {locked.client_order_id} is {locked.status}")
        if locked.status == ACTIVE:
            _pause(locked, operator, reason or f"paused by {operator}", wall_now)
    cancel_children(locked, operator=operator, wall_now=wall_now, reason=locked.reason)
    return locked


def pause_parents(*, scope: str, operator: str, reason: str, wall_now: datetime) -> tuple[int, ...]:
    """Pause every active parent in the scope of a kill switch; returns their ids. Their orders are the caller's.

    Scopes are `global`, `account:NAME`, `strategy:NAME` and `symbol:NAME`. Nothing resumes by itself. Locks: parents
    (by pk), in a transaction of its own, so not to be called with an order or an account locked.
    :raises ValueError: no such scope
    """
    with transaction.atomic():
        found = ParentOrder.objects.select_for_update(of=("self",), no_key=True)
        parents = found.select_related("account__feed").filter(_in_scope(scope), status=ACTIVE).order_by("pk")
        paused = list(parents)
        for parent in paused:
            _pause(parent, operator, reason, wall_now)
    return tuple(parent.pk for parent in paused)


def resume_parent(*, parent: ParentOrder, operator: str, wall_now: datetime) -> tuple[ParentOrder, list[Denial]]:
    """Go on with what is left over the time that is left; what stops all trading is returned and it stays paused.

    Resuming what works changes nothing. Locks: parent.
    :raises OrderNotOpen: it is over, or being canceled
    :raises PlanRefused: its window is over
    """
    denials = _stops(parent, wall_now)
    with transaction.atomic():
        locked = lock_parent(parent.pk)
        market_at = locked.account.feed.market_now(wall_now)
        if locked.status == ACTIVE or (locked.status == PAUSED and denials):
            return locked, denials if locked.status == PAUSED else []
        if locked.status != PAUSED:
            raise OrderNotOpen(f"order {locked.client_order_id} is {locked.status}")
        if market_at >= locked.ends_at:
            raise PlanRefused("duration_minutes", f"its window was over at {locked.ends_at:%H:%M} UTC")
        step(locked, ParentStep.RESUMED, ACTIVE, market_at=market_at, wall_now=wall_now, actor=operator, reason="")
        plan_rest(locked, market_at=market_at, wall_now=wall_now)
    return locked, []


def cancel_parent(*, parent: ParentOrder, operator: str, wall_now: datetime, reason: str = "") -> ParentOrder:
    """Send nothing more of it and cancel what is open; it is canceled once its orders are over.

    Asking again asks again for the cancels. Locks: parent; then, apart from it, its orders and positions.
    :raises OrderNotOpen: it is over
    """
    with transaction.atomic():
        locked = lock_parent(parent.pk)
        if locked.status not in PARENT_LIVE:
            raise OrderNotOpen(f"order {locked.client_order_id} is {locked.status}")
        if locked.status != ParentStatus.CANCELING:
            market_at = locked.account.feed.market_now(wall_now)
            step(
                locked,
                ParentStep.CANCEL_ASKED,
                ParentStatus.CANCELING,
                market_at=market_at,
                wall_now=wall_now,
                actor=operator,
                reason=reason or f"canceled by {operator}",
            )
            unsent = locked.slices.filter(status=SliceStatus.PLANNED)
            unsent.update(status=SliceStatus.SKIPPED, reason="the order was canceled")
    cancel_children(locked, operator=operator, wall_now=wall_now, reason=locked.reason)
    end_if_over(locked.pk, wall_now=wall_now)
    return ParentOrder.objects.get(pk=locked.pk)


def cancel_children(parent: ParentOrder, *, operator: str, wall_now: datetime, reason: str) -> int:
    """Ask for the cancel of every open order of a parent; one in flight is canceled after its answer. Returns how many.

    Locks: each order with its position, one by one.
    """
    asked = 0
    working = parent.children.filter(status__in=sorted(OPEN)).exclude(status=OrderStatus.PENDING_CANCEL)
    for order in working.select_related("account__feed", "instrument", "strategy").order_by("pk"):
        asked += _cancel_one(order, operator, wall_now, reason)
    return asked


def _cancel_one(order: Order, operator: str, wall_now: datetime, reason: str) -> int:
    try:
        request_cancel(order=order, operator=operator, wall_now=wall_now, reason=reason)
    except OrderNotOpen:  # it has ended while its lock was waited for
        return 0
    return 1


def _pause(parent: ParentOrder, operator: str, reason: str, wall_now: datetime) -> None:
    market_at = parent.account.feed.market_now(wall_now)
    step(parent, ParentStep.PAUSED, PAUSED, market_at=market_at, wall_now=wall_now, actor=operator, reason=reason)


def _stops(parent: ParentOrder, wall_now: datetime) -> list[Denial]:
    """Return what would pause it again at once; a slice that is still to be planned would meet the same."""
    waiting = parent.slices.filter(status=SliceStatus.PLANNED)
    coming = waiting.order_by("due_at").first() or parent.slices.order_by("number").last()
    if coming is None:
        return []
    planned = PlannedSlice(coming.number, coming.due_at, coming.quantity, coming.max_quantity)
    return [denial for denial in plan_denials(parent, [planned], wall_now) if denial.code in STOPPING]


def _in_scope(scope: str) -> Q:
    kind, _, name = scope.partition(":")
    if scope == GLOBAL_SCOPE:
        return Q()
    lookups = {"account": "account__name", "strategy": "strategy__name", "symbol": "instrument__symbol"}
    if kind not in lookups or not name:
        raise ValueError(f"scope: {scope!r} is not allowed; global, account:NAME, strategy:NAME or symbol:NAME is")
    return Q(**{lookups[kind]: name})
