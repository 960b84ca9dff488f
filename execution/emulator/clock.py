"""The market time of the emulated broker: real, a replay of past sessions, or set by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from marketdata.clock import ClockState, market_now
from marketdata.types import FeedKind

MAX_SPEED = Decimal(100_000)
MICROSECOND = timedelta(microseconds=1)


class ClockError(ValueError):
    """The clock cannot do that; the message says what is allowed."""


class VenueClock:
    """Market time; `wall` tells the time on the wall, which a clock set by hand does not need."""

    def __init__(self, state: ClockState, wall: Callable[[], datetime] | None = None) -> None:
        if wall is None and state.kind != FeedKind.MANUAL:
            raise ClockError(f"a {state.kind} clock needs a wall clock")
        self.state = state
        self._wall = wall

    @classmethod
    def manual(cls, at: datetime) -> VenueClock:
        """Return a clock that stands at `at` until it is set or advanced."""
        return cls(ClockState(kind=FeedKind.MANUAL, market_at=_aware(at)))

    @classmethod
    def real(cls, wall: Callable[[], datetime]) -> VenueClock:
        """Return a clock that tells the wall's time."""
        return cls(ClockState(kind=FeedKind.REAL), wall)

    @classmethod
    def replay(
        cls, *, start: datetime, end: datetime | None, speed: Decimal, wall: Callable[[], datetime]
    ) -> VenueClock:
        """Return a clock that begins now at `start`, plays the sessions `speed` times as fast and stands at `end`."""
        state = ClockState(
            kind=FeedKind.REPLAY,
            start_at=_aware(start),
            end_at=end,
            speed=_speed(speed),
            anchor_at=wall(),
        )
        return cls(state, wall)

    @property
    def kind(self) -> str:
        """Return real, replay or manual."""
        return str(self.state.kind)

    @property
    def runs(self) -> bool:
        """Whether time passes by itself."""
        return self.state.kind != FeedKind.MANUAL

    def now(self) -> datetime:
        """Return market time."""
        if self._wall is None:
            assert self.state.market_at is not None
            return self.state.market_at
        return market_now(self.state, self._wall())

    def set(self, at: datetime) -> None:
        """Set the time of a clock that is set by hand, or go on with a replay from there; never backward.

        :raises ClockError: a real clock, or an instant before the present one
        """
        now = self.now()
        if _aware(at) < now:
            raise ClockError(f"at: {at.isoformat()} is before {now.isoformat()}; market time never goes backward")
        if self.state.kind == FeedKind.MANUAL:
            self.state = replace(self.state, market_at=at)
        else:
            self._anchor(at)

    def advance(self, seconds: Decimal) -> None:
        """Move the time forward by so many seconds.

        :raises ClockError: a real clock, or a negative number
        """
        if not seconds.is_finite() or seconds < 0:
            raise ClockError(f"seconds: {seconds} is not allowed; a number from 0 up is")
        self.set(self.now() + timedelta(microseconds=int(seconds * 1_000_000)))

    def set_speed(self, speed: Decimal) -> None:
        """Let a replay go on so many times as fast as the wall's clock.

        :raises ClockError: no replay, or a speed that is not allowed
        """
        chosen = _speed(speed)
        self._anchor(self.now())
        self.state = replace(self.state, speed=chosen)

    def pause(self) -> None:
        """Let a replay stand still.

        :raises ClockError: no replay
        """
        wall = self._replay_wall()
        if self.state.paused_at is None:
            self.state = replace(self.state, paused_at=wall())

    def resume(self) -> None:
        """Let a replay that stands go on from where it stands.

        :raises ClockError: no replay
        """
        self._replay_wall()
        if self.state.paused_at is not None:
            at = self.now()
            self.state = replace(self.state, paused_at=None)
            self._anchor(at)

    def _anchor(self, at: datetime) -> None:
        """Begin the replay anew at `at`, at this wall instant."""
        wall = self._replay_wall()()
        paused_at = None if self.state.paused_at is None else wall
        self.state = replace(self.state, start_at=at, anchor_at=wall, paused_at=paused_at)

    def _replay_wall(self) -> Callable[[], datetime]:
        if self._wall is None or self.state.kind != FeedKind.REPLAY:
            raise ClockError(f"a {self.state.kind} clock cannot do that; only a replay can")
        return self._wall


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ClockError(f"{at} has no time zone")
    return at


def _speed(speed: Decimal) -> Decimal:
    if not speed.is_finite() or not 0 < speed <= MAX_SPEED:
        raise ClockError(f"speed: {speed} is not allowed; above 0 and at most {MAX_SPEED} is")
    return speed
