"""A replay waits for its processes, and only for them."""

from datetime import date, timedelta

import pytest

from execution.models import Account
from marketdata.models import Feed
from marketdata.services.feeds import pause_feed
from tests.factories import WALL_NOW
from trading.models import Heartbeat
from trading.services.heartbeats import beat
from trading.services.start_line import AWAITED, CLOCK, PATIENCE, MorningHold, StartLine, hold

SECOND = timedelta(seconds=1)


@pytest.fixture
def feed(desk: Account) -> Feed:
    return desk.feed


def paused(feed: Feed) -> bool:
    feed.refresh_from_db()
    return feed.paused_at is not None


def everybody(at: object) -> None:
    for name in AWAITED:
        beat(name=name, wall_now=at)


def test_market_time_stands_until_everybody_is_there(feed: Feed) -> None:
    line, start = StartLine(WALL_NOW), feed.market_now(WALL_NOW)
    assert not line.check(feed, WALL_NOW)
    assert paused(feed)
    beat(name="stream", wall_now=WALL_NOW + SECOND)
    assert not line.check(feed, WALL_NOW + 2 * SECOND)
    everybody(WALL_NOW + 3 * SECOND)
    assert line.check(feed, WALL_NOW + 4 * SECOND)
    assert not paused(feed)
    assert feed.market_now(WALL_NOW + 4 * SECOND) == start
    assert line.check(feed, WALL_NOW + 5 * SECOND)


def test_new_replay_stands_at_its_start_however_long_the_preparation_took(feed: Feed) -> None:
    start = feed.market_now(WALL_NOW)
    hold(feed=feed, wall_now=WALL_NOW + 20 * SECOND)
    feed.refresh_from_db()
    assert feed.market_now(WALL_NOW + 60 * SECOND) == start
    line = StartLine(WALL_NOW + 21 * SECOND)
    assert not line.check(feed, WALL_NOW + 21 * SECOND)
    everybody(WALL_NOW + 22 * SECOND)
    assert line.check(feed, WALL_NOW + 23 * SECOND)
    assert not paused(feed)
    assert feed.market_now(WALL_NOW + 23 * SECOND) == start


def test_real_market_is_never_held(feed: Feed) -> None:
    Feed.objects.filter(pk=feed.pk).update(kind="real", start_at=None, end_at=None, anchor_at=None)
    feed.refresh_from_db()
    hold(feed=feed, wall_now=WALL_NOW)
    assert not paused(feed)
    assert StartLine(WALL_NOW).check(feed, WALL_NOW)


def test_patience_ends(feed: Feed) -> None:
    line = StartLine(WALL_NOW)
    line.check(feed, WALL_NOW)
    assert line.check(feed, WALL_NOW + PATIENCE + SECOND)
    assert not paused(feed)


def test_signs_of_life_from_before_do_not_count(feed: Feed) -> None:
    everybody(WALL_NOW - SECOND)
    assert not StartLine(WALL_NOW).check(feed, WALL_NOW)


def test_pause_of_an_operator_is_left_alone(feed: Feed) -> None:
    pause_feed(feed=feed, wall_now=WALL_NOW)
    feed.refresh_from_db()
    line = StartLine(WALL_NOW)
    assert line.check(feed, WALL_NOW)
    everybody(WALL_NOW + SECOND)
    line.check(feed, WALL_NOW + SECOND)
    assert paused(feed)


def test_clock_that_died_while_holding_is_followed_by_one_that_lets_go(feed: Feed) -> None:
    StartLine(WALL_NOW).check(feed, WALL_NOW)
    assert paused(feed)
    later = WALL_NOW + 5 * SECOND
    successor = StartLine(later)
    assert not successor.check(feed, later)
    everybody(later + SECOND)
    assert successor.check(feed, later + SECOND)
    assert not paused(feed)
    assert Heartbeat.objects.get(name=CLOCK).detail == {"holding": False}


def test_market_waits_for_the_mornings_decisions(feed: Feed) -> None:
    day, morning = date(2012, 1, 3), MorningHold()
    Feed.objects.filter(pk=feed.pk).update(last_tick_at=WALL_NOW)
    feed.refresh_from_db()
    stood_at = feed.market_now(WALL_NOW + SECOND)
    morning.check(feed, deciding=True, day=day, wall_now=WALL_NOW + SECOND)
    assert paused(feed)
    morning.check(feed, deciding=True, day=day, wall_now=WALL_NOW + 2 * SECOND)
    morning.check(feed, deciding=False, day=day, wall_now=WALL_NOW + 3 * SECOND)
    assert not paused(feed)
    assert feed.market_now(WALL_NOW + 3 * SECOND) == stood_at


def test_morning_that_takes_too_long_is_given_up_and_the_next_one_is_not(feed: Feed) -> None:
    morning = MorningHold()
    morning.check(feed, deciding=True, day=date(2012, 1, 3), wall_now=WALL_NOW)
    late = WALL_NOW + PATIENCE + SECOND
    feed.refresh_from_db()
    morning.check(feed, deciding=True, day=date(2012, 1, 3), wall_now=late)
    assert not paused(feed)
    morning.check(feed, deciding=True, day=date(2012, 1, 3), wall_now=late)
    assert not paused(feed)
    morning.check(feed, deciding=True, day=date(2012, 1, 4), wall_now=late)
    assert paused(feed)


def test_pause_of_an_operator_outlasts_the_decisions(feed: Feed) -> None:
    pause_feed(feed=feed, wall_now=WALL_NOW)
    feed.refresh_from_db()
    morning = MorningHold()
    for deciding in (True, False):
        morning.check(feed, deciding=deciding, day=date(2012, 1, 3), wall_now=WALL_NOW + SECOND)
    assert paused(feed)
