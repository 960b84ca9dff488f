"""News of this app for whoever shows it; sent after commit, with ids only."""

from django.dispatch import Signal

trading_state_changed = Signal()
limits_changed = Signal()
alerts_changed = Signal()
"""An alert was raised, told again, seen or is over; `alert_id`."""
