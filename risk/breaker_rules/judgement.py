"""Which readings trip the breaker now: facts at once, prices when looks in a row agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from risk.breaker_rules.causes import Cause
from risk.breaker_rules.readings import Reading, Verdict
from risk.errors import RiskError

LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Judgement:
    """What trips now, and the looks in a row over each limit (price-driven causes only) to remember."""

    tripping: tuple[Reading, ...]
    streaks: dict[str, int]

    @property
    def cause(self) -> Cause:
        """Return the cause to store: the first that trips, or that something could not be read.

        :raises RiskError: nothing trips
        """
        if not self.tripping:
            raise RiskError("nothing trips the breaker")
        first = self.tripping[0]
        return Cause.UNREADABLE if first.verdict == Verdict.UNREADABLE else first.cause

    @property
    def reason(self) -> str:
        """Say every cause with its numbers."""
        return "; ".join(reading.sentence for reading in self.tripping)[:LONGEST_REASON]


def judge(readings: Sequence[Reading], *, streaks: Mapping[str, int], confirmations: int) -> Judgement:
    """Decide what trips.

    One wrong price must not stop trading by itself, so a price-driven cause has to be over its limit in `confirmations`
    looks in a row; each look that sees it within the limit begins anew. What cannot be read trips at once, but for a
    cause that is given time to become known.
    """
    counted: dict[str, int] = {}
    tripping: list[Reading] = []
    for reading in readings:
        if not reading.is_over:
            continue
        needed = looks_needed(reading, confirmations)
        if needed > 1:
            counted[reading.cause.value] = streaks.get(reading.cause.value, 0) + 1
            if counted[reading.cause.value] < needed:
                continue
        tripping.append(reading)
    return Judgement(tuple(tripping), counted)


def looks_needed(reading: Reading, confirmations: int) -> int:
    """Return how many looks in a row have to see it before it trips."""
    if reading.verdict == Verdict.UNREADABLE:
        return reading.rule.unknown_looks
    return confirmations if reading.rule.price_driven else 1
