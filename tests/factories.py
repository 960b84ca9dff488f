"""Rows for tests: a market on Thursday 2012-06-14, 11:00 in New York, and an account that may trade in it."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from execution.models import Account, Order, Strategy
from execution.services.accounts import ensure_strategy, open_account
from execution.services.orders import submit_order
from execution.types import SubmitResult
from marketdata.models import Feed, Instrument
from marketdata.services.feeds import create_manual_feed
from marketdata.services.quotes import store_quotes
from marketdata.types import QuoteUpdate
from risk.services import kill_switch
from risk.services.limits import set_limit
from risk.types import OrderIntent, Origin, Side

D = Decimal
MARKET_AT = datetime(2012, 6, 14, 15, 0, tzinfo=UTC)
WALL_NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CASH = D(100_000)
_numbers = count(1)


def make_feed(**fields: Any) -> Feed:
    """Make a feed whose time is set by hand."""
    return create_manual_feed(**{"name": f"feed-{next(_numbers)}", "market_at": MARKET_AT} | fields)


def make_instrument(symbol: str = "AAPL", **fields: Any) -> Instrument:
    """Make an instrument with a volume of ten million shares a day."""
    values = {"name": symbol, "average_daily_volume": D(10_000_000), "adv_as_of": date(2012, 6, 13)} | fields
    instrument, _created = Instrument.objects.update_or_create(symbol=symbol, defaults=values)
    return instrument


def make_quote(feed: Feed, symbol: str = "AAPL", last: str = "100", at: datetime = MARKET_AT) -> None:
    """Store a quote two cents wide."""
    price = D(last)
    update = QuoteUpdate(symbol=symbol, bid=price - D("0.01"), ask=price + D("0.01"), last=price, at=at, source="test")
    store_quotes(feed=feed, quotes=[update], wall_now=WALL_NOW)


def make_strategy(name: str = "manual", **fields: Any) -> Strategy:
    """Make a strategy."""
    return ensure_strategy(name=name, **fields)


def make_account(**fields: Any) -> Account:
    """Make an account that may trade AAPL at 100: kill switch off, breaker open, reconciled."""
    feed = fields.pop("feed", None) or make_feed()
    values = {
        "name": f"account-{next(_numbers)}",
        "mode": Account.Mode.PAPER,
        "kind": Account.Kind.DESK,
        "starting_cash": CASH,
        "wall_now": WALL_NOW,
    }
    account = open_account(feed=feed, **values | fields)
    kill_switch.install(operator="test", now=WALL_NOW)
    make_strategy()
    make_instrument()
    make_quote(feed)
    return account


def make_intent(**fields: Any) -> OrderIntent:
    """Make the wish to buy ten AAPL at the market."""
    values = {"strategy": "manual", "symbol": "AAPL", "side": Side.BUY, "quantity": D(10)}
    if fields.get("origin") == Origin.RUN:
        values["signals_as_of"] = date(2012, 6, 13)
    return OrderIntent(**values | fields)


def submit(account: Account, **fields: Any) -> SubmitResult:
    """Send an intent through the gate."""
    return submit_order(intent=make_intent(**fields), account=account, wall_now=WALL_NOW)


def make_order(account: Account | None = None, **fields: Any) -> Order:
    """Make an order that has passed the gate."""
    result = submit(account or make_account(), **fields)
    if result.order is None or not result.accepted:
        raise AssertionError(f"the gate refused: {result.denials}")
    return Order.objects.select_related("account__feed", "instrument", "strategy").get(pk=result.order.pk)


def allow(**limits: int | str) -> None:
    """Set limits by name."""
    for name, value in limits.items():
        set_limit(name=name, value=D(value), operator="test", reason="set by a test case", now=WALL_NOW)


def allow_bursts() -> None:
    """Lift the limits on pace, so that a test may send many orders of one name at once."""
    wide = 10**9
    allow(
        min_order_interval_seconds=0,
        max_orders_per_minute=wide,
        max_messages_per_minute=wide,
        max_open_orders=wide,
        max_open_orders_per_symbol=wide,
        max_repeated_orders=wide,
        identical_window_seconds=0,
    )
