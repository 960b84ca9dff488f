from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.calendar import latest_session, next_session, session_close, session_open
from marketdata.clock import AFTER_CLOSE, BEFORE_OPEN, ClockState, describe, market_now
from marketdata.types import FeedKind

WALL = datetime(2024, 3, 1, 12, tzinfo=UTC)
START = session_open(date(2012, 6, 14)) - BEFORE_OPEN


def replay(**fields: object) -> ClockState:
    state = {"kind": FeedKind.REPLAY, "start_at": START, "anchor_at": WALL, "speed": Decimal(390), **fields}
    return ClockState(**state)


def after(state: ClockState, seconds: float) -> datetime:
    return market_now(state, WALL + timedelta(seconds=seconds))


def test_a_real_clock_is_the_wall_clock() -> None:
    assert market_now(ClockState(kind=FeedKind.REAL), WALL) == WALL


def test_a_manual_clock_stands_where_it_was_set() -> None:
    assert after(ClockState(kind=FeedKind.MANUAL, market_at=START), 1000) == START


def test_a_replay_runs_at_its_speed_inside_a_session() -> None:
    assert after(replay(), 0) == START
    assert after(replay(), 10) == START + timedelta(seconds=3900)


def test_a_session_takes_65_seconds_at_390_and_the_night_takes_none() -> None:
    window = timedelta(minutes=30 + 390 + 5)
    wall = window / 390 + timedelta(microseconds=1)  # division rounds
    assert wall < timedelta(seconds=66)
    tomorrow = market_now(replay(), WALL + wall)
    assert tomorrow - (session_open(date(2012, 6, 15)) - BEFORE_OPEN) < timedelta(milliseconds=1)
    last = market_now(replay(), WALL + wall - timedelta(microseconds=2))
    assert session_close(date(2012, 6, 14)) < last < session_close(date(2012, 6, 14)) + AFTER_CLOSE


def test_a_weekend_and_a_half_day_are_walked_by_the_calendar() -> None:
    state = replay(start_at=session_close(date(2012, 11, 21)) + AFTER_CLOSE, speed=Decimal(1))
    assert after(state, 0) == session_open(date(2012, 11, 23)) - BEFORE_OPEN
    half_day = (30 + 210 + 5) * 60
    assert after(state, half_day) == session_open(date(2012, 11, 26)) - BEFORE_OPEN


def test_a_start_in_closed_time_plays_from_the_next_window() -> None:
    state = replay(start_at=datetime(2012, 6, 16, 12, tzinfo=UTC), speed=Decimal(1))
    assert after(state, 60) == session_open(date(2012, 6, 18)) - BEFORE_OPEN + timedelta(seconds=60)


def test_a_paused_replay_stands_still() -> None:
    state = replay(paused_at=WALL + timedelta(seconds=3))
    assert after(state, 3) == after(state, 5000) == START + timedelta(seconds=1170)


def test_a_replay_stops_at_its_end() -> None:
    end = session_close(date(2012, 6, 14))
    assert after(replay(end_at=end), 10_000) == end


def test_before_its_anchor_a_replay_waits_at_its_start() -> None:
    assert after(replay(), -100) == START


@pytest.mark.parametrize("state", [ClockState(kind=FeedKind.REPLAY), ClockState(kind=FeedKind.MANUAL)])
def test_a_clock_without_its_state_is_refused(state: ClockState) -> None:
    with pytest.raises(ValueError, match="needs"):
        market_now(state, WALL)


def test_the_clock_says_in_a_line_what_it_shows() -> None:
    at = datetime(2012, 6, 14, 14, 32, tzinfo=UTC)
    assert describe(replay(), at) == "replay of 2012-06-14 10:32 New York, ×390"
    assert describe(replay(speed=Decimal("1.500")), at) == "replay of 2012-06-14 10:32 New York, ×1.5"
    assert describe(replay(paused_at=WALL), at) == "replay of 2012-06-14 10:32 New York, paused"
    assert describe(replay(end_at=at), at) == "replay of 2012-06-14 10:32 New York, ×390, at its end"
    assert describe(ClockState(kind=FeedKind.REAL), at) == "2012-06-14 10:32 New York"
    assert describe(ClockState(kind=FeedKind.MANUAL, market_at=at), at) == "set by hand to 2012-06-14 10:32 New York"


SPEEDS = st.decimals(Decimal("0.001"), Decimal(100_000), places=3)
STARTS = st.datetimes(datetime(1995, 1, 1), datetime(2020, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy adds it
SECONDS = st.floats(-1e4, 1e6, allow_nan=False)


@given(STARTS, SPEEDS, SECONDS, SECONDS, st.booleans())
def test_market_time_never_goes_back(start: datetime, speed: Decimal, a: float, b: float, ends: bool) -> None:
    state = replay(start_at=start, speed=speed, end_at=start + timedelta(days=30) if ends else None)
    earlier, later = sorted((a, b))
    assert start <= after(state, earlier) <= after(state, later)


@given(STARTS, SPEEDS, SPEEDS, st.floats(0, 1e5), st.floats(0, 1e5))
def test_anchoring_again_at_another_speed_never_goes_back(
    start: datetime, speed: Decimal, other: Decimal, until: float, more: float
) -> None:
    before = replay(start_at=start, speed=speed)
    changed = WALL + timedelta(seconds=until)
    at = market_now(before, changed)
    anew = replay(start_at=at, speed=other, anchor_at=changed)
    assert market_now(anew, changed) >= at
    assert market_now(anew, changed + timedelta(seconds=more)) >= market_now(anew, changed)


@given(STARTS, st.decimals(Decimal("0.001"), Decimal(400), places=3), st.floats(0, 1e5))
def test_a_running_replay_is_always_inside_a_window(start: datetime, speed: Decimal, seconds: float) -> None:
    at = after(replay(start_at=start, speed=speed), seconds)
    if at == start:
        return
    upcoming = session_open(next_session(latest_session(at)))
    assert at <= session_close(latest_session(at)) + AFTER_CLOSE or at >= upcoming - BEFORE_OPEN
