"""How a session's volume is spread over its time, from open (0) to close (1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

ZERO, ONE = Decimal(0), Decimal(1)
# Half hours of a full NYSE session in percent of its volume: much after the open, little at noon, most into the close.
# A stated assumption of the usual shape for large names, used where there are no minute bars to measure one from.
DEFAULT_PERCENT = (13, 9, Decimal("7.5"), Decimal("6.5"), 6, Decimal("5.5"), 5, 5, Decimal("5.5"), 6, 7, 9, 15)
DEFAULT_SOURCE = "assumed: U shape in 13 parts of the session"


@dataclass(frozen=True, slots=True)
class Session:
    """Hours of the session that is traded in, market time; a half day closes early."""

    opens_at: datetime
    closes_at: datetime

    def part(self, at: datetime) -> Decimal:
        """Return how much of the session has passed: 0 at the open, 1 at the close."""
        passed, whole = at - self.opens_at, self.closes_at - self.opens_at
        return min(max(Decimal(passed // _TICK) / Decimal(whole // _TICK), ZERO), ONE)


_TICK = datetime.resolution


@dataclass(frozen=True, slots=True)
class VolumeCurve:
    """Shares of a session's volume in equal parts of its time; they sum to 1. `source` says where it comes from."""

    parts: tuple[Decimal, ...]
    source: str

    @classmethod
    def of(cls, volumes: Sequence[Decimal], source: str) -> "VolumeCurve":
        """Return the curve of volumes (any unit) in equal parts of a session.

        :raises ValueError: nothing traded, or a volume is negative
        """
        total = sum(volumes, ZERO)
        if total <= 0 or min(volumes) < 0:
            raise ValueError(f"volumes: their sum {total} has to be above 0 and none of them negative")
        return cls(tuple(volume / total for volume in volumes), source)

    def until(self, part: Decimal) -> Decimal:
        """Return the share that trades up to that part of the session, even within each part of the curve."""
        position = min(max(part, ZERO), ONE) * len(self.parts)
        whole = min(int(position), len(self.parts) - 1)
        return sum(self.parts[:whole], ZERO) + self.parts[whole] * (position - whole)

    def between(self, first: Decimal, last: Decimal) -> Decimal:
        """Return the share that trades between two parts of the session."""
        return max(self.until(last) - self.until(first), ZERO)


DEFAULT_CURVE = VolumeCurve.of([Decimal(percent) for percent in DEFAULT_PERCENT], DEFAULT_SOURCE)
