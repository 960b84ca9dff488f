"""Average-cost arithmetic of one position line. Pure and exact.

Method: average cost, signed quantity. A fill in the direction of the position adds its notional to the cost basis; a
fill against it releases cost in proportion and realises the difference; a fill through zero closes all and opens the
rest at its own price. Every amount is rounded once, to the ledger's 8 decimals, and that rounded amount is used on both
sides, so `cost_basis - realized_pnl == sum of signed quantity times price` holds exactly.

Example: buy 100 at 10, buy 100 at 12 (basis 2,200), sell 150 at 13: releases 1,650, realises 300, basis 550.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

ZERO = Decimal(0)
PRECISION = Decimal("0.00000001")


def rounded(amount: Decimal) -> Decimal:
    """Round to the ledger's precision."""
    return amount.quantize(PRECISION, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Lot:
    """What is held in one line: signed shares and what they cost, account currency."""

    quantity: Decimal = ZERO
    cost_basis: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Booking:
    """Result of a fill: the line after it, what was realised, and how much was closed (shares, positive)."""

    lot: Lot
    realized: Decimal
    closed_quantity: Decimal
    cash: Decimal


def book_fill(lot: Lot, *, signed_quantity: Decimal, price: Decimal) -> Booking:
    """Apply one execution; `cash` is what it moves, fees apart (negative for a purchase)."""
    notional = rounded(signed_quantity * price)
    if lot.quantity * signed_quantity >= 0:
        grown = Lot(lot.quantity + signed_quantity, lot.cost_basis + notional)
        return Booking(grown, ZERO, ZERO, -notional)
    if abs(signed_quantity) <= abs(lot.quantity):
        return _reduce(lot, signed_quantity, notional)
    return _flip(lot, signed_quantity, notional, price)


def _reduce(lot: Lot, signed_quantity: Decimal, notional: Decimal) -> Booking:
    remaining = lot.quantity + signed_quantity
    released = lot.cost_basis if remaining == 0 else rounded(lot.cost_basis * -signed_quantity / lot.quantity)
    realized = -notional - released
    return Booking(Lot(remaining, lot.cost_basis - released), realized, abs(signed_quantity), -notional)


def _flip(lot: Lot, signed_quantity: Decimal, notional: Decimal, price: Decimal) -> Booking:
    opened = lot.quantity + signed_quantity
    opening_cost = rounded(opened * price)
    closing_notional = notional - opening_cost
    realized = -closing_notional - lot.cost_basis
    return Booking(Lot(opened, opening_cost), realized, abs(lot.quantity), -notional)


def split_lot(lot: Lot, ratio: Decimal) -> Lot:
    """Apply a split: shares times ratio, the cost stays."""
    return Lot(rounded(lot.quantity * ratio), lot.cost_basis)


def unrealized(lot: Lot, mark: Decimal) -> Decimal:
    """Return what closing at the mark would realise, account currency."""
    return rounded(lot.quantity * mark) - lot.cost_basis


def average_price(lot: Lot) -> Decimal | None:
    """Return the average cost of a share, None when flat; for display, the basis is the truth."""
    return rounded(lot.cost_basis / lot.quantity) if lot.quantity else None
