"""A date range that is played again through the production path."""

from django.db import models
from django.db.models import F, Q

from execution.models import Account
from trading.states import ReplayState, Stage


class ReplayRun(models.Model):
    """One replay of a date range through the production path, on an account and a feed of its own."""

    parameter_hash = models.CharField(max_length=64)
    parameters = models.JSONField()
    account = models.OneToOneField(Account, on_delete=models.PROTECT, related_name="replay")
    start_date = models.DateField()
    end_date = models.DateField()
    state = models.CharField(max_length=10, choices=ReplayState.choices, default=ReplayState.RUNNING)
    last_completed_date = models.DateField(null=True, blank=True)
    stage_date = models.DateField(null=True, blank=True, help_text="The session that is being played.")
    stage = models.CharField(
        max_length=10, choices=Stage.choices, blank=True, default="", help_text="The last part of it that is done."
    )
    error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(help_text="Wall time.")
    finished_at = models.DateTimeField(null=True, blank=True, help_text="Wall time.")

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(name="replayrun_state_known", condition=Q(state__in=ReplayState.values)),
            models.CheckConstraint(name="replayrun_range_ordered", condition=Q(start_date__lte=F("end_date"))),
            models.CheckConstraint(
                name="replayrun_finished_when_over",
                condition=Q(state=ReplayState.RUNNING, finished_at__isnull=True)
                | (~Q(state=ReplayState.RUNNING) & Q(finished_at__isnull=False)),
            ),
        )
        indexes = (models.Index(name="replayrun_by_parameters", fields=["parameter_hash", "-id"]),)

    def __str__(self) -> str:
        return f"replay {self.pk} of {self.start_date:%Y-%m-%d} to {self.end_date:%Y-%m-%d}"
