"""Halts, price bands and the state of a live feed on the page."""

from datetime import timedelta
from decimal import Decimal

import pytest

from execution.models import Account
from marketdata.clock import wall_now
from marketdata.models import Feed
from marketdata.services.statuses import store_statuses
from marketdata.types import BandNews, FeedState, StatusNews
from ops_console.snapshot import read_board
from ops_console.snapshot.desk import read_desk
from ops_console.snapshot.header import lights
from ops_console.snapshot.problems import problems
from tests.factories import MARKET_AT
from trading.services.heartbeats import beat

D = Decimal


def tell(account, *news):
    store_statuses(feed=account.feed, news=news, source="test", wall_now=wall_now())


def cell(name):
    return read_board(wall_now())["prices"].cells[f"price.AAPL.{name}"]


def halt(*, halted=True, at=MARKET_AT):
    return StatusNews("AAPL", halted, "H", "Trading Halt", "T1", "news pending", "C", at)


def feed_is(state, problem="", **fields):
    values = {"state": state, "problem": problem, "source": "alpaca iex", "problem_at": wall_now()} | fields
    Feed.objects.update(**values)


def titles():
    return [problem.title for problem in problems(read_desk(wall_now()))]


def test_a_halt_stands_beside_the_symbol_and_among_the_problems(desk: Account) -> None:
    assert cell("status").text == ""
    tell(desk, halt())
    assert cell("status") == ("halted T1", "bad", None)
    assert "AAPL is halted" in titles()
    tell(desk, halt(halted=False, at=MARKET_AT + timedelta(minutes=5)))
    assert cell("status").text == ""
    assert "AAPL is halted" not in titles()


def test_the_band_of_the_session_is_shown_and_that_of_another_is_not(desk: Account) -> None:
    tell(desk, BandNews("AAPL", D("95.5"), D("105.5"), "B", MARKET_AT - timedelta(days=1)))
    assert cell("band").text == ""
    tell(desk, BandNews("AAPL", D("95.5"), D("105.5"), "B", MARKET_AT))
    assert cell("band").text == "95.50\u2013105.50"


@pytest.mark.parametrize(
    ("state", "title", "tone"),
    [
        (FeedState.LIVE, "The market feed does not give everything", "good"),
        (FeedState.STALE, "The market stream is away: prices come by REST", "warn"),
        (FeedState.DOWN, "No prices come in", "bad"),
    ],
)
def test_a_feed_with_a_problem_says_what_it_is_and_what_it_means(desk, state, title, tone) -> None:
    beat(name="stream", wall_now=wall_now(), detail={})
    feed_is(state, "stream: the connection was closed", last_tick_at=wall_now())
    found = {problem.title: problem for problem in problems(read_desk(wall_now()))}
    assert found[title].next_step.startswith("alpaca iex: stream: the connection was closed since ")
    assert lights(read_desk(wall_now()))["light.feed"].tone == tone


def test_a_feed_without_a_problem_is_not_mentioned(desk: Account) -> None:
    beat(name="stream", wall_now=wall_now(), detail={})
    feed_is(FeedState.LIVE, last_tick_at=wall_now())
    assert not [title for title in titles() if "feed" in title or "prices" in title.lower()]
