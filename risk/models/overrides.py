"""Limits that are other for a while, because two people wanted it."""

from django.db import models
from django.db.models import F, Q

from risk.models.reasons import REASON_LENGTH
from risk.states import OverrideState


class LimitOverride(models.Model):
    """Another value of a limit for a while: one person asks, another approves, and the clock ends it.

    In force from `valid_from` until before `valid_until` (wall time) while it is approved; an empty strategy or symbol
    means all of them. No job has to end it: what is over is not read.
    """

    name = models.CharField(max_length=40)
    strategy = models.CharField(max_length=40, blank=True, default="")
    symbol = models.CharField(max_length=16, blank=True, default="")
    value = models.DecimalField(max_digits=20, decimal_places=8, help_text="in the limit's own unit")
    reason = models.TextField()
    valid_from = models.DateTimeField(help_text="wall time")
    valid_until = models.DateTimeField(help_text="wall time from which it counts no more")
    state = models.CharField(max_length=10, choices=OverrideState.choices, default=OverrideState.REQUESTED)
    requested_by = models.CharField(max_length=150)
    requested_at = models.DateTimeField(help_text="wall time")
    decided_by = models.CharField(max_length=150, blank=True, default="", help_text="who approved or rejected")
    decided_at = models.DateTimeField(null=True, blank=True, help_text="wall time")
    revoked_by = models.CharField(max_length=150, blank=True, default="")
    revoked_at = models.DateTimeField(null=True, blank=True, help_text="wall time")

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(name="override_approved", fields=["valid_until"], condition=Q(state=OverrideState.APPROVED)),
        )
        constraints = (
            models.CheckConstraint(name="override_state_known", condition=Q(state__in=OverrideState.values)),
            models.CheckConstraint(name="override_reason_length", condition=REASON_LENGTH),
            models.CheckConstraint(name="override_not_negative", condition=Q(value__gte=0)),
            models.CheckConstraint(name="override_ends_after_start", condition=Q(valid_until__gt=F("valid_from"))),
            models.CheckConstraint(name="override_requester_named", condition=~Q(requested_by="")),
            models.CheckConstraint(
                name="override_needs_two",
                condition=~Q(state__in=[OverrideState.APPROVED, OverrideState.REVOKED])
                | (~Q(decided_by="") & ~Q(decided_by=F("requested_by")) & Q(decided_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="override_revoked_by_somebody",
                condition=~Q(state=OverrideState.REVOKED) | (~Q(revoked_by="") & Q(revoked_at__isnull=False)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.strategy or '*'} {self.symbol or '*'} = {self.value.normalize():f}: {self.state}"
