"""NYSE sessions, half days and holidays, as sorted arrays of UTC instants.

`exchange_calendars` is asked once per process; every question afterwards is a binary search (a few microseconds),
because freshness, the clock and each order ask.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from typing import Literal

from marketdata.errors import NotASessionError, OutsideCalendarError

FIRST_YEAR = 1990
YEARS_AHEAD = 2
PRE_MARKET = timedelta(hours=5, minutes=30)
POST_MARKET = timedelta(hours=4)

MarketPhase = Literal["pre", "open", "post", "closed"]


@dataclass(frozen=True, slots=True)
class SessionTable:
    """Parallel arrays, one entry a session, ascending; `open_seconds` and `close_seconds` are UNIX seconds."""

    days: list[date]
    opens: list[datetime]
    closes: list[datetime]
    open_seconds: list[int]
    close_seconds: list[int]
    seconds_before: list[int]
    """Trading seconds of all sessions before this one; one entry more than sessions."""
    index: dict[date, int]


@lru_cache(maxsize=1)
def session_table() -> SessionTable:
    """Build the table, once per process (about 0.1 s, and the import of the calendar library)."""
    import exchange_calendars  # imported here: processes that never ask should not pay for pandas

    # The range of the table is the one thing here that depends on today; no answer about a date does.
    last_year = datetime.now(UTC).year + YEARS_AHEAD
    calendar = exchange_calendars.get_calendar("XNYS", start=f"{FIRST_YEAR}-01-01", end=f"{last_year}-12-31")
    days = [stamp.date() for stamp in calendar.sessions.to_pydatetime()]
    open_seconds = [int(second) for second in calendar.opens.astype("datetime64[s, UTC]").astype("int64")]
    close_seconds = [int(second) for second in calendar.closes.astype("datetime64[s, UTC]").astype("int64")]
    lengths = (closing - opening for opening, closing in zip(open_seconds, close_seconds, strict=True))
    return SessionTable(
        days=days,
        opens=[datetime.fromtimestamp(second, UTC) for second in open_seconds],
        closes=[datetime.fromtimestamp(second, UTC) for second in close_seconds],
        open_seconds=open_seconds,
        close_seconds=close_seconds,
        seconds_before=list(accumulate(lengths, initial=0)),
        index={day: position for position, day in enumerate(days)},
    )


def is_session(day: date) -> bool:
    """Say whether the exchange opens on that date."""
    return day in session_table().index


def session_open(day: date) -> datetime:
    """Return the opening instant (UTC).

    :raises NotASessionError: closed that day
    """
    return session_table().opens[_position(day)]


def session_close(day: date) -> datetime:
    """Return the closing instant (UTC): 13:00 New York on half days.

    :raises NotASessionError: closed that day
    """
    return session_table().closes[_position(day)]


def previous_session(day: date) -> date:
    """Return the last session strictly before the date."""
    table = session_table()
    position = bisect_left(table.days, day) - 1
    return table.days[_within(position, day)]


def next_session(day: date) -> date:
    """Return the first session strictly after the date."""
    table = session_table()
    return table.days[_within(bisect_right(table.days, day), day)]


def sessions_between(first: date, last: date) -> list[date]:
    """List the sessions from first to last, both included."""
    table = session_table()
    return table.days[bisect_left(table.days, first) : bisect_right(table.days, last)]


def latest_sessions(day: date, count: int) -> list[date]:
    """List the last `count` sessions up to and including the date, ascending."""
    table = session_table()
    end = _within(bisect_right(table.days, day) - 1, day) + 1
    return table.days[max(end - count, 0) : end]


def covers(at: datetime) -> bool:
    """Say whether the table knows the session of an instant; far past and far future it does not."""
    closes = session_table().closes
    return closes[0] < _aware(at) <= closes[-1]


def trading_date(at: datetime) -> date:
    """Return the session an instant belongs to: up to and including its close; later, the next session.

    The closing print carries the closing instant and belongs to the session it closes.
    """
    table = session_table()
    return table.days[_within(bisect_left(table.closes, _aware(at)), at)]


def latest_session(at: datetime) -> date:
    """Return the last session that had opened at that instant."""
    table = session_table()
    return table.days[_within(bisect_right(table.opens, _aware(at)) - 1, at)]


def last_closed_session(at: datetime) -> date:
    """Return the last session that was complete at that instant: its bar is the newest one that may be known."""
    table = session_table()
    return table.days[_within(bisect_right(table.closes, _aware(at)) - 1, at)]


def is_open(at: datetime) -> bool:
    """Say whether regular trading is on: from the open, up to but not including the close."""
    table = session_table()
    position = bisect_right(table.opens, _aware(at)) - 1
    return position >= 0 and at < table.closes[position]


def minutes_from_open(at: datetime) -> int:
    """Return whole minutes since the open of the instant's session, rounded down; negative before the open."""
    return (at - session_open(trading_date(at))) // timedelta(minutes=1)


def minutes_to_close(at: datetime) -> int:
    """Return whole minutes to the close of the instant's session, rounded down."""
    return (session_close(trading_date(at)) - at) // timedelta(minutes=1)


def trading_seconds_between(start: datetime, end: datetime) -> int:
    """Return the seconds of regular trading between two instants; negative when end is before start.

    From Friday's close to Monday's open it is zero.
    """
    return _trading_seconds(end) - _trading_seconds(start)


def market_phase(at: datetime) -> MarketPhase:
    """Say what the market does: pre (from 04:00 New York), open, post (four hours after the close), closed."""
    table = session_table()
    position = bisect_right(table.opens, _aware(at)) - 1
    if position >= 0 and at < table.closes[position]:
        return "open"
    if position >= 0 and at < table.closes[position] + POST_MARKET:
        return "post"
    upcoming = position + 1
    if upcoming < len(table.opens) and at >= table.opens[upcoming] - PRE_MARKET:
        return "pre"
    return "closed"


def _trading_seconds(at: datetime) -> int:
    """Return the seconds of regular trading since the table begins."""
    table = session_table()
    second = int(_aware(at).timestamp())
    position = bisect_right(table.open_seconds, second) - 1
    if position < 0:
        return 0
    return table.seconds_before[position] + min(second, table.close_seconds[position]) - table.open_seconds[position]


def _position(day: date) -> int:
    try:
        return session_table().index[day]
    except KeyError:
        raise NotASessionError(day) from None


def _within(position: int, asked: object) -> int:
    if not 0 <= position < len(session_table().days):
        raise OutsideCalendarError(f"{asked} lies outside the calendar (from {FIRST_YEAR}, {YEARS_AHEAD} years ahead)")
    return position


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise OutsideCalendarError(f"{at} has no time zone")
    return at
