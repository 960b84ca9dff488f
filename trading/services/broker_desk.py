"""A desk whose market and whose other book are a broker's: meet the broker, and make the desk after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings

from execution.brokers.base import BrokerAccount
from execution.brokers.registry import alpaca_broker_for
from execution.models import Account
from execution.services.accounts import open_account
from execution.services.broker_identity import verify_identity
from marketdata.models import Feed
from marketdata.services.feeds import follow_clock

if TYPE_CHECKING:
    from execution.brokers.alpaca import AlpacaBroker
    from execution.brokers.alpaca.clock import BrokerClock


@dataclass(frozen=True, slots=True)
class BrokerView:
    """What the broker says at the start."""

    broker: AlpacaBroker
    account: BrokerAccount
    clock: BrokerClock


def look_at_broker() -> BrokerView:
    """Ask the broker of the trading mode who it is and what time it is there; sends nothing else, needs no database.

    :raises BrokerError: no keys, nobody there, or keys that are refused
    """
    broker = alpaca_broker_for(Account(name=settings.TRADING_MODE, mode=settings.TRADING_MODE))
    return BrokerView(broker, broker.account(), broker.clock())


def ensure_broker_desk(*, view: BrokerView, wall_now: datetime) -> Account:
    """Make the desk's feed follow the broker's clock and open its account with the broker's cash.

    Once opened, the account stays that of the broker's account that was met first.
    :raises ClockRefusedError: the broker's clock changed its kind, or went back
    :raises BrokerError: it is another account than the first time
    """
    mode = str(settings.TRADING_MODE)
    feed = follow_broker_clock(clock=view.clock, wall_now=wall_now)
    account = open_account(
        name=mode,
        mode=mode,
        kind=Account.Kind.DESK,
        feed=feed,
        starting_cash=view.account.cash,
        wall_now=wall_now,
        account_number=view.account.account_number,
    )
    verify_identity(account=account, broker=view.broker, wall_now=wall_now)
    return account


def follow_broker_clock(*, clock: BrokerClock, wall_now: datetime) -> Feed:
    """Make the desk's feed tell the broker's time.

    :raises ClockRefusedError: the broker's clock changed its kind, or went back
    """
    return follow_clock(name=settings.DESK_FEED, state=clock.replay, wall_now=wall_now)
