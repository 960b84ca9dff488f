"""Numbers of a comparison. Pure and exact: shares and account currency as `Decimal`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from execution.ledger import rounded

ZERO = Decimal(0)
SHARE_TOLERANCE = Decimal("0.000001")
"""Brokers count fractions to nine decimals and round when they show them; the book keeps eight."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What we hold of a symbol and what the broker says, signed shares."""

    symbol: str
    ours: Decimal
    theirs: Decimal

    @property
    def missing(self) -> Decimal:
        """Shares that the book lacks, negative where it has too many."""
        return self.theirs - self.ours

    @property
    def only_adds(self) -> bool:
        """Whether the broker holds what we hold, and more in the same direction: something opened that we missed."""
        return self.theirs != 0 and self.ours * self.theirs >= 0 and abs(self.theirs) > abs(self.ours)


def differences(
    ours: Mapping[str, Decimal], theirs: Mapping[str, Decimal], *, tolerance: Decimal = SHARE_TOLERANCE
) -> list[Difference]:
    """Return where the net shares differ by more than the tolerance, by symbol."""
    found = [
        Difference(symbol, ours.get(symbol, ZERO), theirs.get(symbol, ZERO)) for symbol in sorted({*ours, *theirs})
    ]
    return [each for each in found if abs(each.missing) > tolerance]


def price_of_missing(
    *, quantity_before: Decimal, average_before: Decimal, quantity_after: Decimal, average_after: Decimal
) -> Decimal | None:
    """Return at what price the shares between two cumulative views were traded: (a2 q2 - a1 q1) / (q2 - q1).

    None where the numbers contradict each other (no more shares, or a price that is no price).
    """
    shares = quantity_after - quantity_before
    if shares <= 0:
        return None
    price = rounded((average_after * quantity_after - average_before * quantity_before) / shares)
    return price if price > 0 else None


@dataclass(frozen=True, slots=True)
class Span:
    """Shares of an order, counted as it fills: from the one count to the other."""

    low: Decimal
    high: Decimal

    def shared(self, other: "Span") -> Decimal:
        """Return how many shares both contain."""
        return max(ZERO, min(self.high, other.high) - max(self.low, other.low))


def covered(span: Span, others: Iterable[Span]) -> Decimal:
    """Return how many shares of a span lie in the others, which do not overlap each other."""
    return sum((span.shared(other) for other in others), ZERO)
