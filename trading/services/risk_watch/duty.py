"""What the clock asks for each second."""

from datetime import datetime

from execution.models import Account
from trading.services.risk_watch.over_limits import keep_to_limits
from trading.services.risk_watch.reducing import reduce_one
from trading.services.risk_watch.watch import Look, watch_account


def watch_desk(account: Account, wall_now: datetime) -> Look | None:
    """Look at the desk's account, keep it to its limits, and reduce what is over one where that is wanted.

    None when another process has just looked. Each part is a transaction of its own: the breaker never waits for the
    canceling of orders.
    """
    look = watch_account(account=account, wall_now=wall_now)
    if look is None:
        return None
    breaches = keep_to_limits(account=account, look=look, wall_now=wall_now)
    reduce_one(account=account, look=look, breaches=breaches, wall_now=wall_now)
    return look
