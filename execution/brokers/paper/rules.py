"""The engine's rules from the venue's settings."""

from __future__ import annotations

from execution.matching.commission import (
    BpsCommission,
    CommissionModel,
    FeeSchedule,
    FreeCommission,
    PerShareCommission,
    RegulatoryFees,
)
from execution.matching.engine import MatchingRules
from execution.matching.slippage import FixedBpsSlippage, NoSlippage, SlippageModel, SquareRootSlippage
from execution.models.paper import PaperVenue


def rules_of(venue: PaperVenue) -> MatchingRules:
    """Return how the venue executes."""
    regulatory = RegulatoryFees(
        sec_rate=venue.sec_fee_rate, taf_per_share=venue.taf_per_share, taf_maximum=venue.taf_maximum
    )
    return MatchingRules(
        participation=venue.participation,
        slippage=slippage_of(venue),
        fees=FeeSchedule(commission=commission_of(venue), regulatory=regulatory),
    )


def slippage_of(venue: PaperVenue) -> SlippageModel:
    """Return the slippage model the venue is set to."""
    if venue.slippage_model == PaperVenue.Slippage.FIXED_BPS:
        return FixedBpsSlippage(venue.slippage_bps)
    if venue.slippage_model == PaperVenue.Slippage.SQUARE_ROOT:
        return SquareRootSlippage(
            coefficient=venue.slippage_coefficient,
            volatility_bps=venue.daily_volatility_bps,
            assumed_participation=venue.participation,
        )
    return NoSlippage()


def commission_of(venue: PaperVenue) -> CommissionModel:
    """Return the commission model the venue is set to."""
    if venue.commission_model == PaperVenue.Commission.PER_SHARE:
        return PerShareCommission(
            per_share=venue.commission_per_share,
            minimum=venue.commission_minimum,
            max_bps=venue.commission_max_bps,
        )
    if venue.commission_model == PaperVenue.Commission.BPS:
        return BpsCommission(venue.commission_bps)
    return FreeCommission()
