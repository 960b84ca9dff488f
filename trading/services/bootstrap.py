"""Give an empty database what the desk needs; running it again changes nothing."""

from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db import transaction

from execution.models import Account, Order, Strategy
from execution.services.accounts import ensure_strategy, open_account
from marketdata.services.feeds import ensure_main_feed
from risk.services import kill_switch
from signals.strategies.registry import strategy_names
from trading.services.broker_desk import BrokerView, ensure_broker_desk

SYSTEM = "system"


@transaction.atomic
def bootstrap(*, wall_now: datetime, view: BrokerView | None = None) -> Account:
    """Make feed, desk account, strategies and the first state of the kill switch; return the desk's account.

    `view` is what the broker said, where the trading mode has one on a network.
    """
    prepare_installation(wall_now=wall_now)
    return ensure_desk(wall_now=wall_now) if view is None else ensure_broker_desk(view=view, wall_now=wall_now)


@transaction.atomic
def prepare_installation(*, wall_now: datetime) -> None:
    """Make what every account needs: strategies and the first state of the kill switch."""
    release_new_installation(wall_now=wall_now)
    ensure_strategies()


def ensure_strategies() -> list[Strategy]:
    """Make a strategy of each strategy file, and those of people.

    In a new installation each is scheduled with an equal share of the capital. A file that is new to an installation
    waits for a person to give it a share: the others have all of it.
    """
    names = strategy_names()
    new = not Strategy.objects.filter(name__in=names).exists()
    share = (Decimal(1) / max(len(names), 1)).quantize(Decimal("0.0001")) if new else Decimal(0)
    made = [
        ensure_strategy(name=Strategy.MANUAL, description="orders of people and of programs"),
        ensure_strategy(name=Strategy.EXTERNAL, description="what belongs to nobody here"),
    ]
    return made + [
        ensure_strategy(name=name, description="strategy file of this name", scheduled=new, capital_share=share)
        for name in names
    ]


def ensure_desk(*, wall_now: datetime) -> Account:
    """Make the feed and the account of a desk at the built-in exchange, named after the trading mode."""
    mode = str(settings.TRADING_MODE)
    feed = ensure_main_feed(wall_now=wall_now)
    return open_account(
        name=mode,
        mode=mode,
        kind=Account.Kind.DESK,
        feed=feed,
        starting_cash=Decimal(settings.CAPITAL),
        wall_now=wall_now,
    )


def release_new_installation(*, wall_now: datetime) -> bool:
    """Release the kill switch of a database that has never seen one, nor an order; say whether it was done.

    Anywhere else a missing state stays what it is: engaged.
    """
    if Order.objects.exists() or Account.objects.exists():
        return False
    return kill_switch.install(operator=SYSTEM, now=wall_now) is not None
