"""One strategy's position in one name, as the watch reads it."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLine:
    """Signed shares at the mark, with what is open on either side (shares); account currency."""

    strategy: str
    symbol: str
    quantity: Decimal
    mark: Decimal
    open_buy_quantity: Decimal = ZERO
    open_sell_quantity: Decimal = ZERO
    lot_size: Decimal = Decimal(1)

    @property
    def value(self) -> Decimal:
        """Signed value at the mark."""
        return self.quantity * self.mark

    @property
    def reducible(self) -> Decimal:
        """Shares that no open order reduces yet."""
        open_against = self.open_sell_quantity if self.quantity > 0 else self.open_buy_quantity
        return max(abs(self.quantity) - open_against, ZERO)


def shares(lines: Iterable[HeldLine]) -> Decimal:
    """Return the net shares of lines of one name."""
    return sum((line.quantity for line in lines), ZERO)


def value(lines: Iterable[HeldLine]) -> Decimal:
    """Return the net value of lines at their marks."""
    return sum((line.value for line in lines), ZERO)


def by_symbol(lines: Iterable[HeldLine]) -> dict[str, list[HeldLine]]:
    """Return the lines of each name, names in order."""
    found: dict[str, list[HeldLine]] = {}
    for line in sorted(lines, key=lambda line: (line.symbol, line.strategy)):
        found.setdefault(line.symbol, []).append(line)
    return found
