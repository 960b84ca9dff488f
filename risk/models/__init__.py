"""What the judge remembers: switches, breaker, limits, restrictions, alerts and every decision."""

from risk.models.alerts import Alert
from risk.models.breaker import BreakerEvent
from risk.models.decisions import Decision
from risk.models.limits import Limit, LimitChange, RestrictedInstrument
from risk.models.overrides import LimitOverride
from risk.models.releases import Release
from risk.models.switch import GLOBAL_SCOPE, KillSwitchEvent, ReleaseRequest
from risk.models.watch import BrokerFault, Correlation, LimitBreach, RiskReading

__all__ = [
    "GLOBAL_SCOPE",
    "Alert",
    "BreakerEvent",
    "BrokerFault",
    "Correlation",
    "Decision",
    "KillSwitchEvent",
    "Limit",
    "LimitBreach",
    "LimitChange",
    "LimitOverride",
    "Release",
    "ReleaseRequest",
    "RestrictedInstrument",
    "RiskReading",
]
