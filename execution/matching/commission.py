"""What the broker charges, account currency, rounded up to four decimals.

A commission is a function of the whole order, because minimum and maximum are per order; an execution is charged what
the order owes after it, less what was charged before. Regulatory fees are charged on each sale.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Protocol

from execution.matching.pricing import traded_value
from risk.types import Side

ZERO = Decimal(0)
BPS = Decimal(10_000)
FEE_STEP = Decimal("0.0001")


class CommissionModel(Protocol):
    """Commission of an order by what of it was executed so far; it never falls as the order fills."""

    def total(self, *, quantity: Decimal, notional: Decimal) -> Decimal:
        """Return the commission owed for `quantity` shares worth `notional`."""
        ...


@dataclass(frozen=True, slots=True)
class FreeCommission:
    """No commission."""

    def total(self, *, quantity: Decimal, notional: Decimal) -> Decimal:
        """Return zero."""
        return ZERO


@dataclass(frozen=True, slots=True)
class PerShareCommission:
    """So much a share, at least `minimum` an order, at most `max_bps` of its value; the maximum beats the minimum."""

    per_share: Decimal
    minimum: Decimal = ZERO
    max_bps: Decimal | None = None

    def total(self, *, quantity: Decimal, notional: Decimal) -> Decimal:
        """Return the commission of the executed part."""
        owed = max(self.per_share * quantity, self.minimum)
        return owed if self.max_bps is None else min(owed, notional * self.max_bps / BPS)


@dataclass(frozen=True, slots=True)
class BpsCommission:
    """A share of the traded value, in basis points."""

    bps: Decimal

    def total(self, *, quantity: Decimal, notional: Decimal) -> Decimal:
        """Return the commission of the executed part."""
        return notional * self.bps / BPS


@dataclass(frozen=True, slots=True)
class RegulatoryFees:
    """Fees on sales, all zero unless set: the rates change about once a year, so they are settings.

    `sec_rate` is a fraction of the sale's value (Section 31 of the Exchange Act), `taf_per_share` FINRA's trading
    activity fee with its cap per execution, `taf_maximum` (0 means no cap).
    """

    sec_rate: Decimal = ZERO
    taf_per_share: Decimal = ZERO
    taf_maximum: Decimal = ZERO

    def of_sale(self, *, quantity: Decimal, notional: Decimal) -> Decimal:
        """Return the fees of one execution of a sale."""
        activity = self.taf_per_share * quantity
        if self.taf_maximum:
            activity = min(activity, self.taf_maximum)
        return round_fee(notional * self.sec_rate) + round_fee(activity)


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """Commission and regulatory fees together."""

    commission: CommissionModel = FreeCommission()
    regulatory: RegulatoryFees = RegulatoryFees()

    def of_execution(
        self, *, side: Side, before_quantity: Decimal, before_notional: Decimal, quantity: Decimal, price: Decimal
    ) -> Decimal:
        """Return the fee of one execution, given what the order had executed before it."""
        notional = traded_value(quantity, price)
        before = self.owed(quantity=before_quantity, notional=before_notional)
        fee = self.owed(quantity=before_quantity + quantity, notional=before_notional + notional) - before
        if side == Side.SELL:
            fee += self.regulatory.of_sale(quantity=quantity, notional=notional)
        return fee

    def owed(self, *, quantity: Decimal, notional: Decimal) -> Decimal:
        """Return the commission of an order so far, rounded; nothing before its first execution."""
        return round_fee(self.commission.total(quantity=quantity, notional=notional)) if quantity else ZERO


def round_fee(amount: Decimal) -> Decimal:
    """Round up to four decimals: a fee never rounds in our favour."""
    return amount.quantize(FEE_STEP, rounding=ROUND_CEILING)
