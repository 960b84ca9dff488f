"""The circuit breaker's history."""

from django.db import models
from django.db.models import Q

from risk.models.reasons import REASON_LENGTH
from risk.states import BreakerState


class BreakerEvent(models.Model):
    """One change of a circuit breaker, append-only; the newest per scope counts, none means tripped."""

    scope = models.CharField(max_length=80, help_text="account:NAME")
    state = models.CharField(max_length=12, choices=BreakerState.choices)
    cause = models.CharField(max_length=40, help_text="rule that tripped it, or manual")
    reason = models.TextField()
    operator = models.CharField(max_length=150)
    quiet_until = models.DateTimeField(null=True, blank=True, help_text="wall time the quiet period ends")
    at = models.DateTimeField(help_text="wall time")

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(name="breaker_newest", fields=["scope", "-id"]),)
        constraints = (
            models.CheckConstraint(name="breaker_state_known", condition=Q(state__in=BreakerState.values)),
            models.CheckConstraint(name="breaker_reason_length", condition=REASON_LENGTH),
            models.CheckConstraint(
                name="breaker_quiet_period_ends",
                condition=Q(state="quiet_period", quiet_until__isnull=False)
                | (~Q(state="quiet_period") & Q(quiet_until__isnull=True)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.scope} {self.state} ({self.cause})"
