from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata import calendar
from marketdata.errors import NotASessionError, OutsideCalendarError

INSTANTS = st.datetimes(datetime(1991, 1, 1), datetime(2026, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy adds it


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_friday_after_thanksgiving_closes_at_13_00_new_york() -> None:
    assert calendar.session_close(date(2012, 11, 23)) == utc("2012-11-23T18:00")


@pytest.mark.parametrize(
    "closed", [date(2012, 11, 22), date(2012, 10, 29), date(2001, 9, 11), date(2012, 6, 16), date(2022, 6, 20)]
)
def test_holidays_storms_and_weekends_are_no_sessions(closed: date) -> None:
    assert not calendar.is_session(closed)
    with pytest.raises(NotASessionError):
        calendar.session_open(closed)


def test_the_open_follows_new_york_through_a_change_of_daylight_time() -> None:
    assert calendar.session_open(date(2012, 3, 9)) == utc("2012-03-09T14:30")
    assert calendar.session_open(date(2012, 3, 12)) == utc("2012-03-12T13:30")
    assert calendar.session_close(date(2012, 11, 2)) == utc("2012-11-02T20:00")
    assert calendar.session_close(date(2012, 11, 5)) == utc("2012-11-05T21:00")


def test_previous_and_next_session_step_over_a_long_weekend() -> None:
    assert calendar.next_session(date(2012, 8, 31)) == date(2012, 9, 4)
    assert calendar.previous_session(date(2012, 9, 4)) == date(2012, 8, 31)
    assert calendar.sessions_between(date(2012, 8, 31), date(2012, 9, 4)) == [date(2012, 8, 31), date(2012, 9, 4)]
    assert calendar.latest_sessions(date(2012, 9, 3), 2) == [date(2012, 8, 30), date(2012, 8, 31)]


def test_no_trading_time_passes_from_friday_close_to_monday_open() -> None:
    friday, monday = calendar.session_close(date(2012, 6, 15)), calendar.session_open(date(2012, 6, 18))
    assert calendar.trading_seconds_between(friday, monday) == 0
    assert calendar.trading_seconds_between(friday - timedelta(minutes=5), monday + timedelta(minutes=1)) == 360
    assert calendar.trading_seconds_between(monday + timedelta(minutes=1), friday) == -60


def test_a_full_session_is_390_minutes_and_a_half_day_210() -> None:
    for day, minutes in ((date(2012, 6, 14), 390), (date(2012, 11, 23), 210)):
        seconds = calendar.trading_seconds_between(calendar.session_open(day), calendar.session_close(day))
        assert seconds == minutes * 60


@pytest.mark.parametrize(
    ("at", "day"),
    [
        ("2012-06-15T04:00", date(2012, 6, 15)),
        ("2012-06-15T13:30", date(2012, 6, 15)),
        ("2012-06-15T20:00", date(2012, 6, 15)),
        ("2012-06-15T20:00:01", date(2012, 6, 18)),
        ("2012-06-17T12:00", date(2012, 6, 18)),
    ],
)
def test_an_instant_belongs_to_its_session_until_the_close_and_to_the_next_one_after(at: str, day: date) -> None:
    assert calendar.trading_date(utc(at)) == day


@pytest.mark.parametrize(
    ("at", "phase"),
    [
        ("2012-06-14T07:59", "closed"),
        ("2012-06-14T08:00", "pre"),
        ("2012-06-14T13:29:59", "pre"),
        ("2012-06-14T13:30", "open"),
        ("2012-06-14T19:59:59", "open"),
        ("2012-06-14T20:00", "post"),
        ("2012-06-15T00:00", "closed"),
        ("2012-06-16T15:00", "closed"),
        ("2012-11-23T18:00", "post"),
    ],
)
def test_market_phase(at: str, phase: str) -> None:
    assert calendar.market_phase(utc(at)) == phase
    assert calendar.is_open(utc(at)) == (phase == "open")


def test_minutes_are_rounded_down_on_both_sides_of_the_open() -> None:
    assert calendar.minutes_from_open(utc("2012-06-14T13:27:30")) == -3
    assert calendar.minutes_from_open(utc("2012-06-14T13:31:59")) == 1
    assert calendar.minutes_to_close(utc("2012-06-14T19:50:30")) == 9


def test_latest_and_last_closed_session_differ_while_the_market_is_open() -> None:
    noon = utc("2012-06-14T16:00")
    assert calendar.latest_session(noon) == date(2012, 6, 14)
    assert calendar.last_closed_session(noon) == date(2012, 6, 13)
    assert calendar.last_closed_session(utc("2012-06-14T20:00")) == date(2012, 6, 14)


def test_an_instant_without_time_zone_or_outside_the_table_is_refused() -> None:
    with pytest.raises(OutsideCalendarError):
        calendar.is_open(datetime(2012, 6, 14))  # noqa: DTZ001
    with pytest.raises(OutsideCalendarError):
        calendar.previous_session(date(1989, 1, 1))


@given(INSTANTS, INSTANTS, INSTANTS)
def test_trading_time_adds_up(a: datetime, b: datetime, c: datetime) -> None:
    whole = calendar.trading_seconds_between(a, c)
    assert calendar.trading_seconds_between(a, b) + calendar.trading_seconds_between(b, c) == whole
    assert calendar.trading_seconds_between(c, a) == -whole


@given(INSTANTS)
def test_the_trading_date_is_a_session_that_has_not_closed_yet(at: datetime) -> None:
    day = calendar.trading_date(at)
    assert calendar.session_close(day) >= at
    assert calendar.session_close(calendar.previous_session(day)) < at


def test_the_table_agrees_with_the_library_on_every_session() -> None:
    import exchange_calendars

    library = exchange_calendars.get_calendar("XNYS", start="2000-01-01", end="2013-12-31")
    table = calendar.session_table()
    start = table.index[date(2000, 1, 3)]
    assert table.days[start : start + len(library.sessions)] == [day.date() for day in library.sessions]
    assert table.closes[start : start + len(library.sessions)] == list(library.closes.dt.to_pydatetime())
