"""The market clock: real time, a replay of past sessions, or a time set by hand.

Pure. A feed's row holds the state, so every process that reads the row agrees on the time.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate
from zoneinfo import ZoneInfo

from marketdata.calendar import session_table, trading_seconds_between
from marketdata.types import FeedKind

NEW_YORK = ZoneInfo("America/New_York")
BEFORE_OPEN = timedelta(minutes=30)
AFTER_CLOSE = timedelta(minutes=5)
LONGEST_WAIT_SECONDS = 5
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ClockState:
    """All that decides market time, in UTC; `anchor_at` and `paused_at` are wall time, the rest market time."""

    kind: str
    start_at: datetime | None = None
    end_at: datetime | None = None
    speed: Decimal = Decimal(1)
    anchor_at: datetime | None = None
    paused_at: datetime | None = None
    market_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Windows:
    """The stretches of market time a replay plays, back to back; `before[i]` is the µs played before window i."""

    starts: list[datetime]
    lengths: list[int]
    before: list[int]


def wall_now() -> datetime:
    """Return the time on the wall: the one place of the platform that reads it, for interfaces to pass on."""
    return datetime.now(UTC)


def market_now(state: ClockState, wall_now: datetime) -> datetime:
    """Return market time at a wall instant; never decreasing in `wall_now`.

    A replay plays each session from 30 minutes before its open to 5 minutes after its close, and skips the rest.
    """
    if state.kind == FeedKind.REAL:
        return wall_now
    if state.kind == FeedKind.MANUAL:
        if state.market_at is None:
            raise ValueError("a manual clock needs market_at")
        return state.market_at
    return _replayed(state, wall_now)


def waiting_lead(state: ClockState) -> timedelta:
    """Return how far a price may be ahead of an instant that was read before waiting for a lock, in market time.

    While an order waits, the feed goes on: a few wall seconds, which a fast replay makes many market minutes. A clock
    set by hand does not move by itself, so there nothing may be ahead.
    """
    return timedelta(0) if state.kind == FeedKind.MANUAL else timedelta(seconds=int(LONGEST_WAIT_SECONDS * state.speed))


def price_age(at: datetime, *, now: datetime, lead: timedelta) -> int:
    """Return the age of a price in trading seconds; 0 within the lead (see `waiting_lead`), -1 from further ahead."""
    if at > now:
        return 0 if at - now <= lead else -1
    return trading_seconds_between(at, now)


def describe(state: ClockState, now: datetime) -> str:
    """Say in a line which market time it is, and how it passes: `replay of 2012-06-14 10:32 New York, ×390`."""
    shown = f"{now.astimezone(NEW_YORK):%Y-%m-%d %H:%M} New York"
    if state.kind == FeedKind.REAL:
        return shown
    if state.kind == FeedKind.MANUAL:
        return f"set by hand to {shown}"
    pace = "paused" if state.paused_at is not None else f"×{state.speed.normalize():f}"
    ended = ", at its end" if state.end_at is not None and now >= state.end_at else ""
    return f"replay of {shown}, {pace}{ended}"


def _replayed(state: ClockState, wall_now: datetime) -> datetime:
    if state.start_at is None or state.anchor_at is None:
        raise ValueError("a replay clock needs start_at and anchor_at")
    wall = wall_now if state.paused_at is None else min(wall_now, state.paused_at)
    elapsed = max((wall - state.anchor_at) // _MICROSECOND, 0)
    at = _instant(_played(state.start_at) + int(elapsed * state.speed))
    # A start inside closed time plays from the next window; one on a window's last instant must not step back.
    at = max(at, state.start_at)
    return at if state.end_at is None else min(at, max(state.end_at, state.start_at))


@lru_cache(maxsize=1)
def _windows() -> _Windows:
    table = session_table()
    pairs = zip(table.opens, table.closes, strict=True)
    bounds = [(opening - BEFORE_OPEN, closing + AFTER_CLOSE) for opening, closing in pairs]
    lengths = [(end - start) // _MICROSECOND for start, end in bounds]
    return _Windows([start for start, _ in bounds], lengths, list(accumulate(lengths, initial=0)))


def _played(at: datetime) -> int:
    """Return the µs of windows up to a market instant."""
    windows = _windows()
    position = bisect_right(windows.starts, at) - 1
    if position < 0:
        return 0
    return windows.before[position] + min((at - windows.starts[position]) // _MICROSECOND, windows.lengths[position])


def _instant(played: int) -> datetime:
    """Return the market instant at which that many µs of windows have been played."""
    windows = _windows()
    position = min(bisect_right(windows.before, played), len(windows.starts)) - 1
    inside = min(played - windows.before[position], windows.lengths[position])
    return windows.starts[position] + timedelta(microseconds=inside)
