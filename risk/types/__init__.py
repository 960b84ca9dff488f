"""The case that the gate judges: what is wanted, and all that was known when it was asked.

Everything here is immutable and free of the database. Money and quantities are `Decimal`, times are market time.
"""

from risk.types.case import Case, EffectiveLimits, LimitValues
from risk.types.denials import Denial, DenialCode
from risk.types.intent import OrderIntent
from risk.types.views import (
    ZERO,
    Exposure,
    InstrumentView,
    PortfolioSnapshot,
    PriceView,
    SessionView,
    Totals,
    TradingState,
)
from risk.types.words import AUCTIONS, OrderType, Origin, Side, TimeInForce

__all__ = [
    "AUCTIONS",
    "ZERO",
    "Case",
    "Denial",
    "DenialCode",
    "EffectiveLimits",
    "Exposure",
    "InstrumentView",
    "LimitValues",
    "OrderIntent",
    "OrderType",
    "Origin",
    "PortfolioSnapshot",
    "PriceView",
    "SessionView",
    "Side",
    "TimeInForce",
    "Totals",
    "TradingState",
]
