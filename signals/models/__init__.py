"""What this app stores, one noun a file."""

from signals.models.backtests import Backtest, BacktestKind, BacktestState
from signals.models.refusals import RefusalCount
from signals.models.registry import ModelApproval, ModelEvent, ModelVersion
from signals.models.shadow import ShadowResult, ShadowRole, ShadowSet, ShadowSignal
from signals.models.signal_sets import ExcludedReason, Signal, SignalSet

__all__ = [
    "Backtest",
    "BacktestKind",
    "BacktestState",
    "ExcludedReason",
    "ModelApproval",
    "ModelEvent",
    "ModelVersion",
    "RefusalCount",
    "ShadowResult",
    "ShadowRole",
    "ShadowSet",
    "ShadowSignal",
    "Signal",
    "SignalSet",
]
