"""The stream: no auction is skipped, whatever lies between two rounds."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.models import Account, AccountDay, Order
from marketdata import calendar
from marketdata.lake import default_lake
from marketdata.models import Feed, Quote
from marketdata.providers.replay import ReplayProvider
from marketdata.services.feeds import set_feed_speed
from tests.factories import WALL_NOW
from trading.models import FeedProgress, Run
from trading.services.market_day import Desk, dispatch_all
from trading.services.runs import finish_run
from trading.services.stream import Boundary, boundaries, step
from trading.tasks import run_daily

START = datetime(2012, 6, 28, tzinfo=UTC)
MOMENTS = st.timedeltas(timedelta(0), timedelta(days=11)).map(lambda passed: START + passed)


@given(st.lists(MOMENTS, min_size=2, max_size=6))
def test_many_small_rounds_cross_what_one_long_round_crosses(moments: list[datetime]) -> None:
    moments.sort()
    whole = list(boundaries(moments[0], moments[-1]))
    parts = [one for after, until in pairwise(moments) for one in boundaries(after, until)]
    assert parts == whole
    assert [at for at, _, _ in whole] == sorted(at for at, _, _ in whole)


def test_week_with_a_half_day_and_a_holiday() -> None:
    start, end = datetime(2012, 7, 3, tzinfo=UTC), datetime(2012, 7, 6, tzinfo=UTC)
    crossed = list(boundaries(start, end))
    assert [(day.day, boundary) for _, day, boundary in crossed] == [
        (day, boundary) for day in (3, 5) for boundary in Boundary
    ]
    assert crossed[2][0] == datetime(2012, 7, 3, 17, 0, tzinfo=UTC)


@pytest.fixture
def provider(desk: Account) -> ReplayProvider:
    return ReplayProvider(default_lake())


def at_market(desk: Account, market_at: datetime) -> datetime:
    """Return the wall time at which the desk's feed shows that market time (found by halving)."""
    feed = Feed.objects.get(pk=desk.feed_id)
    low, high = WALL_NOW, WALL_NOW + timedelta(minutes=30)
    while high - low > timedelta(milliseconds=1):
        middle = low + (high - low) / 2
        low, high = (middle, high) if feed.market_now(middle) < market_at else (low, middle)
    return high


def play(desk: Account, provider: ReplayProvider, market_at: datetime) -> list[Boundary]:
    feed = Feed.objects.get(pk=desk.feed_id)
    return [boundary for _, boundary in step(feed=feed, provider=provider, wall_now=at_market(desk, market_at)).passed]


def test_orders_of_the_morning_fill_at_the_open_and_the_day_is_closed(
    desk: Account, provider: ReplayProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = calendar.trading_date(desk.feed.market_now(WALL_NOW))
    opening, closing = calendar.session_open(day), calendar.session_close(day)
    assert play(desk, provider, opening - timedelta(minutes=29)) == [Boundary.BEFORE_OPEN]
    wall = at_market(desk, opening - timedelta(minutes=20))
    monkeypatch.setattr("trading.tasks.wall_now", lambda: wall)
    assert run_daily(desk.pk, "momentum", day.isoformat()) == "awaiting_fills"
    dispatch_all(Desk.of(Account.objects.select_related("feed").get(pk=desk.pk), provider), wall)
    # Both auctions lie between two rounds: the stream was away.
    assert play(desk, provider, closing + timedelta(minutes=1)) == [Boundary.OPEN, Boundary.CLOSE]
    orders = Order.objects.filter(account=desk)
    assert {order.status for order in orders} == {"filled"}
    prints = provider.opening_prints(day)
    assert all(o.average_fill_price == prints[o.instrument.symbol][0] for o in orders.select_related("instrument"))
    assert AccountDay.objects.get(account=desk).date == day
    assert finish_run(run=Run.objects.get(), wall_now=wall).report["statuses"] == {"filled": 2}


def test_same_moment_again_changes_nothing(desk: Account, provider: ReplayProvider) -> None:
    noon = calendar.session_open(calendar.trading_date(desk.feed.market_now(WALL_NOW))) + timedelta(hours=2)
    assert play(desk, provider, noon) == [Boundary.BEFORE_OPEN, Boundary.OPEN]
    quotes = list(Quote.objects.order_by("pk").values_list("last", "at"))
    assert len(quotes) == 4
    assert play(desk, provider, noon) == []
    assert list(Quote.objects.order_by("pk").values_list("last", "at")) == quotes
    assert FeedProgress.objects.get().processed_at >= noon


def test_feed_without_a_start_cannot_be_carried(desk: Account, provider: ReplayProvider) -> None:
    feed = Feed.objects.create(name="real", kind="real")
    with pytest.raises(ValueError, match="no start"):
        step(feed=feed, provider=provider, wall_now=WALL_NOW)


def test_speed_changes_lose_no_time(desk: Account, provider: ReplayProvider) -> None:
    feed = Feed.objects.get(pk=desk.feed_id)
    first = feed.market_now(WALL_NOW)
    step(feed=feed, provider=provider, wall_now=WALL_NOW)
    changed = set_feed_speed(feed=feed, speed=feed.speed * 2, wall_now=WALL_NOW)
    assert step(feed=changed, provider=provider, wall_now=WALL_NOW).market_at == first


def test_dry_run_desk_has_prices_and_closes_its_days(desk: Account, provider: ReplayProvider) -> None:
    Account.objects.filter(pk=desk.pk).update(mode=Account.Mode.DRY_RUN)
    day = calendar.trading_date(desk.feed.market_now(WALL_NOW))
    play(desk, provider, calendar.session_open(day) - timedelta(minutes=10))
    assert Quote.objects.filter(feed=desk.feed, last__isnull=False).count() == 4
    play(desk, provider, calendar.session_close(day) + timedelta(minutes=1))
    assert AccountDay.objects.get(account=desk).equity == desk.starting_cash
