"""How the book was compared with the broker's: runs, what differed, who decided about it, and what was inferred."""

from decimal import Decimal

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q

from execution.models.accounts import Account
from execution.models.fields import AmountField
from execution.models.fills import CashEntry, Fill
from execution.models.orders import Order
from risk.models.reasons import REASON_LENGTH
from risk.states import ReleaseState


class ReconciliationRun(models.Model):
    """One comparison of the book with the broker, from its begin to its verdict. Times are wall time."""

    class Trigger(models.TextChoices):
        START = "start", "start of the dispatcher"
        TIMER = "timer", "the clock"
        OPERATOR = "operator", "an operator"

    class State(models.TextChoices):
        RUNNING = "running", "under way"
        CLEAN = "clean", "both books agree"
        BROKEN = "broken", "the books differ"
        FAILED = "failed", "no verdict"

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="reconciliation_runs")
    trigger = models.CharField(max_length=8, choices=Trigger.choices)
    started_by = models.CharField(max_length=150, blank=True, default="", help_text="the operator who asked for it")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    orders_compared = models.PositiveIntegerField(default=0)
    positions_compared = models.PositiveIntegerField(default=0)
    adopted = models.PositiveIntegerField(default=0, help_text="orders and positions that nobody of ours had wanted")
    inferred = models.PositiveIntegerField(default=0, help_text="fills that no execution told")
    booked = models.PositiveIntegerField(default=0, help_text="fees, dividends and transfers of cash")
    open_breaks = models.PositiveIntegerField(default=0, help_text="afterwards")
    cash_difference = AmountField(null=True, blank=True, help_text="ours minus the broker's, what is explained apart")
    problem = models.CharField(max_length=300, blank=True, default="", help_text="why there is no verdict")

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(name="reconciliationrun_newest", fields=["account", "-id"]),)
        constraints = (
            models.UniqueConstraint(
                name="reconciliationrun_one_running", fields=["account"], condition=Q(state="running")
            ),
            models.CheckConstraint(
                name="reconciliationrun_trigger_known", condition=Q(trigger__in=["start", "timer", "operator"])
            ),
            models.CheckConstraint(
                name="reconciliationrun_finished_with_verdict",
                condition=Q(state="running", finished_at__isnull=True)
                | Q(state__in=["clean", "broken", "failed"], finished_at__isnull=False),
            ),
            models.CheckConstraint(
                name="reconciliationrun_failed_says_why", condition=~Q(state="failed") | ~Q(problem="")
            ),
        )

    def __str__(self) -> str:
        return f"{self.account_id} {self.trigger} {self.started_at:%Y-%m-%d %H:%M:%S}: {self.state}"


class Break(models.Model):
    """One difference between the book and the broker, from its first sighting until it is over. Wall times.

    `ours` and `theirs` are exact numbers as text (shares, or account currency); `repair` is what would make both books
    agree, in words for people and for the service that does it.
    """

    class Kind(models.TextChoices):
        ORDER = "order", "order"
        POSITION = "position", "position"
        CASH = "cash", "cash"
        FILL = "fill", "execution"
        IDENTITY = "identity", "identity"

    class State(models.TextChoices):
        SUSPECTED = "suspected", "seen once"
        OPEN = "open", "confirmed, to be decided"
        REPAIRED = "repaired", "repaired"
        ACCEPTED = "accepted", "accepted as it is"
        IGNORED = "ignored", "ignored for a day"
        GONE = "gone", "gone by itself"

    LIVE = (State.SUSPECTED, State.OPEN, State.ACCEPTED, State.IGNORED)

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="breaks", db_index=False)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    subject = models.CharField(max_length=140, help_text="a symbol, an order's client_order_id, cash")
    symbol = models.CharField(max_length=32, blank=True, default="")
    ours = models.CharField(max_length=60)
    theirs = models.CharField(max_length=60)
    cause = models.CharField(max_length=300, blank=True, default="", help_text="what may have happened")
    proposal = models.CharField(max_length=300, blank=True, default="", help_text="what a repair would do")
    repair = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    state = models.CharField(max_length=10, choices=State.choices, default=State.SUSPECTED)
    sightings = models.PositiveIntegerField(default=1)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    decided_by = models.CharField(max_length=150, blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                name="break_one_live",
                fields=["account", "kind", "subject"],
                condition=Q(state__in=["suspected", "open", "accepted", "ignored"]),
            ),
            models.CheckConstraint(
                name="break_kind_known", condition=Q(kind__in=["order", "position", "cash", "fill", "identity"])
            ),
            models.CheckConstraint(
                name="break_state_known",
                condition=Q(state__in=["suspected", "open", "repaired", "accepted", "ignored", "gone"]),
            ),
            models.CheckConstraint(
                name="break_decision_has_somebody",
                condition=~Q(state__in=["accepted", "ignored"])
                | (~Q(decided_by="") & Q(decided_at__isnull=False) & REASON_LENGTH),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}: ours {self.ours}, theirs {self.theirs} ({self.state})"


class ForcedCompletion(models.Model):
    """Two people's word that the account may trade although no run has found it clean; ends by itself. Wall times."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="forced_completions")
    run = models.ForeignKey(
        ReconciliationRun, on_delete=models.PROTECT, related_name="+", help_text="the proof that a run was tried"
    )
    requested_by = models.CharField(max_length=150)
    reason = models.CharField(max_length=500)
    requested_at = models.DateTimeField()
    request_expires_at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=ReleaseState.choices, default=ReleaseState.PENDING)
    decided_by = models.CharField(max_length=150, blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="until when the account may trade")

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                name="forcedcompletion_one_pending", fields=["account"], condition=Q(state="pending")
            ),
            models.CheckConstraint(name="forcedcompletion_reason_length", condition=REASON_LENGTH),
            models.CheckConstraint(name="forcedcompletion_state_known", condition=Q(state__in=ReleaseState.values)),
            models.CheckConstraint(
                name="forcedcompletion_needs_two",
                condition=~Q(state="approved")
                | (~Q(decided_by="") & ~Q(decided_by=F("requested_by")) & Q(expires_at__isnull=False)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.account_id} by {self.requested_by}: {self.state}"


class InferredFill(models.Model):
    """A fill that no execution told: the broker counts the shares from one to the other of an order. Append-only."""

    fill = models.OneToOneField(Fill, on_delete=models.PROTECT, related_name="inference")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="inferred_fills")
    from_quantity = AmountField(help_text="the order's filled shares before it")
    to_quantity = AmountField(help_text="and after it")
    created_at = models.DateTimeField(help_text="wall time")

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(
                name="inferredfill_grows", condition=Q(from_quantity__gte=0, to_quantity__gt=F("from_quantity"))
            ),
        )

    def __str__(self) -> str:
        return f"{self.order_id}: {self.from_quantity.normalize():f} to {self.to_quantity.normalize():f}"


class Supersession(models.Model):
    """A real execution that took the place of shares that were inferred: they are not counted again. Append-only."""

    inferred = models.ForeignKey(InferredFill, on_delete=models.PROTECT, related_name="supersessions")
    broker_execution_id = models.CharField(max_length=96)
    quantity = AmountField(help_text="shares of the inferred fill that it tells")
    price = AmountField(help_text="as told")
    fee = AmountField(default=Decimal(0))
    created_at = models.DateTimeField(help_text="wall time")

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="supersession_once", fields=["inferred", "broker_execution_id"]),
            models.CheckConstraint(name="supersession_quantity_positive", condition=Q(quantity__gt=0)),
        )

    def __str__(self) -> str:
        return f"{self.broker_execution_id} for {self.quantity.normalize():f} inferred shares"


class Correction(models.Model):
    """An order that was never sent and books what changed an execution afterwards. Append-only.

    A bust is booked as a trade in the other direction at the execution's own price; another price as such a trade and
    one at the new price. So executions stay as they were told, and shares, cost and cash are right again.
    """

    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="correction")
    corrects = models.ForeignKey(Fill, null=True, blank=True, on_delete=models.PROTECT, related_name="corrections")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="corrections", db_index=False)
    key = models.CharField(max_length=200, help_text="what makes it happen once")
    reason = models.CharField(max_length=500)
    operator = models.CharField(max_length=150)
    created_at = models.DateTimeField(help_text="wall time")

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="correction_once", fields=["account", "key"]),
            models.CheckConstraint(name="correction_operator_named", condition=~Q(operator="")),
        )

    def __str__(self) -> str:
        return f"{self.key} by {self.operator}"


class CashActivity(models.Model):
    """One movement of cash that no trade made, as the broker told it, and where it stands in the book. Append-only.

    A dividend that was booked on its ex-date is not booked again when it is paid: then `matches` is that entry.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="cash_activities", db_index=False)
    activity_id = models.CharField(max_length=96)
    kind = models.CharField(max_length=12, help_text="in the broker's words")
    amount = AmountField(help_text="account currency, positive when cash comes in")
    symbol = models.CharField(max_length=32, blank=True, default="")
    at = models.DateTimeField(help_text="market time at the broker")
    description = models.CharField(max_length=300, blank=True, default="")
    entry = models.OneToOneField(CashEntry, null=True, blank=True, on_delete=models.PROTECT, related_name="activity")
    matches = models.OneToOneField(CashEntry, null=True, blank=True, on_delete=models.PROTECT, related_name="paid_by")
    created_at = models.DateTimeField(help_text="wall time")

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "cash activities"
        constraints = (
            models.UniqueConstraint(name="cashactivity_once", fields=["account", "activity_id"]),
            models.CheckConstraint(
                name="cashactivity_is_booked",
                condition=Q(entry__isnull=False, matches__isnull=True) | Q(entry__isnull=True, matches__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.amount.normalize():f}"
