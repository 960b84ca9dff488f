"""What becomes of a halt: cancels, the proof at the broker, closing orders, and what is left."""

from django.db import models
from django.db.models import Q

from execution.models.accounts import Account
from execution.models.fields import AmountField
from risk.states import SwitchLevel


class ProcedureState(models.TextChoices):
    """Where a halt stands; what is over stays over."""

    CANCELING = "canceling", "canceling open orders"
    CLOSING = "closing", "closing positions"
    RESIDUE = "residue", "something is left"
    VERIFIED = "verified", "verified at the broker"
    ACCEPTED = "accepted", "over, with what is left accepted by name"
    SUPERSEDED = "superseded", "replaced by a later one or released"


RUNNING = (ProcedureState.CANCELING, ProcedureState.CLOSING, ProcedureState.RESIDUE)


class HaltProcedure(models.Model):
    """One halt (or one cancel-all, close, flatten-all) of one account, moved on by the dispatcher in small steps.

    `version` is the fence: who moves it on has counted it up first, and writes only while nobody has counted since.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="halts")
    scope = models.CharField(max_length=80)
    level = models.CharField(
        max_length=10, choices=SwitchLevel.choices, help_text="of the switch; active when none was engaged for it"
    )
    event_id = models.BigIntegerField(default=0, help_text="the engage it carries out; 0 when there is none")
    state = models.CharField(max_length=10, choices=ProcedureState.choices, default=ProcedureState.CANCELING)
    flatten = models.BooleanField(default=False, help_text="whether positions are closed after the cancels")
    everything = models.BooleanField(default=False, help_text="whether orders that are not ours are canceled as well")
    at_open = models.BooleanField(
        default=False, help_text="whether closing orders may wait for the next opening auction"
    )
    empties = models.PositiveSmallIntegerField(default=0, help_text="looks at the broker in a row that found nothing")
    top_order_id = models.BigIntegerField(
        null=True, blank=True, help_text="without a switch: orders stored later are left alone"
    )
    operator = models.CharField(max_length=150)
    reason = models.TextField()
    problem = models.CharField(max_length=300, blank=True, default="", help_text="what keeps it from going on")
    asked_at = models.DateTimeField(help_text="wall time")
    next_at = models.DateTimeField(help_text="wall time of the next step")
    stepped_at = models.DateTimeField(null=True, blank=True, help_text="wall time of the last step")
    finished_at = models.DateTimeField(null=True, blank=True, help_text="wall time")
    version = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(name="haltprocedure_state_known", condition=Q(state__in=ProcedureState.values)),
            models.CheckConstraint(name="haltprocedure_level_known", condition=Q(level__in=SwitchLevel.values)),
            models.UniqueConstraint(
                name="haltprocedure_one_running", fields=["account", "scope"], condition=Q(state__in=RUNNING)
            ),
            models.CheckConstraint(
                name="haltprocedure_over_has_time",
                condition=Q(state__in=RUNNING, finished_at__isnull=True)
                | (~Q(state__in=RUNNING) & Q(finished_at__isnull=False)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.scope} {self.level}: {self.state}"

    @property
    def ref(self) -> str:
        """Return what its closing orders name as their source."""
        return f"halt:{self.pk}"

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state not in RUNNING


class HaltResidue(models.Model):
    """One order or position that a halt has not got rid of, and why; it is gone when a later look did not find it."""

    class Kind(models.TextChoices):
        ORDER = "order", "order"
        POSITION = "position", "position"

    class Why(models.TextChoices):
        CANCEL_PENDING = "cancel_pending", "its cancel is not done yet"
        BEING_REPLACED = "being_replaced", "it is being replaced; the cancel is repeated"
        STRANGER = "stranger", "not ours; left alone unless everything was asked for"
        CLOSING = "closing", "its closing order is under way"
        DENIED = "denied", "our checks denied the closing order"
        REFUSED = "refused", "the broker refused the closing order"
        MARKET_CLOSED = "market_closed", "the market is closed, and waiting for the open was not asked for"
        WAITS_FOR_OPEN = "waits_for_open", "waits until orders for the opening auction are taken"
        SUSPENDED = "suspended", "the account takes no orders at the broker"
        HALTED_SYMBOL = "halted_symbol", "the exchange has halted it; its closing order waits"

    procedure = models.ForeignKey(HaltProcedure, on_delete=models.PROTECT, related_name="residue")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    name = models.CharField(max_length=160, help_text="client_order_id, or strategy/symbol")
    symbol = models.CharField(max_length=32)
    strategy = models.CharField(max_length=40, blank=True, default="")
    quantity = AmountField(help_text="shares left; a short position is negative")
    why = models.CharField(max_length=16, choices=Why.choices)
    detail = models.CharField(max_length=300, blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="closing orders made so far")
    failures = models.PositiveSmallIntegerField(default=0, help_text="of those, in a row, without a single share")
    judged_id = models.BigIntegerField(default=0, help_text="the last closing order that was counted")
    tried_at = models.DateTimeField(null=True, blank=True, help_text="wall time")
    found_at = models.DateTimeField(help_text="wall time")
    seen_at = models.DateTimeField(help_text="wall time of the last look that found it")
    gone_at = models.DateTimeField(null=True, blank=True, help_text="wall time")
    accepted_by = models.CharField(max_length=150, blank=True, default="")
    accepted_reason = models.TextField(blank=True, default="")
    accepted_at = models.DateTimeField(null=True, blank=True, help_text="wall time")

    class Meta:
        ordering = ("kind", "symbol", "name")
        verbose_name_plural = "halt residue"
        constraints = (
            models.UniqueConstraint(name="haltresidue_unique", fields=["procedure", "kind", "name"]),
            models.CheckConstraint(
                name="haltresidue_accepted_by_somebody",
                condition=Q(accepted_at__isnull=True) | (~Q(accepted_by="") & ~Q(accepted_reason="")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.why}"
