"""What an account holds of one symbol, at average cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

ZERO = Decimal(0)
STEP = Decimal("0.00000001")


@dataclass(frozen=True, slots=True)
class Holding:
    """Signed shares and the average price they were opened at; both to eight decimals, half to even."""

    quantity: Decimal = ZERO
    average_price: Decimal = ZERO

    def after_trade(self, signed_quantity: Decimal, price: Decimal) -> Holding:
        """Return the holding after buying (or, negative, selling) shares.

        Growing averages the price, shrinking keeps it, and what crosses zero opens at the trade's price.
        """
        quantity = self.quantity + signed_quantity
        if not quantity:
            return Holding()
        if self.quantity * signed_quantity >= 0:
            cost = self.quantity * self.average_price + signed_quantity * price
            return Holding(quantity, (cost / quantity).quantize(STEP))
        crossed = self.quantity * quantity < 0
        return Holding(quantity, price if crossed else self.average_price)

    def after_split(self, ratio: Decimal) -> Holding:
        """Return the holding after `ratio` new shares for an old one; parts of a share stay parts of a share."""
        quantity = (self.quantity * ratio).quantize(STEP)
        return Holding(quantity, (self.average_price / ratio).quantize(STEP)) if quantity else Holding()
