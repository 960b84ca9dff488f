"""How many orders fit into a moment, by how long they have taken of late."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

MILLISECOND = 1_000_000
BATCH = 150 * MILLISECOND
"""What is claimed at once should have left by then: others may want the account stopped, or what is told booked."""
MOST = 20
SINKS_BY = 4


class Pace:
    """The size of the next batch: one at first and after any trouble, then twice as many each time; safe for threads.

    The time of an order counts at once when it grows and bit by bit when it shrinks.
    """

    def __init__(self, *, nanoseconds: Callable[[], int] = time.monotonic_ns) -> None:
        self.now = nanoseconds
        self._lock = Lock()
        self._size = 1
        self._takes = 0

    @property
    def size(self) -> int:
        """Return how many orders may be claimed at once."""
        with self._lock:
            return self._size

    def took(self, nanoseconds: int) -> None:
        """Note an order that was taken, and how long it was under way."""
        with self._lock:
            shorter = self._takes - (self._takes - nanoseconds) // SINKS_BY
            self._takes = max(nanoseconds, shorter, 1)
            self._size = max(1, min(self._size * 2, BATCH // self._takes, MOST))

    def stumbled(self) -> None:
        """Note a refusal, or no answer: the next order goes alone."""
        with self._lock:
            self._size = 1
