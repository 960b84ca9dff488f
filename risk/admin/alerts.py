"""Alerts in the admin: to look at, and to say that they were seen."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from marketdata.admin import ReadOnlyAdmin
from marketdata.clock import wall_now
from risk.errors import AlertOver
from risk.models import Alert
from risk.services.alerts import acknowledge_alert


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Every trouble, newest first."""

    list_display = ("last_at", "severity", "code", "subject", "state", "count", "message", "acknowledged_by")
    list_filter = ("state", "severity", "code")
    search_fields = ("code", "subject", "message")
    date_hierarchy = "first_at"
    actions = ("acknowledge",)

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may say that an alert was seen."""
        return request.user.has_perm("risk.change_alert")

    @admin.action(description="Acknowledge", permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        """Note who has seen the chosen alerts."""
        for alert in queryset:
            try:
                acknowledge_alert(alert_id=alert.pk, operator=request.user.get_username(), now=wall_now())
            except AlertOver as error:
                self.message_user(request, str(error), messages.WARNING)
