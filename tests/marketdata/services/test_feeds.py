from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketdata.calendar import session_close, session_open
from marketdata.clock import AFTER_CLOSE, BEFORE_OPEN, ClockState
from marketdata.errors import ClockRefusedError, FeedMissingError
from marketdata.models import Feed
from marketdata.services import feeds
from marketdata.types import FeedKind, FeedState
from tests.marketdata.factories import NOON, WALL, make_feed

pytestmark = pytest.mark.django_db


def later(seconds: float) -> datetime:
    return WALL + timedelta(seconds=seconds)


def main_feed() -> Feed:
    return feeds.ensure_main_feed(wall_now=WALL)


def test_the_main_feed_replays_the_sample_from_2012() -> None:
    feed = main_feed()
    assert feed.market_now(WALL) == session_open(date(2012, 1, 3)) - BEFORE_OPEN
    assert feed.end_at == session_close(date(2013, 3, 1)) + AFTER_CLOSE
    assert feed.speed == 390


def test_the_main_feed_is_left_as_it_runs() -> None:
    first = main_feed()
    again = feeds.ensure_main_feed(wall_now=later(100), speed=Decimal(1))
    assert (again.pk, again.start_at, again.anchor_at, again.speed) == (
        first.pk,
        first.start_at,
        first.anchor_at,
        Decimal(390),
    )


def test_a_main_feed_of_another_kind_is_refused() -> None:
    main_feed()
    with pytest.raises(ClockRefusedError, match="is replay, not real"):
        feeds.ensure_main_feed(wall_now=WALL, kind=FeedKind.REAL)


def test_a_real_main_feed_shows_the_wall_clock() -> None:
    assert feeds.ensure_main_feed(wall_now=WALL, kind=FeedKind.REAL).market_now(WALL) == WALL


def test_a_manual_feed_moves_forward_only() -> None:
    feed = feeds.create_manual_feed(name="run", market_at=NOON)
    feeds.set_market_time(feed=feed, at=NOON + timedelta(hours=1))
    feed.refresh_from_db()
    assert feed.market_now(WALL) == NOON + timedelta(hours=1)
    with pytest.raises(ClockRefusedError, match="does not go back"):
        feeds.set_market_time(feed=feed, at=NOON)


def test_creating_a_manual_feed_again_keeps_its_time() -> None:
    feeds.create_manual_feed(name="run", market_at=NOON)
    assert feeds.create_manual_feed(name="run", market_at=WALL).market_at == NOON


def test_only_manual_feeds_are_set_and_only_replays_are_steered() -> None:
    replay, manual = main_feed(), feeds.create_manual_feed(name="run", market_at=NOON)
    with pytest.raises(ClockRefusedError):
        feeds.set_market_time(feed=replay, at=NOON)
    with pytest.raises(ClockRefusedError):
        feeds.pause_feed(feed=manual, wall_now=WALL)
    with pytest.raises(ClockRefusedError):
        feeds.create_manual_feed(name="main", market_at=NOON)


def test_a_paused_replay_goes_on_where_it_stopped() -> None:
    feed = feeds.pause_feed(feed=main_feed(), wall_now=later(10))
    stopped = feed.market_now(later(10))
    assert feed.market_now(later(500)) == stopped
    feeds.pause_feed(feed=feed, wall_now=later(600))
    feed = feeds.resume_feed(feed=feed, wall_now=later(1000))
    assert feed.market_now(later(1000)) == stopped
    assert feed.market_now(later(1001)) == stopped + timedelta(seconds=390)


def test_a_speed_set_while_paused_counts_from_the_pause() -> None:
    feed = feeds.pause_feed(feed=main_feed(), wall_now=later(10))
    stopped = feed.market_now(later(10))
    feed = feeds.set_feed_speed(feed=feed, speed=Decimal(1), wall_now=later(100))
    assert feed.market_now(later(200)) == stopped
    feed = feeds.resume_feed(feed=feed, wall_now=later(300))
    assert feed.market_now(later(301)) == stopped + timedelta(seconds=1)


@pytest.mark.parametrize("speed", [Decimal(0), Decimal(-1), Decimal("NaN"), Decimal("Infinity")])
def test_a_speed_that_is_not_positive_is_refused(speed: Decimal) -> None:
    with pytest.raises(ClockRefusedError, match="a positive number"):
        feeds.set_feed_speed(feed=main_feed(), speed=speed, wall_now=WALL)


def test_a_replay_goes_on_where_it_was_after_everything_was_stopped() -> None:
    feed = main_feed()
    feeds.record_tick(feed=feed, wall_now=later(30))
    before = feed.market_now(later(30))
    feed = feeds.continue_after_downtime(feed=feed, wall_now=later(86_400))
    assert feed.market_now(later(86_400)) == before
    feed.refresh_from_db()
    assert (feed.state, feed.last_tick_at) == (FeedState.LIVE, later(30))


def test_a_feed_that_never_ticked_or_is_paused_is_not_moved_by_a_start() -> None:
    feed = main_feed()
    assert feeds.continue_after_downtime(feed=feed, wall_now=later(10)).anchor_at == WALL
    feeds.record_tick(feed=feed, wall_now=later(5))
    feeds.pause_feed(feed=feed, wall_now=later(6))
    assert feeds.continue_after_downtime(feed=feed, wall_now=later(10)).anchor_at == WALL


def test_a_feed_that_is_gone_is_named() -> None:
    feed = make_feed("gone")
    Feed.objects.all().delete()
    with pytest.raises(FeedMissingError, match="gone"):
        feeds.set_market_time(feed=feed, at=NOON)


def test_the_state_of_a_feed_can_be_noted() -> None:
    feed = main_feed()
    feeds.set_feed_state(feed=feed, state=FeedState.DOWN)
    feed.refresh_from_db()
    assert feed.state == FeedState.DOWN


STEPS = st.lists(
    st.tuples(st.sampled_from(["pause", "resume", "speed", "restart"]), st.floats(0, 5000), st.integers(1, 2000)),
    max_size=12,
)


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(STEPS)
def test_whatever_is_changed_market_time_never_goes_back(steps: list[tuple[str, float, int]]) -> None:
    Feed.objects.all().delete()
    feed, wall = main_feed(), WALL
    shown = feed.market_now(wall)
    for step, seconds, speed in steps:
        wall += timedelta(seconds=seconds)
        shown = max(shown, feed.market_now(wall))
        feeds.record_tick(feed=feed, wall_now=wall)
        if step == "pause":
            feed = feeds.pause_feed(feed=feed, wall_now=wall)
        elif step == "resume":
            feed = feeds.resume_feed(feed=feed, wall_now=wall)
        elif step == "speed":
            feed = feeds.set_feed_speed(feed=feed, speed=Decimal(speed), wall_now=wall)
        else:
            feed = feeds.continue_after_downtime(feed=feed, wall_now=wall)
        assert feed.market_now(wall) >= shown
        shown = feed.market_now(wall)


def followed(**fields: object) -> ClockState:
    """Return the clock of a broker that replays 2012 at sixty times the market's speed."""
    start = session_open(date(2012, 6, 14)) - BEFORE_OPEN
    return ClockState(**{"kind": "replay", "start_at": start, "speed": Decimal(60), "anchor_at": WALL} | fields)


def test_a_followed_feed_tells_the_broker_s_time() -> None:
    feed = feeds.follow_clock(name="alpaca_paper", state=followed(), wall_now=WALL)
    assert feed.kind == FeedKind.REPLAY
    assert feed.market_now(later(10)) == session_open(date(2012, 6, 14)) - BEFORE_OPEN + timedelta(minutes=10)


def test_a_followed_feed_pauses_with_the_broker() -> None:
    feeds.follow_clock(name="alpaca_paper", state=followed(), wall_now=WALL)
    feed = feeds.follow_clock(name="alpaca_paper", state=followed(paused_at=later(5)), wall_now=later(6))
    assert Feed.objects.get(pk=feed.pk).market_now(later(100)) == feed.market_now(later(5))


def test_a_followed_clock_that_goes_back_is_refused() -> None:
    feeds.follow_clock(name="alpaca_paper", state=followed(), wall_now=WALL)
    with pytest.raises(ClockRefusedError, match="went back"):
        feeds.follow_clock(name="alpaca_paper", state=followed(anchor_at=later(600)), wall_now=later(600))
    assert Feed.objects.get(name="alpaca_paper").anchor_at == WALL


def test_a_clock_that_stood_while_the_desk_was_down_did_not_go_back() -> None:
    feed = feeds.follow_clock(name="alpaca_paper", state=followed(), wall_now=WALL)
    feeds.record_tick(feed=feed, wall_now=later(4))
    paused = feeds.follow_clock(name="alpaca_paper", state=followed(paused_at=later(5)), wall_now=later(600))
    assert paused.market_now(later(600)) == feed.market_now(later(5))


def test_a_broker_of_the_present_has_the_real_clock_for_ever() -> None:
    assert feeds.follow_clock(name="alpaca_paper", state=None, wall_now=WALL).kind == FeedKind.REAL
    with pytest.raises(ClockRefusedError, match="a database of its own"):
        feeds.follow_clock(name="alpaca_paper", state=followed(), wall_now=WALL)
