"""Follow the order events by their numbers, so that nothing is lost between two looks.

Numbers are given before a transaction commits, so a smaller one may appear after a larger one was seen. A number that
is missing is asked for again until it appears or is too old to come: a transaction that takes that long has been
rolled back, and its number stays empty.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Max, Q

from execution.models import OrderEvent

PATIENCE = timedelta(minutes=1)
LOOK_BACK = 200
MOST_MISSING = 2_000
MOST_EVENTS = 500


@dataclass(slots=True)
class Numbers:
    """Which numbers were seen: all up to `newest` but those that are `missing`, each with the wall time of its loss."""

    newest: int = 0
    missing: dict[int, datetime] = field(default_factory=dict)

    def begin(self, seen: Iterable[int], wall_now: datetime) -> None:
        """Begin behind the numbers that are there; those between them that are not may still come."""
        present = sorted(seen)
        if present:
            self.newest = present[0] - 1
            self.take(present, wall_now)

    def take(self, seen: Iterable[int], wall_now: datetime) -> None:
        """Note numbers, in any order; what lies between them is missing from now on."""
        for number in sorted(seen):
            if number <= self.newest:
                self.missing.pop(number, None)
                continue
            for lost in range(max(self.newest + 1, number - MOST_MISSING), number):
                self.missing[lost] = wall_now
            self.newest = number
        self._give_up(wall_now)

    def _give_up(self, wall_now: datetime) -> None:
        late = [number for number, since in self.missing.items() if wall_now - since > PATIENCE]
        for number in late + sorted(self.missing)[: max(len(self.missing) - MOST_MISSING, 0)]:
            self.missing.pop(number, None)


class EventFollower:
    """Reads what is new since the last look, of every account: gaps are only gaps when all numbers are read."""

    def __init__(self) -> None:
        self._numbers: Numbers | None = None

    def start(self, wall_now: datetime) -> None:
        """Begin behind what is there now."""
        self._numbers = Numbers()
        newest = OrderEvent.objects.aggregate(newest=Max("pk"))["newest"] or 0
        seen = OrderEvent.objects.filter(pk__gt=newest - LOOK_BACK, pk__lte=newest).values_list("pk", flat=True)
        self._numbers.begin(seen, wall_now)

    def news(self, wall_now: datetime) -> list[OrderEvent]:
        """Return new events, oldest first, at most 500 at once. One query."""
        numbers = self._numbers
        assert numbers is not None, "start comes first"
        wanted = Q(pk__gt=numbers.newest)
        if numbers.missing:
            wanted |= Q(pk__in=list(numbers.missing))
        found = OrderEvent.objects.filter(wanted).select_related("order__instrument").order_by("pk")
        events = list(found[:MOST_EVENTS])
        numbers.take([event.pk for event in events], wall_now)
        return events
