"""How far an execution moves the price against us, as a fraction of the price."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Protocol

ZERO = Decimal(0)
BPS = Decimal(10_000)
# A fixed precision, so that a caller's decimal context cannot change a price.
ROOT_CONTEXT = Context(prec=28)


class SlippageModel(Protocol):
    """Cost of trading `quantity` shares while `volume` shares trade."""

    def fraction(self, *, quantity: Decimal, volume: Decimal | None) -> Decimal:
        """Return the fraction of the price that is lost, 0 or more."""
        ...


@dataclass(frozen=True, slots=True)
class NoSlippage:
    """Every execution gets the quoted price."""

    def fraction(self, *, quantity: Decimal, volume: Decimal | None) -> Decimal:
        """Return zero."""
        return ZERO


@dataclass(frozen=True, slots=True)
class FixedBpsSlippage:
    """The same cost for every execution, in basis points of the price."""

    bps: Decimal

    def fraction(self, *, quantity: Decimal, volume: Decimal | None) -> Decimal:
        """Return the fixed fraction."""
        return self.bps / BPS


@dataclass(frozen=True, slots=True)
class SquareRootSlippage:
    """Impact Y · sigma · sqrt(Q / V): Toth et al. 2011, "Anomalous price impact and the critical nature of liquidity".

    `coefficient` is Y (about 1 in the paper), `volatility_bps` the daily volatility, V the volume of the event that
    is traded with. An unknown volume is taken as the one that would just carry the order at `assumed_participation`.
    """

    coefficient: Decimal
    volatility_bps: Decimal
    assumed_participation: Decimal

    def fraction(self, *, quantity: Decimal, volume: Decimal | None) -> Decimal:
        """Return the impact of this execution alone."""
        share = quantity / volume if volume else self.assumed_participation
        return self.coefficient * self.volatility_bps / BPS * share.sqrt(ROOT_CONTEXT)
