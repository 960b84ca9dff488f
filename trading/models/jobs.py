"""Long work that somebody asked for: a backtest, a training, an import. The queue and its history are one table."""

from datetime import datetime

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from trading.states import JOB_OVER, JobState

LONGEST_ERROR = 500
LONGEST_WHAT = 120
LONGEST_LOG = 8_192
LONGEST_NAME = 150


class Job(models.Model):
    """One piece of work, from the wish to its result.

    Whoever works on it holds a lease: `claim` is the fence that every write must still carry, so that a process which
    was believed dead cannot write after its successor has begun.
    """

    kind = models.SlugField(max_length=32, db_index=False, help_text="A name of the table of kinds.")
    parameters = models.JSONField(help_text="As they were read when it was asked for.")
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.QUEUED)
    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(default=0, help_text="0 while it is not known.")
    what = models.CharField(max_length=LONGEST_WHAT, blank=True, default="", help_text="What is being done.")
    told_at = models.DateTimeField(null=True, blank=True, help_text="When progress was told last; wall time.")
    asked_by = models.CharField(max_length=LONGEST_NAME)
    asked_at = models.DateTimeField(db_default=Now(), help_text="Wall time.")
    idempotency_key = models.CharField(max_length=128, null=True, blank=True)
    cancel_asked_by = models.CharField(max_length=LONGEST_NAME, blank=True, default="")
    cancel_asked_at = models.DateTimeField(null=True, blank=True, help_text="Wall time.")
    claim = models.UUIDField(null=True, blank=True, help_text="Fence of whoever works on it.")
    claimed_until = models.DateTimeField(null=True, blank=True, help_text="Wall time the lease ends.")
    attempts = models.PositiveIntegerField(default=0, help_text="How often it was begun.")
    started_at = models.DateTimeField(null=True, blank=True, help_text="Of the newest attempt; wall time.")
    finished_at = models.DateTimeField(null=True, blank=True, help_text="Wall time.")
    result = models.JSONField(null=True, blank=True)
    error = models.CharField(max_length=LONGEST_ERROR, blank=True, default="", help_text="Why it failed.")
    log = models.TextField(blank=True, default="", help_text="The end of what its process wrote.")

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(name="job_state_known", condition=Q(state__in=JobState.values)),
            models.CheckConstraint(
                name="job_running_is_claimed",
                condition=Q(
                    state=JobState.RUNNING, claim__isnull=False, claimed_until__isnull=False, started_at__isnull=False
                )
                | (~Q(state=JobState.RUNNING) & Q(claim__isnull=True, claimed_until__isnull=True)),
            ),
            models.CheckConstraint(
                name="job_finished_when_over",
                condition=Q(state__in=sorted(JOB_OVER), finished_at__isnull=False)
                | (~Q(state__in=sorted(JOB_OVER)) & Q(finished_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="job_failed_says_why",
                condition=(Q(state=JobState.FAILED) & ~Q(error="")) | (~Q(state=JobState.FAILED) & Q(error="")),
            ),
            models.CheckConstraint(
                name="job_result_when_completed",
                condition=Q(state=JobState.COMPLETED, result__isnull=False)
                | (~Q(state=JobState.COMPLETED) & Q(result__isnull=True)),
            ),
            models.CheckConstraint(
                name="job_cancel_has_name_and_time",
                condition=Q(cancel_asked_by="", cancel_asked_at__isnull=True)
                | (~Q(cancel_asked_by="") & Q(cancel_asked_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="job_canceled_was_asked_for",
                condition=~Q(state=JobState.CANCELED) | Q(cancel_asked_at__isnull=False),
            ),
            models.CheckConstraint(name="job_done_within_total", condition=Q(total=0) | Q(done__lte=F("total"))),
            models.CheckConstraint(name="job_asked_by_somebody", condition=~Q(asked_by="")),
            models.UniqueConstraint(name="job_asked_once", fields=["asked_by", "kind", "idempotency_key"]),
        )
        indexes = (
            models.Index(name="job_waiting", fields=["id"], condition=Q(state=JobState.QUEUED)),
            models.Index(name="job_leased", fields=["claimed_until"], condition=Q(state=JobState.RUNNING)),
            models.Index(name="job_by_kind", fields=["kind", "-id"]),
        )

    def __str__(self) -> str:
        return f"{self.kind} job {self.pk}: {self.state}"

    @property
    def is_over(self) -> bool:
        """Tell whether nothing will happen to it any more."""
        return self.state in JOB_OVER

    @property
    def percent(self) -> int | None:
        """Return how much is done; None while nobody knows how much there is."""
        if self.state == JobState.COMPLETED:
            return 100
        return self.done * 100 // self.total if self.total else None

    def seconds_left(self, wall_now: datetime) -> int | None:
        """Guess from the pace so far how long it will go on; None while that would be no guess."""
        if self.state != JobState.RUNNING or self.started_at is None or not 0 < self.done < self.total:
            return None
        passed = wall_now - self.started_at
        return max(int((passed * (self.total - self.done) / self.done).total_seconds()), 0)

    def seconds_taken(self, wall_now: datetime) -> int | None:
        """Return how long its newest attempt has taken, or takes so far; None before it was begun."""
        if self.started_at is None or self.state == JobState.QUEUED:
            return None
        return max(int(((self.finished_at or wall_now) - self.started_at).total_seconds()), 0)
