"""What this app stores, one noun a file."""

from signals.models.signal_sets import ExcludedReason, Signal, SignalSet

__all__ = ["ExcludedReason", "Signal", "SignalSet"]
