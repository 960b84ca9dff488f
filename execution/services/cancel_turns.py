"""Whose cancel is sent next: one that fails waits a moment and keeps no other from its turn. Pure; wall time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from execution.models import Order

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=1), timedelta(seconds=4)
MOST_REMEMBERED = 10_000

Key = tuple[int, str, datetime | None]


@dataclass(frozen=True, slots=True)
class _Wait:
    until: datetime
    length: timedelta


class Turns:
    """Remembers, for as long as its process lives, which cancels failed; not for two threads."""

    def __init__(self) -> None:
        self._waits: dict[Key, _Wait] = {}

    def due(self, orders: Iterable[Order], *, wall_now: datetime) -> list[Order]:
        """Return whose turn it is: never tried first, and those that the broker knows before those without its id.

        A clock that was set back makes nobody wait longer than the longest wait.
        """
        ready = [order for order in orders if not self._waits_now(order, wall_now)]
        return sorted(ready, key=lambda order: (_key(order) in self._waits, not order.broker_order_id, order.pk))

    def failed(self, order: Order, *, wall_now: datetime) -> None:
        """Let the others pass: one second, then two, then four."""
        before = self._waits.get(_key(order))
        length = FIRST_WAIT if before is None else min(before.length * 2, LONGEST_WAIT)
        if len(self._waits) >= MOST_REMEMBERED:
            self._waits.clear()
        self._waits[_key(order)] = _Wait(wall_now + length, length)

    def sent(self, order: Order) -> None:
        """Forget it."""
        self._waits.pop(_key(order), None)

    def _waits_now(self, order: Order, wall_now: datetime) -> bool:
        wait = self._waits.get(_key(order))
        return wait is not None and wall_now < wait.until <= wall_now + LONGEST_WAIT


def _key(order: Order) -> Key:
    """Name one wish to cancel; it is a new one, and nobody waits, once the broker's id is known."""
    return order.pk, order.broker_order_id, order.cancel_requested_at
