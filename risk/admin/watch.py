"""What the breaker watches, to be read."""

from django.contrib import admin

from marketdata.admin import ReadOnlyAdmin
from risk.models import BrokerFault, Correlation, LimitBreach, RiskReading


@admin.register(RiskReading)
class RiskReadingAdmin(ReadOnlyAdmin):
    """What the watch saw last of each account."""

    list_display = ("scope", "evaluated_at", "trading_date", "equity", "session_peak_equity", "peak_equity")
    search_fields = ("scope",)


@admin.register(BrokerFault)
class BrokerFaultAdmin(ReadOnlyAdmin):
    """Rejected orders and failures of the broker."""

    list_display = ("at", "scope", "kind", "code", "reason")
    list_filter = ("kind",)
    search_fields = ("scope", "code", "reason")


@admin.register(LimitBreach)
class LimitBreachAdmin(ReadOnlyAdmin):
    """Limits that what is held has passed."""

    list_display = ("since", "scope", "limit_name", "symbol", "observed", "allowed", "over_at", "tries")
    list_filter = ("limit_name",)
    search_fields = ("scope", "symbol")


@admin.register(Correlation)
class CorrelationAdmin(ReadOnlyAdmin):
    """How alike two names moved lately."""

    list_display = ("symbol", "other", "coefficient", "sessions", "as_of")
    search_fields = ("symbol", "other")
