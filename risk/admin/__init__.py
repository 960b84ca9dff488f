"""The judge in the admin: history is shown, acts go through services."""

from risk.admin.limits import LimitAdmin, LimitChangeAdmin, RestrictedInstrumentAdmin
from risk.admin.state import BreakerEventAdmin, DecisionAdmin, KillSwitchEventAdmin, ReleaseRequestAdmin

__all__ = [
    "BreakerEventAdmin",
    "DecisionAdmin",
    "KillSwitchEventAdmin",
    "LimitAdmin",
    "LimitChangeAdmin",
    "ReleaseRequestAdmin",
    "RestrictedInstrumentAdmin",
]
