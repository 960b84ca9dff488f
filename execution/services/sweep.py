"""See that what is to be over is over: a cancel refused under a kill switch, an order that only the broker still has.

Engaging the switch asks for every cancel once. A broker may refuse one, and an order of ours may turn out to work there
after it ended in the book; so while anything is stopped the account is looked at again and again.
"""

from datetime import datetime, timedelta

from django.db.models import Q

from execution.brokers.base import Broker
from execution.halting.scopes import CLOSING, adding, stopped
from execution.models import Account, Order
from execution.services.cancels import cancel_open_orders
from execution.services.recovery import cancel_strays
from execution.states import OPEN, OrderStatus
from risk.stops import Cancels

EVERY, WHILE_STOPPED = timedelta(seconds=30), timedelta(seconds=5)
ACTOR = "kill switch"


def sweep_interval(account: Account) -> timedelta:
    """Return how long to wait after a sweep (wall time)."""
    return EVERY if not stopped(account) else WHILE_STOPPED


def sweep(*, account: Account, broker: Broker, wall_now: datetime) -> int:
    """Cancel again what works under an engaged kill switch, and at the broker what is over in the book.

    Orders of others are left alone. Returns how many were asked to go. Locks: orders, positions.
    :raises BrokerError: the broker's list cannot be had; what was canceled in the book stays
    """
    again = cancel_stopped(account=account, wall_now=wall_now)
    return again + cancel_strays(account=account, broker=broker, at=account.feed.market_now(wall_now))


def cancel_stopped(*, account: Account, wall_now: datetime) -> int:
    """Cancel in the book what an engaged switch stops and is still open; returns how many. Locks: orders, positions."""
    again = 0
    if not Order.objects.filter(account=account, status__in=sorted(OPEN)).exists():
        return again
    for wanted, matching in stopped(account).items():
        unsent, asked, _ids = cancel_open_orders(
            orders=matching & ~Q(status=OrderStatus.PENDING_CANCEL) & ~CLOSING,
            account=account,
            operator=ACTOR,
            wall_now=wall_now,
            reason="open while the kill switch is engaged",
            choose=adding if wanted == Cancels.INCREASING else None,
        )
        again += unsent + asked
    return again
