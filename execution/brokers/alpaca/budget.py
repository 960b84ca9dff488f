"""How many requests the account has left in this minute, and for how long no new order shall be sent.

Alpaca counts 200 requests a minute for an account, whoever sends them. Its headers tell what is left for all our
processes together; until they have been heard, this process counts its own. New orders stop while less than 30% of the
minute's requests are left and reads while less than 10% are, so that cancels always find room. When nothing is left at
all, one cancel a second is tried nevertheless.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from email.utils import parsedate_to_datetime
from enum import Enum
from threading import Lock

PER_MINUTE = 200
SECOND = 1_000_000_000
WINDOW = 60 * SECOND
FIRST_PAUSE, LONGEST_PAUSE = SECOND, 30 * SECOND


class Purpose(Enum):
    """What a request is for: the percentage of the minute's requests that it must leave untouched."""

    NEW_RISK = 30
    READ = 10
    CANCEL = 0


class Budget:
    """Requests left in the window, and a back-off that doubles from 1 to 30 seconds; safe for threads."""

    def __init__(self, *, nanoseconds: Callable[[], int] = time.monotonic_ns) -> None:
        self._now = nanoseconds
        self._lock = Lock()
        self.limit = PER_MINUTE
        self._left = PER_MINUTE
        self._resets_at = self._now() + WINDOW
        self._last_resort_at = self._now() - SECOND
        self._pause = 0
        self._paused_until = self._now()

    def take(self, purpose: Purpose) -> bool:
        """Count a request that is about to be sent; False when it must not be."""
        with self._lock:
            self._renew()
            if self._left > self._reserve(purpose):
                self._left -= 1
                return True
            if purpose is Purpose.CANCEL and self._now() - self._last_resort_at >= SECOND:
                self._last_resort_at = self._now()
                return True
            return False

    def heard(self, status: int, headers: Mapping[str, str]) -> None:
        """Take over what an answer tells about the window."""
        with self._lock:
            self._renew()
            limit, left = _whole(headers.get("X-RateLimit-Limit")), _whole(headers.get("X-RateLimit-Remaining"))
            if limit:
                self.limit = limit
            if left is not None:
                self._left, self._resets_at = min(left, self.limit), self._now() + _until_reset(headers)
            if status == 429:
                self._left, self._resets_at = 0, self._now() + _until_reset(headers)

    def failed(self, *, for_long: bool = False) -> None:
        """Wait before the next new order, twice as long as the last time, or as long as ever."""
        with self._lock:
            longer = LONGEST_PAUSE if for_long else max(FIRST_PAUSE, self._pause * 2)
            self._pause = min(longer, LONGEST_PAUSE)
            self._paused_until = self._now() + self._pause

    def succeeded(self) -> None:
        """Forget the failures: the broker answers."""
        with self._lock:
            self._pause = 0
            self._paused_until = self._now()

    def pause_seconds(self) -> Decimal:
        """Return for how long no new order shall be sent, seconds."""
        with self._lock:
            self._renew()
            empty = self._left <= self._reserve(Purpose.NEW_RISK)
            until = max(self._paused_until, self._resets_at if empty else 0)
            return Decimal(max(0, until - self._now())) / SECOND

    def room(self, purpose: Purpose) -> int:
        """Return how many requests of the purpose the window still takes."""
        with self._lock:
            self._renew()
            return max(0, self._left - self._reserve(purpose))

    def _reserve(self, purpose: Purpose) -> int:
        return self.limit * purpose.value // 100

    def _renew(self) -> None:
        if self._now() >= self._resets_at:
            self._left, self._resets_at = self.limit, self._now() + WINDOW


def _until_reset(headers: Mapping[str, str]) -> int:
    """Return the time until the window ends (ns), by the broker's own clock; a minute when it does not say."""
    wait = _whole(headers.get("Retry-After"))
    reset = _whole(headers.get("X-RateLimit-Reset"))
    if wait is None and reset is not None and "Date" in headers:
        try:
            wait = reset - int(parsedate_to_datetime(headers["Date"]).timestamp())
        except (ValueError, OverflowError):
            wait = None
    return WINDOW if wait is None else min(max(wait, 1) * SECOND, WINDOW)


def _whole(text: str | None) -> int | None:
    """Read a number of a header; None when there is none that makes sense."""
    given = (text or "").strip()
    return int(given) if given.isascii() and given.isdecimal() and len(given) <= 12 else None
