"""Single days of a replay for tests, played by hand."""

from datetime import date, timedelta
from decimal import Decimal

from execution.models import Account, Order
from execution.services.accounts import open_account
from marketdata import calendar
from marketdata.clock import BEFORE_OPEN
from marketdata.lake import default_lake
from marketdata.providers.replay import ReplayProvider
from marketdata.services.feeds import create_manual_feed, set_market_time
from tests.factories import WALL_NOW
from trading.services.market_day import Desk, before_open, close_books, dispatch_all, hold_closing, hold_opening
from trading.types import ReplayParameters, Sizing

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
SIZING = Sizing(symbols=SYMBOLS, capital=Decimal(50_000), max_position_size=Decimal(1_000))
FIRST = date(2012, 1, 4)


def parameters(start: date, end: date, **changes: object) -> ReplayParameters:
    """Return parameters of a replay with both strategies."""
    values: dict[str, object] = {
        "strategies": ("mean_reversion", "momentum"),
        "symbols": SYMBOLS,
        "capital": Decimal(100_000),
        "max_position_size": Decimal(1_000),
    }
    return ReplayParameters(start=start, end=end, **(values | changes))


def morning(day: date = FIRST, name: str = "by-hand") -> Desk:
    """Open an account on a feed of its own and bring it to 09:05 of the session."""
    feed = create_manual_feed(name=name, market_at=calendar.session_open(day) - BEFORE_OPEN)
    account = open_account(
        name=name,
        mode=Account.Mode.PAPER,
        kind=Account.Kind.REPLAY,
        feed=feed,
        starting_cash=Decimal(100_000),
        wall_now=WALL_NOW,
    )
    desk = Desk.of(account, ReplayProvider(default_lake(), symbols=SYMBOLS))
    return next_morning(desk, day)


def next_morning(desk: Desk, day: date) -> Desk:
    """Bring an account to 09:05 of a session."""
    set_market_time(feed=desk.account.feed, at=calendar.session_open(day) - BEFORE_OPEN)
    before_open(desk, day, WALL_NOW)
    set_market_time(feed=desk.account.feed, at=calendar.session_open(day) - timedelta(minutes=25))
    return desk


def rest_of_day(desk: Desk, day: date = FIRST) -> None:
    """Send what waits, hold both auctions and close the books."""
    dispatch_all(desk, WALL_NOW)
    set_market_time(feed=desk.account.feed, at=calendar.session_open(day))
    hold_opening(desk, day, WALL_NOW)
    set_market_time(feed=desk.account.feed, at=calendar.session_close(day))
    hold_closing(desk, day, WALL_NOW)
    close_books(desk, day, WALL_NOW)


def orders_of(account: Account) -> list[tuple[str, str, str]]:
    """Return client_order_id, status and filled quantity of every order, oldest first."""
    rows = Order.objects.filter(account=account).order_by("id")
    return [(row.client_order_id, row.status, f"{row.filled_quantity:f}") for row in rows]
