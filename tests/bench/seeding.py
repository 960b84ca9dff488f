"""A desk that may trade without end: an open market at a fixed instant, five names at 100, limits out of reach."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

from django.contrib.auth.models import User
from django.db import connection

from execution.models import Account
from marketdata.models import Feed
from ops_console.scopes import Scope
from ops_console.services.tokens import create_token
from risk.types import OrderIntent, OrderType, Side
from tests import factories
from tests.bench.load import SYMBOLS

CASH = Decimal(10) ** 10
WIDE = 10**11
_numbers = count(1)


def wall_now() -> datetime:
    """Return the time that a process would pass in."""
    return datetime.now(UTC)


def lift_limits() -> None:
    """Set every limit out of reach; all of them are still read, resolved and compared."""
    factories.allow(
        max_order_quantity=WIDE, max_order_notional=WIDE, max_position_quantity=WIDE, max_position_notional=WIDE,
        max_gross_notional=WIDE, max_net_notional=WIDE, max_names=10_000, max_open_orders=WIDE,
        max_orders_per_minute=WIDE, min_order_interval_seconds=0, daily_loss_pct=100, weekly_loss_pct=100,
        max_messages_per_minute=WIDE, max_open_orders_per_symbol=WIDE, max_repeated_orders=WIDE,
        max_sector_notional=WIDE, max_daily_turnover=WIDE, intraday_loss_pct=100, drawdown_pct=100,
    )  # fmt: skip


def desk(name: str = "paper") -> Account:
    """Make an account on a feed of its own, with a quote in each name."""
    feed = factories.make_feed(name=f"feed-of-{name}")
    account = factories.make_account(name=name, feed=feed, starting_cash=CASH)
    quote(feed, SYMBOLS)
    return account


def quote(feed: Feed, symbols: tuple[str, ...]) -> None:
    """Make the names and give each the price 100."""
    for symbol in symbols:
        factories.make_instrument(symbol, average_daily_volume=Decimal(100_000_000))
        factories.make_quote(feed, symbol)


def intent(account: Account, **fields: object) -> OrderIntent:
    """Return a wish that was never wished before."""
    number = next(_numbers)
    wish = {
        "symbol": SYMBOLS[number % len(SYMBOLS)],
        "side": Side.BUY if number % 2 else Side.SELL,
        "quantity": Decimal(1 + number % 97),
        "order_type": OrderType.LIMIT,
        # Buys below the market, sells above it: a desk's own orders must not meet.
        "limit_price": Decimal(100) + Decimal(number % 400 + 1) / 100 * (-1 if number % 2 else 1),
        "client_order_id": f"{account.name}-{number}",
    }
    return factories.make_intent(**wish | fields)


def trading_key() -> str:
    """Issue a token that may trade."""
    owner, _created = User.objects.get_or_create(username="bench", defaults={"is_superuser": True})
    issued = create_token(user=owner, name="bench", scope=Scope.TRADE, now=wall_now())
    return issued.key


def settle() -> None:
    """Give the planner its statistics and empty the journal, so that neither happens in the middle of a measurement."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
