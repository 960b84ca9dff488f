"""The rate limit: so many requests in each window of a minute, and the headers that tell how many are left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

WINDOW = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a window after a request; `reset_at` is wall time."""

    limit: int
    remaining: int
    reset_at: datetime
    allowed: bool

    def headers(self) -> dict[str, str]:
        """Return the headers of the answer."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(int(self.reset_at.timestamp())),
        }


class RateLimit:
    """Requests of one account; a limit of 0 counts nothing."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._window_ends: datetime | None = None
        self._used = 0

    def count(self, wall: datetime) -> Allowance | None:
        """Count a request at a wall instant; None when there is no limit."""
        if not self.limit:
            return None
        if self._window_ends is None or wall >= self._window_ends:
            self._window_ends, self._used = wall + WINDOW, 0
        allowed = self._used < self.limit
        self._used += allowed
        return Allowance(self.limit, self.limit - self._used, self._window_ends, allowed)
