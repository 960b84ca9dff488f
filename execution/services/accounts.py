"""Open accounts and strategies."""

from datetime import datetime
from decimal import Decimal

from django.db import transaction

from execution.models import Account, CashEntry, Strategy
from marketdata import calendar
from marketdata.models import Feed
from risk.services import breaker

SYSTEM = "system"


@transaction.atomic
def open_account(
    *, name: str, mode: str, kind: str, feed: Feed, starting_cash: Decimal, wall_now: datetime, account_number: str = ""
) -> Account:
    """Return the account of that name, made with its deposit and an open breaker when there is none.

    An account at the built-in exchange starts reconciled, because both books are empty; any other has to be first.
    """
    empty = mode in (Account.Mode.PAPER, Account.Mode.DRY_RUN)
    account, created = Account.objects.get_or_create(
        name=name,
        defaults={
            "mode": mode,
            "kind": kind,
            "feed": feed,
            "starting_cash": starting_cash,
            "cash": starting_cash,
            "account_number": account_number or name,
            "reconciliation": Account.Reconciliation.CLEAN if empty else Account.Reconciliation.PENDING,
            "reconciled_at": wall_now if empty else None,
            # Nobody else trades at our own exchange: what is there and not in the book is a failure of ours.
            "strangers": Account.Strangers.QUARANTINE if empty else Account.Strangers.ADOPT,
        },
    )
    if not created:
        return account
    market_at = feed.market_now(wall_now)
    CashEntry.objects.create(
        account=account,
        kind=CashEntry.Kind.DEPOSIT,
        amount=starting_cash,
        reference="opening",
        trading_date=calendar.trading_date(market_at),
        market_at=market_at,
    )
    breaker.initialise(scope=account.scope, operator=SYSTEM, now=wall_now)
    return account


def ensure_strategy(
    *, name: str, description: str = "", scheduled: bool = False, capital_share: Decimal = Decimal(1)
) -> Strategy:
    """Return the strategy of that name, made when there is none."""
    strategy, _created = Strategy.objects.get_or_create(
        name=name,
        defaults={"description": description, "scheduled": scheduled, "capital_share": capital_share},
    )
    return strategy
