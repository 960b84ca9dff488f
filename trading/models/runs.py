"""One strategy's day, and how its steps ended."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from execution.models import Account, Strategy
from signals.models import SignalSet
from trading.states import RunState, StepName, StepState


class Run(models.Model):
    """One strategy's decision for one session of one account: from fresh bars to orders, and later to a report.

    Whoever works on it holds a lease: `claim` is the fence that every step's record must still carry, so that a
    worker which was believed dead cannot write after its successor has begun.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="runs", db_index=False)
    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, related_name="runs")
    trading_date = models.DateField(help_text="The session whose open the orders are for.")
    kind = models.SlugField(max_length=20, default="daily", db_index=False)
    as_of_date = models.DateField(help_text="The session whose close is the newest thing known.")
    state = models.CharField(max_length=16, choices=RunState.choices, default=RunState.PENDING)
    reason = models.CharField(max_length=500, blank=True, default="", help_text="Why it was skipped or failed.")
    sizing = models.JSONField(help_text="Universe and sizing the run was started with.")
    signal_set = models.ForeignKey(SignalSet, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    order_count = models.PositiveIntegerField(default=0, help_text="Orders that passed the gate.")
    denied_count = models.PositiveIntegerField(default=0, help_text="Intents the gate denied.")
    report = models.JSONField(default=dict, blank=True)
    claim = models.UUIDField(null=True, blank=True, help_text="Fence of whoever works on it.")
    claimed_until = models.DateTimeField(null=True, blank=True, help_text="Wall time the lease ends.")
    attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now(), help_text="Wall time.")
    started_at = models.DateTimeField(null=True, blank=True, help_text="Wall time.")
    finished_at = models.DateTimeField(null=True, blank=True, help_text="Wall time.")

    class Meta:
        ordering = ("-trading_date", "-id")
        constraints = (
            models.UniqueConstraint(name="run_unique", fields=["account", "strategy", "trading_date", "kind"]),
            models.CheckConstraint(name="run_state_known", condition=Q(state__in=RunState.values)),
            models.CheckConstraint(name="run_as_of_before_trading", condition=Q(as_of_date__lt=F("trading_date"))),
            models.CheckConstraint(
                name="run_skipped_or_failed_says_why",
                condition=~Q(state__in=[RunState.SKIPPED, RunState.FAILED]) | ~Q(reason=""),
            ),
            models.CheckConstraint(
                name="run_finished_when_over",
                condition=Q(
                    state__in=[RunState.COMPLETED, RunState.FAILED, RunState.SKIPPED], finished_at__isnull=False
                )
                | Q(state__in=[RunState.PENDING, RunState.RUNNING, RunState.AWAITING_FILLS], finished_at__isnull=True),
            ),
            models.CheckConstraint(
                name="run_claim_has_lease",
                condition=Q(claim__isnull=True, claimed_until__isnull=True)
                | Q(claim__isnull=False, claimed_until__isnull=False),
            ),
        )
        indexes = (
            models.Index(
                name="run_unfinished",
                fields=["account", "trading_date"],
                condition=Q(state__in=[RunState.PENDING, RunState.RUNNING, RunState.AWAITING_FILLS]),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} run {self.pk} for {self.trading_date:%Y-%m-%d}"


class RunStep(models.Model):
    """How one step of a run ended. A completed step is never done again; a failed one is replaced by its repeat."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="steps", db_index=False)
    name = models.CharField(max_length=12, choices=StepName.choices)
    state = models.CharField(max_length=10, choices=StepState.choices)
    output = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True, default="")
    started_at = models.DateTimeField(help_text="Wall time.")
    finished_at = models.DateTimeField(help_text="Wall time.")

    class Meta:
        ordering = ("run", "id")
        constraints = (
            models.UniqueConstraint(name="runstep_unique", fields=["run", "name"]),
            models.CheckConstraint(name="runstep_name_known", condition=Q(name__in=StepName.values)),
            models.CheckConstraint(name="runstep_state_known", condition=Q(state__in=StepState.values)),
            models.CheckConstraint(
                name="runstep_failed_has_error",
                condition=Q(state=StepState.COMPLETED, error="") | (Q(state=StepState.FAILED) & ~Q(error="")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.run_id} {self.name}: {self.state}"
