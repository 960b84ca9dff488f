"""Have the worker look at the portfolio: it reads years of bars, which is no work for the clock."""

from datetime import datetime

from execution.models import Account
from trading.tasks import enqueue

TASK = "watch_portfolio"


def ask_for_portfolio_look(account: Account, wall_now: datetime) -> None:
    """Put the look into the worker's queue; twice asked for is twice looked."""
    enqueue(TASK, account.pk)
