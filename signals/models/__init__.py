"""What this app stores, one noun a file."""

from signals.models.registry import ModelApproval, ModelEvent, ModelVersion
from signals.models.signal_sets import ExcludedReason, Signal, SignalSet

__all__ = ["ExcludedReason", "ModelApproval", "ModelEvent", "ModelVersion", "Signal", "SignalSet"]
