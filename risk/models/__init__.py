"""What the judge remembers: switches, breaker, limits, restrictions, alerts and every decision."""

from risk.models.alerts import Alert
from risk.models.breaker import BreakerEvent
from risk.models.decisions import Decision
from risk.models.limits import Limit, LimitChange, RestrictedInstrument
from risk.models.switch import GLOBAL_SCOPE, KillSwitchEvent, ReleaseRequest

__all__ = [
    "GLOBAL_SCOPE",
    "Alert",
    "BreakerEvent",
    "Decision",
    "KillSwitchEvent",
    "Limit",
    "LimitChange",
    "ReleaseRequest",
    "RestrictedInstrument",
]
