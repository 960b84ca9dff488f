"""The day of a desk at a broker: nothing is passed twice or skipped, and the books wait for the last report."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from execution.models import Account, AccountDay
from execution.services.accounts import open_account
from execution.services.orders import submit_order
from marketdata import calendar
from marketdata.clock import BEFORE_OPEN, ClockState
from marketdata.models import Feed, Quote
from marketdata.services.feeds import follow_clock
from marketdata.types import QuoteUpdate
from risk.services import kill_switch
from tests.factories import WALL_NOW, make_intent, make_strategy
from trading.models import FeedProgress
from trading.services.broker_day import SETTLE_SECONDS, BrokerDay, in_new_shares, start_of_day
from trading.services.stream import Boundary

D = Decimal
DAY = date(2012, 6, 14)
OPENING, CLOSING = calendar.session_open(DAY), calendar.session_close(DAY)


@pytest.fixture
def broker_desk(market: None) -> Account:
    """A desk whose broker's clock runs a market minute in a wall second from half past eight in New York."""
    start = OPENING - timedelta(hours=1)
    state = ClockState(kind="replay", start_at=start, speed=D(60), anchor_at=WALL_NOW)
    account = open_account(
        name="alpaca_paper",
        mode=Account.Mode.ALPACA_PAPER,
        kind=Account.Kind.DESK,
        feed=follow_clock(name="alpaca_paper", state=state, wall_now=WALL_NOW),
        starting_cash=D(100_000),
        wall_now=WALL_NOW,
    )
    Account.objects.filter(pk=account.pk).update(reconciliation=Account.Reconciliation.CLEAN)
    kill_switch.install(operator="test", now=WALL_NOW)
    make_strategy()
    return Account.objects.select_related("feed").get(pk=account.pk)


def wall_at(feed: Feed, market_at: datetime) -> datetime:
    low, high = WALL_NOW, WALL_NOW + timedelta(minutes=30)
    while high - low > timedelta(milliseconds=1):
        middle = low + (high - low) / 2
        low, high = (middle, high) if feed.market_now(middle) < market_at else (low, middle)
    return high


def quotes(at: datetime = OPENING - timedelta(hours=17)) -> list[QuoteUpdate]:
    return [QuoteUpdate("AAPL", D("571.40"), D("571.60"), D("571.50"), at, "broker")]


def passed(day: BrokerDay, market_at: datetime, *, later: timedelta = timedelta(0)) -> list[Boundary]:
    feed = Feed.objects.get(pk=day.account.feed_id)
    done = day.step(feed=feed, wall_now=wall_at(feed, market_at) + later)
    return [boundary for _, boundary in done.passed]


def test_the_morning_brings_prices_and_volumes(broker_desk: Account) -> None:
    day = BrokerDay(broker_desk, quotes)
    assert passed(day, OPENING - timedelta(minutes=29)) == [Boundary.BEFORE_OPEN]
    quote = Quote.objects.get(feed=broker_desk.feed, instrument__symbol="AAPL")
    assert quote.last == D("571.50")
    assert quote.average_daily_volume is not None
    assert quote.average_daily_volume > 1_000_000


def test_a_desk_that_starts_at_noon_still_has_its_morning_and_nothing_older(broker_desk: Account) -> None:
    day = BrokerDay(broker_desk, quotes)
    assert passed(day, OPENING + timedelta(hours=3)) == [Boundary.BEFORE_OPEN, Boundary.OPEN]
    assert start_of_day(OPENING + timedelta(hours=3)) == OPENING - BEFORE_OPEN


def test_the_books_close_once_with_the_newest_prices(broker_desk: Account) -> None:
    day = BrokerDay(broker_desk, lambda: quotes(CLOSING))
    passed(day, OPENING)
    assert passed(day, CLOSING + timedelta(minutes=1)) == [Boundary.CLOSE]
    assert passed(day, CLOSING + timedelta(minutes=2)) == []
    assert AccountDay.objects.get(account=broker_desk).date == DAY


def test_the_books_wait_for_the_end_of_orders_that_were_good_for_the_day(broker_desk: Account) -> None:
    day = BrokerDay(broker_desk, lambda: quotes(OPENING))
    passed(day, OPENING)
    market_at = OPENING + timedelta(hours=1)
    Quote.objects.filter(feed=broker_desk.feed).update(at=market_at)
    feed = Feed.objects.get(pk=broker_desk.feed_id)

    result = submit_order(intent=make_intent(), account=broker_desk, wall_now=wall_at(feed, market_at))
    assert result.denials == []
    closed = CLOSING + timedelta(minutes=1)
    assert passed(day, closed) == []
    assert not AccountDay.objects.exists()
    assert FeedProgress.objects.get(feed_name=feed.name).processed_at < CLOSING
    # A report that never comes does not keep the books open for ever.
    assert passed(day, closed, later=timedelta(seconds=SETTLE_SECONDS))[:1] == [Boundary.CLOSE]


def test_prices_of_the_evening_before_a_split_are_put_into_new_shares() -> None:
    old = quotes()[0]
    fresh = QuoteUpdate("AAPL", None, None, D("81.50"), OPENING + timedelta(minutes=1), "broker")
    after = in_new_shares([old, fresh], {"AAPL": D(7)}, DAY)
    assert (after[0].last, after[0].bid, after[0].ask) == (D("81.64"), D("81.63"), D("81.66"))
    assert after[1] is fresh
