"""Does the stream tell what REST tells? What it owes, and since when. Pure; times are seconds of any clock."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

PATIENCE = timedelta(seconds=2)
MOST_OWED = 10_000
MOST_TOLD = 10_000


class Hearing:
    """Facts that REST has told and the stream has not."""

    def __init__(self) -> None:
        self._owed: dict[str, timedelta] = {}
        self._told: dict[str, None] = {}
        """The newest facts of the stream: the two tellers may be noted in either order."""

    def rest_told(self, keys: Iterable[str], *, at: timedelta) -> None:
        """Note facts that nobody had told before."""
        for key in keys:
            if key not in self._told and len(self._owed) < MOST_OWED:
                self._owed.setdefault(key, at)

    def stream_told(self, keys: Iterable[str]) -> None:
        """Note facts that the stream has told, first or after all."""
        for key in keys:
            self._owed.pop(key, None)
            self._told[key] = None
        while len(self._told) > MOST_TOLD:
            del self._told[next(iter(self._told))]

    def overdue(self, *, at: timedelta) -> int:
        """Return how many facts the stream has not told for longer than it may take."""
        return sum(at - since >= PATIENCE for since in self._owed.values())

    def forgive(self) -> None:
        """Expect nothing from the past: a new connection tells what happens from now on."""
        self._owed.clear()
