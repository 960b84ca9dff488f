"""Tables of the book: who trades, what was ordered, what happened, what is held."""

from execution.models.accounts import Account, AccountDay, Strategy, StrategyDay
from execution.models.broker import BrokerLink, BrokerMessage
from execution.models.fills import CashEntry, Fill, RefusedReport
from execution.models.halting import HaltProcedure, HaltResidue
from execution.models.orders import Order, OrderEvent
from execution.models.paper import (
    PaperCorporateAction,
    PaperMark,
    PaperOrder,
    PaperPosition,
    PaperReport,
    PaperVenue,
)
from execution.models.positions import Position, PositionAdjustment
from execution.models.reconciliation import (
    Break,
    CashActivity,
    Correction,
    ForcedCompletion,
    InferredFill,
    ReconciliationRun,
    Supersession,
)
from execution.models.slicing import ParentEvent, ParentOrder, Slice

__all__ = [
    "Account",
    "AccountDay",
    "Break",
    "BrokerLink",
    "BrokerMessage",
    "CashActivity",
    "CashEntry",
    "Correction",
    "Fill",
    "ForcedCompletion",
    "HaltProcedure",
    "HaltResidue",
    "InferredFill",
    "Order",
    "OrderEvent",
    "PaperCorporateAction",
    "PaperMark",
    "PaperOrder",
    "PaperPosition",
    "PaperReport",
    "PaperVenue",
    "ParentEvent",
    "ParentOrder",
    "Position",
    "PositionAdjustment",
    "ReconciliationRun",
    "RefusedReport",
    "Slice",
    "Strategy",
    "StrategyDay",
    "Supersession",
]
