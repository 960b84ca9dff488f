"""What the clock asks for each second."""

from datetime import datetime

from execution.models import Account
from trading.services.risk_watch.watch import watch_account


def watch_desk(account: Account, wall_now: datetime) -> None:
    """Look at the desk's account."""
    watch_account(account=account, wall_now=wall_now)
