"""Ask for cancels. What was never sent is canceled here and now; what the broker may hold is asked for."""

from collections.abc import Callable
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from execution.crashpoints import Point, crashpoint
from execution.errors import OrderNotOpen
from execution.halting.scopes import OTHERS
from execution.models import Account, Order, OrderEvent
from execution.pace import count_message
from execution.services import legs, successors
from execution.services.journal import Journal
from execution.services.waking import wake_dispatcher
from execution.states import OPEN, OrderStatus

Choose = Callable[[Journal, list[Order]], list[Order]]
OPERATOR = OrderEvent.Source.OPERATOR
CANCELABLE = {OrderStatus.SUBMITTED, OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_REPLACE}


def request_cancel(*, order: Order, operator: str, wall_now: datetime, reason: str = "") -> Order:
    """Cancel one order; asking again while the cancel is under way changes nothing.

    While it is being replaced, the order that is to take its place goes with it; a group that was not sent yet goes as
    a whole. Locks: orders, position.
    :raises OrderNotOpen: the order is over
    """
    with transaction.atomic():
        journal = Journal.lock(
            orders=successors.with_partners(legs.group_of(order)),
            market_at=order.account.feed.market_now(wall_now),
            wall_now=wall_now,
        )
        locked = journal.orders[order.pk]
        if locked.status not in OPEN:
            raise OrderNotOpen(f"order {locked.client_order_id} is {locked.status}{_by(locked)}")
        _cancel_all(journal, [locked], operator, reason)
        journal.save()
        wake_dispatcher(order.account_id)
        crashpoint(Point.CANCEL_BEFORE_COMMIT)
    crashpoint(Point.CANCEL_AFTER_COMMIT)
    return locked


def cancel_open_orders(
    *,
    orders: Q,
    account: Account,
    operator: str,
    wall_now: datetime,
    reason: str = "",
    choose: Choose | None = None,
    everything: bool = False,
) -> tuple[int, int, tuple[int, ...]]:
    """Cancel every open order of the account that matches; cancels are never refused by the kill switch.

    Orders of others that were adopted are left alone unless `everything` is to go. `choose` picks from them once they
    are locked. Returns how many were canceled before they were sent, how many the dispatcher has to cancel at the
    broker, and the ids of both. A match of one that is being replaced is one of both.
    Locks: orders (by pk), positions.
    """
    with transaction.atomic():
        matching = orders & Q(account_id=account.pk, status__in=sorted(OPEN))
        if not everything:
            matching &= ~OTHERS
        journal = Journal.lock(
            orders=successors.with_partners(matching),
            market_at=account.feed.market_now(wall_now),
            wall_now=wall_now,
        )
        # Some have ended while their lock was waited for, and the other of a pair may be over.
        still_open = [order for order in journal.orders.values() if order.status in OPEN]
        if choose is not None:
            still_open = choose(journal, still_open)
        canceled = _cancel_all(journal, still_open, operator, reason)
        journal.save()
        if canceled:
            wake_dispatcher(account.pk)
        crashpoint(Point.KILL_BEFORE_COMMIT)
    if legs.has_group(canceled):
        legs.settle_legs(account.pk, market_at=journal.market_at, wall_now=wall_now)
    unsent = sum(order.status == OrderStatus.CANCELED for order in canceled)
    return unsent, len(canceled) - unsent, tuple(order.pk for order in canceled)


def left_to_others(*, account: Account, orders: Q) -> int:
    """Return how many open orders of others match: they stay when everything of ours goes."""
    return Order.objects.filter(orders & OTHERS, account=account, status__in=sorted(OPEN)).count()


def _cancel_all(journal: Journal, orders: list[Order], operator: str, reason: str) -> list[Order]:
    """Cancel locked orders, and with one that is being replaced the other of the pair; returns all of them by id."""
    pairs = successors.Pairs.completed(journal)
    together = {
        each.pk: each
        for order in orders
        for each in (order, *pairs.partners(order), *legs.unsent_group(journal, order))
    }
    for pk in sorted(together, reverse=True):  # a successor holds for its original, which steps in when it has let go
        _cancel(journal, together[pk], operator, reason)
    for order in together.values():
        pairs.settle(order)
        if order.status == OrderStatus.PENDING_CANCEL:
            count_message(journal.position(order), journal.market_at)
            journal.touch_position(journal.position(order))
    return [together[pk] for pk in sorted(together)]


def _cancel(journal: Journal, order: Order, operator: str, reason: str) -> None:
    detail = {"reason": reason} if reason else {}
    if order.status == OrderStatus.PENDING:
        order.cancel_requested_at = journal.wall_now
        journal.step(order, OrderStatus.CANCELED, source=OPERATOR, actor=operator, detail=detail)
    elif order.status in CANCELABLE:
        order.cancel_requested_at, order.cancel_sent_at = journal.wall_now, None
        if order.error_code == successors.CANCEL_REFUSED:  # which has its pause; a new wish has none
            order.error_code = order.error_message = ""
        journal.step(order, OrderStatus.PENDING_CANCEL, source=OPERATOR, actor=operator, detail=detail)
    elif order.status == OrderStatus.HELD:
        legs.cancel_held(journal, order, operator=operator, detail=detail)


def _by(order: Order) -> str:
    """Name the order that carries on."""
    if order.status != OrderStatus.REPLACED:
        return ""
    names = order.successors.filter(status__in=sorted(OPEN)).values_list("client_order_id", flat=True)
    return "".join(f" by {name}, which can be canceled" for name in names)
