"""See that what is to be over is over: a cancel refused under a kill switch, an order that only the broker still has.

Engaging the switch asks for every cancel once. A broker may refuse one, and an order of ours may turn out to work there
after it ended in the book; so while anything is stopped the account is looked at again and again.
"""

from datetime import datetime, timedelta

from django.db.models import Q

from execution.brokers.base import Broker
from execution.models import Account
from execution.services.cancels import cancel_open_orders
from execution.services.recovery import cancel_strays
from execution.states import OrderStatus
from risk.models import GLOBAL_SCOPE
from risk.selectors import kill_switch_status

EVERY, WHILE_STOPPED = timedelta(seconds=30), timedelta(seconds=5)
ACTOR = "kill switch"


def sweep_interval(account: Account) -> timedelta:
    """Return how long to wait after a sweep (wall time)."""
    return EVERY if stopped_orders(account) is None else WHILE_STOPPED


def sweep(*, account: Account, broker: Broker, wall_now: datetime) -> int:
    """Cancel again what works under an engaged kill switch, and at the broker what is over in the book.

    Orders of others are left alone. Returns how many were asked to go. Locks: orders, positions.
    :raises BrokerError: the broker's list cannot be had; what was canceled in the book stays
    """
    again = 0
    stopped = stopped_orders(account)
    if stopped is not None:
        unsent, asked, _ids = cancel_open_orders(
            orders=stopped & ~Q(status=OrderStatus.PENDING_CANCEL),
            account=account,
            operator=ACTOR,
            wall_now=wall_now,
            reason="open while the kill switch is engaged",
        )
        again = unsent + asked
    return again + cancel_strays(account=account, broker=broker, at=account.feed.market_now(wall_now))


def stopped_orders(account: Account) -> Q | None:
    """Return the condition of the account's orders that an engaged switch stops, None when there is none."""
    scopes = {status.scope for status in kill_switch_status() if status.engaged}
    if scopes & {GLOBAL_SCOPE, account.scope}:
        return Q()
    names = [name for kind, _, name in (scope.partition(":") for scope in sorted(scopes)) if kind == "strategy"]
    return Q(strategy__name__in=names) if names else None
