"""A whole day of stored bars with an order that is worked in slices, at the built-in exchange, minute by minute."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from execution.models import Account, ParentOrder
from execution.parent_orders import Progress, progress
from execution.services.reports import apply_reports
from execution.services.slices import ParentWish, create_parent, work_parents
from execution.slicing.states import Algo
from marketdata import calendar
from marketdata.services.feeds import set_market_time
from marketdata.services.quotes import store_quotes
from risk.types import Side
from tests.execution.cases import assert_books_balance
from tests.factories import WALL_NOW, make_strategy
from tests.trading.conftest import fill_market, sample_lake  # noqa: F401 - a fixture of the neighbours
from tests.trading.days import FIRST, morning
from trading.services.bootstrap import bootstrap
from trading.services.exchange import ticks
from trading.services.market_day import Desk, advance, close_books, dispatch_all, hold_closing, hold_opening

pytestmark = pytest.mark.django_db
D = Decimal
MINUTE = timedelta(minutes=1)


@pytest.fixture
def desk(db: None, settings: Any, sample_lake: Path) -> Desk:  # noqa: F811
    settings.LAKE_DIR = sample_lake
    fill_market()
    bootstrap(wall_now=WALL_NOW)
    make_strategy()
    return morning()


def open_market(desk: Desk, day: date = FIRST) -> datetime:
    opening = calendar.session_open(day)
    set_market_time(feed=desk.account.feed, at=opening)
    hold_opening(desk, day, WALL_NOW)
    return opening


def minutes(desk: Desk, after: datetime, until: datetime, each: timedelta = MINUTE) -> Iterator[datetime]:
    """Bring the market forward step by step: quotes, events to the exchange, slices, dispatch."""
    at = after
    while at + each <= until:
        before, at = at, at + each
        desk.account.feed = set_market_time(feed=desk.account.feed, at=at)
        quotes = desk.provider.quotes_at(at)
        store_quotes(feed=desk.account.feed, quotes=quotes, wall_now=WALL_NOW)
        advance(desk, ticks(desk.provider, quotes, after=before, until=at), WALL_NOW)
        account = Account.objects.select_related("feed").get(pk=desk.account.pk)
        work_parents(account=account, now=lambda: WALL_NOW)
        dispatch_all(desk, WALL_NOW)
        apply_reports(account=desk.account, broker=desk.broker, wall_now=WALL_NOW)
        yield at


def placed(desk: Desk, **fields: Any) -> ParentOrder:
    values: dict[str, Any] = {
        "strategy": "manual",
        "symbol": "AAPL",
        "side": Side.BUY,
        "quantity": D(120),
        "algo": Algo.TWAP,
        "duration_minutes": 120,
        "slices": 24,
    }
    result = create_parent(wish=ParentWish(**values | fields), account=desk.account, wall_now=WALL_NOW)
    assert result.parent is not None, result.denials
    return result.parent


def checked(desk: Desk, parent: ParentOrder) -> Progress:
    parent.refresh_from_db()
    done = progress(parent)
    assert done.used <= parent.quantity
    assert_books_balance(desk.account)
    return done


def end_of_day(desk: Desk, day: date = FIRST) -> None:
    set_market_time(feed=desk.account.feed, at=calendar.session_close(day))
    hold_closing(desk, day, WALL_NOW)
    close_books(desk, day, WALL_NOW)


@pytest.mark.parametrize("algo", Algo)
def test_a_day_fills_the_whole_at_the_pace_of_the_plan(desk: Desk, algo: Algo) -> None:
    at = open_market(desk) + 10 * MINUTE
    list(minutes(desk, at - MINUTE, at))
    parent = placed(desk, algo=algo)
    pace: list[Decimal] = []
    for now in minutes(desk, at, at + 125 * MINUTE):
        assert progress(parent).used <= parent.quantity
        if (now - at) % (30 * MINUTE) == timedelta(0):
            pace.append(checked(desk, parent).filled)  # with all the books, which takes longer than the minute itself
    end_of_day(desk)
    done = checked(desk, parent)
    assert (parent.status, done.filled, done.open) == ("completed", 120, 0)
    assert parent.children.count() == 24
    assert [row.status for row in parent.slices.all()] == ["done"] * 24
    if algo == Algo.TWAP:
        assert [abs(filled - D(30) * (index + 1)) <= 10 for index, filled in enumerate(pace)] == [True] * len(pace)


def test_a_stop_of_half_an_hour_is_made_up_for_without_a_burst(desk: Desk) -> None:
    at = open_market(desk) + 10 * MINUTE
    list(minutes(desk, at - MINUTE, at))
    parent = placed(desk)
    list(minutes(desk, at, at + 30 * MINUTE))
    list(minutes(desk, at + 60 * MINUTE, at + 125 * MINUTE))  # nobody was there in between
    end_of_day(desk)
    done = checked(desk, parent)
    assert (parent.status, done.filled) == ("completed", 120)
    assert max(order.quantity for order in parent.children.all()) <= 10
    assert parent.slices.filter(status="skipped").count() >= 4


def test_what_the_market_does_not_give_expires_and_nothing_trades_after_the_window(desk: Desk) -> None:
    at = open_market(desk) + 10 * MINUTE
    list(minutes(desk, at - MINUTE, at))
    parent = placed(desk, limit_price=D("390.00"))
    list(minutes(desk, at, at + 125 * MINUTE, 5 * MINUTE))
    end_of_day(desk)
    done = checked(desk, parent)
    assert (parent.status, done.used) == ("expired", 0)
    assert parent.reason.startswith("120 of 120 unfilled")
