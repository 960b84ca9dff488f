"""Where the money stands: by name, by side, by sector."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

ZERO = Decimal(0)
NO_SECTOR = "no sector"


@dataclass(frozen=True, slots=True)
class ExposurePart:
    """One part of the book: value long and short (negative), account currency."""

    name: str
    long: Decimal
    short: Decimal

    @property
    def gross(self) -> Decimal:
        """Return both sides, unsigned."""
        return self.long - self.short

    @property
    def net(self) -> Decimal:
        """Return both sides, signed."""
        return self.long + self.short


def exposure_parts(values: Iterable[tuple[str, Decimal]]) -> list[ExposurePart]:
    """Sum signed values by name, the largest first."""
    long: dict[str, Decimal] = {}
    short: dict[str, Decimal] = {}
    for name, value in values:
        side = long if value > 0 else short
        side[name] = side.get(name, ZERO) + value
    parts = [ExposurePart(name, long.get(name, ZERO), short.get(name, ZERO)) for name in {*long, *short}]
    return sorted(parts, key=lambda part: (-part.gross, part.name))
