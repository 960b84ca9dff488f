"""What people must know of: one row for each trouble, from its first sign until it is over."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q

from risk.states import AlertSeverity, AlertState


class Alert(models.Model):
    """One trouble: `code` says what kind, `subject` what it is about; told again, it counts on instead of repeating.

    It is written in the transaction of the fact that it tells, so that neither can be without the other.
    """

    code = models.CharField(max_length=64, help_text="kind of trouble, e.g. broker_report_refused")
    subject = models.CharField(max_length=200, help_text="what it is about, e.g. account:paper symbol:AAPL")
    severity = models.CharField(max_length=8, choices=AlertSeverity.choices)
    message = models.CharField(max_length=500, help_text="one line for people, as told last")
    detail = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    state = models.CharField(max_length=12, choices=AlertState.choices, default=AlertState.OPEN)
    count = models.PositiveIntegerField(default=1, help_text="how often it was told")
    first_at = models.DateTimeField(help_text="wall time")
    last_at = models.DateTimeField(help_text="wall time")
    acknowledged_by = models.CharField(max_length=150, blank=True, default="")
    acknowledged_at = models.DateTimeField(null=True, blank=True, help_text="wall time")
    resolved_at = models.DateTimeField(null=True, blank=True, help_text="wall time it was over")

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                name="alert_one_unresolved", fields=["code", "subject"], condition=~Q(state=AlertState.RESOLVED)
            ),
            models.CheckConstraint(name="alert_state_known", condition=Q(state__in=AlertState.values)),
            models.CheckConstraint(name="alert_severity_known", condition=Q(severity__in=AlertSeverity.values)),
            models.CheckConstraint(
                name="alert_resolved_has_time",
                condition=Q(state=AlertState.RESOLVED, resolved_at__isnull=False)
                | (~Q(state=AlertState.RESOLVED) & Q(resolved_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="alert_acknowledged_by_somebody",
                condition=~Q(state=AlertState.ACKNOWLEDGED)
                | (~Q(acknowledged_by="") & Q(acknowledged_at__isnull=False)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.severity} {self.code} {self.subject}: {self.state}"
