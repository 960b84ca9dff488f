"""The judge in the admin: history is shown, acts go through services."""

from risk.admin.alerts import AlertAdmin
from risk.admin.limits import LimitAdmin, LimitChangeAdmin, RestrictedInstrumentAdmin
from risk.admin.overrides import LimitOverrideAdmin
from risk.admin.releases import ReleaseAdmin
from risk.admin.state import BreakerEventAdmin, DecisionAdmin, KillSwitchEventAdmin, ReleaseRequestAdmin
from risk.admin.watch import BrokerFaultAdmin, CorrelationAdmin, LimitBreachAdmin, RiskReadingAdmin

__all__ = [
    "AlertAdmin",
    "BreakerEventAdmin",
    "BrokerFaultAdmin",
    "CorrelationAdmin",
    "DecisionAdmin",
    "KillSwitchEventAdmin",
    "LimitAdmin",
    "LimitBreachAdmin",
    "LimitChangeAdmin",
    "LimitOverrideAdmin",
    "ReleaseAdmin",
    "ReleaseRequestAdmin",
    "RestrictedInstrumentAdmin",
    "RiskReadingAdmin",
]
