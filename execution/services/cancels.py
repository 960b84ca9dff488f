"""Ask for cancels. What was never sent is canceled here and now; what the broker may hold is asked for."""

from datetime import datetime

from django.db import connection, transaction
from django.db.models import Q

from execution.errors import OrderNotOpen
from execution.models import Account, Order, OrderEvent
from execution.services.dispatch import CHANNEL
from execution.services.journal import Journal
from execution.states import OPEN, OrderStatus

OPERATOR = OrderEvent.Source.OPERATOR
CANCELABLE = {OrderStatus.SUBMITTED, OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_REPLACE}


def request_cancel(*, order: Order, operator: str, wall_now: datetime, reason: str = "") -> Order:
    """Cancel one order; asking again while the cancel is under way changes nothing. Locks: order, position.

    :raises OrderNotOpen: the order is over
    """
    with transaction.atomic():
        journal = Journal.lock(
            orders=Q(pk=order.pk), market_at=order.account.feed.market_now(wall_now), wall_now=wall_now
        )
        locked = journal.orders[order.pk]
        if locked.status not in OPEN:
            raise OrderNotOpen(f"order {locked.client_order_id} is {locked.status}")
        _cancel(journal, locked, operator, reason)
        journal.save()
        _wake(order.account_id)
    return locked


def cancel_open_orders(
    *, orders: Q, account: Account, operator: str, wall_now: datetime, reason: str = ""
) -> tuple[int, int, tuple[int, ...]]:
    """Cancel every open order of the account that matches; cancels are never refused by the kill switch.

    Returns how many were canceled before they were sent, how many the dispatcher has to cancel at the broker, and the
    ids of both. Locks: orders (by pk), positions.
    """
    with transaction.atomic():
        journal = Journal.lock(
            orders=orders & Q(account_id=account.pk, status__in=sorted(OPEN)),
            market_at=account.feed.market_now(wall_now),
            wall_now=wall_now,
        )
        for order in journal.orders.values():
            _cancel(journal, order, operator, reason)
        journal.save()
        if journal.orders:
            _wake(account.pk)
    unsent = sum(order.status == OrderStatus.CANCELED for order in journal.orders.values())
    return unsent, len(journal.orders) - unsent, tuple(journal.orders)


def _cancel(journal: Journal, order: Order, operator: str, reason: str) -> None:
    detail = {"reason": reason} if reason else {}
    if order.status == OrderStatus.PENDING:
        order.cancel_requested_at = journal.wall_now
        journal.step(order, OrderStatus.CANCELED, source=OPERATOR, actor=operator, detail=detail)
    elif order.status in CANCELABLE:
        order.cancel_requested_at, order.cancel_sent_at = journal.wall_now, None
        journal.step(order, OrderStatus.PENDING_CANCEL, source=OPERATOR, actor=operator, detail=detail)


def _wake(account_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(account_id)])
