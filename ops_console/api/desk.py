"""The desk: the account that the API trades and shows, and the times of a request."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from execution.models import Account, Strategy
from execution.selectors import desk_account
from marketdata.clock import wall_now
from ops_console.api.codes import ProblemCode
from ops_console.api.problems import Problem, invalid


@dataclass(frozen=True, slots=True)
class Desk:
    """The account with its feed, wall time and market time."""

    account: Account
    wall_now: datetime
    market_now: datetime


def desk() -> Desk:
    """Return the desk now. One query.

    :raises Problem: nothing has been set up yet
    """
    now = wall_now()
    account = desk_account(settings.TRADING_MODE)
    if account is None:
        raise Problem(
            ProblemCode.NOT_READY, f"the desk has no account {settings.TRADING_MODE!r}: start the platform once"
        )
    return Desk(account, now, account.feed.market_now(now))


def known_strategy(name: str) -> Strategy:
    """Return the strategy of that name.

    :raises Problem: there is none; a misspelt name must not look like a switch that was turned
    """
    strategy = Strategy.objects.filter(name=name).first()
    if strategy is None:
        names = ", ".join(Strategy.objects.order_by("name").values_list("name", flat=True))
        raise invalid("strategy", name, f"one of {names}" if names else "the name of a strategy; there is none yet")
    return strategy


_accounts: dict[str, Account] = {}


def order_account() -> Account:
    """Return the desk's account for the order path, which reads everything but its id again under the lock.

    An account is never deleted and never renamed, so its id is remembered: no query but the first in a process.
    :raises Problem: nothing has been set up yet
    """
    name = settings.TRADING_MODE
    if name not in _accounts:
        _accounts[name] = Account(pk=desk().account.pk, name=name)
    return _accounts[name]


def forget_account() -> None:
    """Drop what was remembered, because the database is another one now."""
    _accounts.clear()
