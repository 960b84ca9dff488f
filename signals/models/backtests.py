"""Backtests as they were asked for, and what came of them."""

import uuid

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

LONGEST_ERROR = 500


class BacktestKind(models.TextChoices):
    """What is done."""

    BACKTEST = "backtest", "backtest"
    WALK_FORWARD = "walk_forward", "walk forward"
    SEARCH = "search", "parameter search"


class BacktestState(models.TextChoices):
    """Where it stands."""

    PENDING = "pending", "pending"
    RUNNING = "running", "running"
    COMPLETED = "completed", "completed"
    FAILED = "failed", "failed"
    CANCELED = "canceled", "canceled"


BACKTEST_OVER = (BacktestState.COMPLETED, BacktestState.FAILED, BacktestState.CANCELED)


class Backtest(models.Model):
    """One run: its parameters, what it was computed from, its figures, and where its rows are.

    The same kind, parameters and versions give the same figures. Rows are Parquet files in a directory that is named by
    `key` alone, so nothing a caller says becomes a path.
    """

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=12, choices=BacktestKind.choices)
    strategy = models.SlugField(max_length=64, db_index=False)
    title = models.CharField(max_length=120, blank=True, default="")
    start_date = models.DateField()
    end_date = models.DateField()
    parameters = models.JSONField(help_text="Everything that was asked for, defaults included.")
    seed = models.PositiveBigIntegerField(default=0)
    code_version = models.CharField(max_length=12, blank=True, default="", help_text="Over strategy and backtest.")
    data_version = models.CharField(max_length=64, blank=True, default="", help_text="SHA-256 over the adjusted bars.")
    feature_version = models.CharField(max_length=12, blank=True, default="", help_text="Empty without features.")
    model_versions = models.JSONField(default=dict, blank=True, help_text="Registry version by strategy.")
    state = models.CharField(max_length=10, choices=BacktestState.choices, default=BacktestState.PENDING)
    metrics = models.JSONField(null=True, blank=True, help_text="Figures by name.")
    detail = models.JSONField(null=True, blank=True, help_text="Evaluation, bootstrap, months, windows, trials.")
    error = models.CharField(max_length=LONGEST_ERROR, blank=True, default="", help_text="Why it failed.")
    asked_by = models.CharField(max_length=150)
    job_id = models.PositiveBigIntegerField(null=True, blank=True, unique=True, help_text="Empty for a command.")
    created_at = models.DateTimeField(db_default=Now(), help_text="Wall time.")
    started_at = models.DateTimeField(null=True, blank=True, help_text="Of the newest attempt; wall time.")
    finished_at = models.DateTimeField(null=True, blank=True, help_text="Wall time.")

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(name="backtest_kind_known", condition=Q(kind__in=BacktestKind.values)),
            models.CheckConstraint(name="backtest_state_known", condition=Q(state__in=BacktestState.values)),
            models.CheckConstraint(name="backtest_range_ordered", condition=Q(start_date__lte=F("end_date"))),
            models.CheckConstraint(name="backtest_asked_by_somebody", condition=~Q(asked_by="")),
            models.CheckConstraint(
                name="backtest_finished_when_over",
                condition=Q(state__in=BACKTEST_OVER, finished_at__isnull=False)
                | (~Q(state__in=BACKTEST_OVER) & Q(finished_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="backtest_completed_has_figures",
                condition=~Q(state=BacktestState.COMPLETED)
                | (
                    Q(metrics__isnull=False, detail__isnull=False, started_at__isnull=False)
                    & ~Q(code_version="")
                    & ~Q(data_version="")
                ),
            ),
            models.CheckConstraint(
                name="backtest_failed_says_why",
                condition=(Q(state=BacktestState.FAILED) & ~Q(error=""))
                | (~Q(state=BacktestState.FAILED) & Q(error="")),
            ),
        )
        indexes = (models.Index(name="backtest_by_strategy", fields=["strategy", "-id"]),)

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}: {self.strategy}"

    @property
    def is_over(self) -> bool:
        """Tell whether nothing will happen to it any more."""
        return self.state in BACKTEST_OVER
