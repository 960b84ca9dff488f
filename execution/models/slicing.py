"""Orders that are worked in slices: the parent, its plan, and what happened to it.

What of a parent is filled or open is derived from its child orders (`Order.parent`), never stored a second time.
"""

from decimal import Decimal

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from execution.models.accounts import Account, Strategy
from execution.models.fields import AmountField
from execution.slicing.states import (
    PARENT_LIVE,
    PARENT_OVER,
    Algo,
    ParentStatus,
    ParentStep,
    SliceStatus,
    parent_step_allowed,
)
from marketdata.models import Instrument
from risk.types import Origin, Side

MOST_OFFSET_BPS = Decimal(1_000)
# Who may want one; slices, flattening and reductions come of something else.
PARENT_ORIGINS = [
    (origin.value, origin.label)
    for origin in (Origin.API, Origin.ALPACA_API, Origin.CONSOLE, Origin.RUN, Origin.COMMAND)
]


class ParentOrder(models.Model):
    """A quantity that is worked in slices over a window of one session.

    Its orders are judged by the gate one by one. Times of the window are market time.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="parent_orders", db_index=False)
    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, related_name="parent_orders", db_index=False)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="parent_orders", db_index=False)
    client_order_id = models.CharField(max_length=128)
    intent_key = models.CharField(max_length=64, help_text="SHA-256 of what is wanted, without the attempt")
    attempt = models.PositiveIntegerField(default=1)
    idempotency_key = models.CharField(max_length=128, blank=True, default="", db_default="")

    side = models.CharField(max_length=4, choices=Side.choices)
    quantity = AmountField(help_text="shares")
    algo = models.CharField(max_length=4, choices=Algo.choices)
    duration_minutes = models.PositiveIntegerField(help_text="as it was wished; the session may leave less")
    wished_slices = models.PositiveIntegerField(help_text="as it was wished; there may be fewer")
    max_participation = models.DecimalField(max_digits=5, decimal_places=4, help_text="part of the expected volume")
    limit_price = AmountField(null=True, blank=True)
    limit_offset_bps = models.DecimalField(
        max_digits=8, decimal_places=4, null=True, blank=True, help_text="from the last price when a slice is sent"
    )
    reduce_only = models.BooleanField(default=False, db_default=False)
    origin = models.CharField(max_length=12, choices=PARENT_ORIGINS)
    source_ref = models.CharField(max_length=64, blank=True, default="", db_default="", help_text="who wanted it")

    starts_at = models.DateTimeField(help_text="market time")
    ends_at = models.DateTimeField(help_text="market time; nothing of it trades later")
    shortened = models.BooleanField(default=False, db_default=False, help_text="by the end of the session")
    seed = models.BigIntegerField()
    average_daily_volume = AmountField(help_text="shares, as known when it was planned")
    curve_source = models.CharField(max_length=100, help_text="where the expected volume comes from")
    plan = models.PositiveIntegerField(default=1, help_text="number of the newest plan")

    status = models.CharField(max_length=10, choices=ParentStatus.choices, default=ParentStatus.ACTIVE)
    reason = models.CharField(max_length=500, blank=True, default="", db_default="")
    trading_date = models.DateField(help_text="NYSE session of the window")
    market_at = models.DateTimeField(help_text="market time of the decision")
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())
    closed_at = models.DateTimeField(null=True, blank=True, help_text="wall time")
    asked_at = models.DateTimeField(null=True, blank=True, help_text="wall time work on it was last asked for")

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="parentorder_client_id_unique", fields=["account", "client_order_id"]),
            models.UniqueConstraint(name="parentorder_attempt_unique", fields=["account", "intent_key", "attempt"]),
            models.UniqueConstraint(
                name="parentorder_idempotency_key_unique",
                fields=["account", "idempotency_key"],
                condition=~Q(idempotency_key=""),
            ),
            models.CheckConstraint(name="parentorder_status_known", condition=Q(status__in=ParentStatus.values)),
            models.CheckConstraint(name="parentorder_algo_known", condition=Q(algo__in=Algo.values)),
            models.CheckConstraint(name="parentorder_side_known", condition=Q(side__in=Side.values)),
            models.CheckConstraint(
                name="parentorder_origin_known", condition=Q(origin__in=[name for name, _ in PARENT_ORIGINS])
            ),
            models.CheckConstraint(name="parentorder_quantity_positive", condition=Q(quantity__gt=0)),
            models.CheckConstraint(name="parentorder_window_has_time", condition=Q(ends_at__gt=F("starts_at"))),
            models.CheckConstraint(
                name="parentorder_participation_is_a_part",
                condition=Q(max_participation__gt=0, max_participation__lte=1),
            ),
            models.CheckConstraint(
                name="parentorder_offset_in_range",
                condition=Q(limit_offset_bps__isnull=True)
                | Q(limit_offset_bps__gte=0, limit_offset_bps__lte=MOST_OFFSET_BPS),
            ),
            models.CheckConstraint(
                name="parentorder_limit_price_positive",
                condition=Q(limit_price__isnull=True) | Q(limit_price__gt=0),
            ),
            models.CheckConstraint(
                name="parentorder_closed_at_when_over",
                condition=Q(status__in=sorted(PARENT_LIVE), closed_at__isnull=True)
                | Q(status__in=sorted(PARENT_OVER), closed_at__isnull=False),
            ),
        )
        indexes = (
            models.Index(
                name="parentorder_live", fields=["account", "id"], condition=Q(status__in=sorted(PARENT_LIVE))
            ),
            models.Index(name="parentorder_by_account", fields=["account", "-id"]),
        )

    def __str__(self) -> str:
        return f"{self.side} {self.quantity.normalize():f} by {self.algo} {self.client_order_id[:12]}"

    @property
    def is_live(self) -> bool:
        """Whether anything of it may still trade."""
        return self.status in PARENT_LIVE


class Slice(models.Model):
    """One part of a plan. Whoever sends it holds its claim: a fence that the record is written through."""

    parent = models.ForeignKey(ParentOrder, on_delete=models.PROTECT, related_name="slices", db_index=False)
    number = models.PositiveIntegerField(help_text="within the parent, never given twice")
    plan = models.PositiveIntegerField(default=1, help_text="plan that gave it its quantity")
    due_at = models.DateTimeField(help_text="market time")
    quantity = AmountField(help_text="shares")
    max_quantity = AmountField(help_text="shares; the most that it may take over from others")
    status = models.CharField(max_length=8, choices=SliceStatus.choices, default=SliceStatus.PLANNED)
    order = models.OneToOneField(
        "execution.Order", null=True, blank=True, on_delete=models.PROTECT, related_name="plan_slice"
    )
    claim = models.UUIDField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True, help_text="wall time")
    reason = models.CharField(max_length=500, blank=True, default="", db_default="")

    class Meta:
        ordering = ("parent", "number")
        constraints = (
            models.UniqueConstraint(name="slice_number_unique", fields=["parent", "number"]),
            # Two schedulers cannot both be sending for one parent, whatever they believe.
            models.UniqueConstraint(name="slice_one_claim", fields=["parent"], condition=Q(status="claimed")),
            models.CheckConstraint(name="slice_status_known", condition=Q(status__in=SliceStatus.values)),
            models.CheckConstraint(
                name="slice_quantity_within_max", condition=Q(quantity__gt=0, quantity__lte=F("max_quantity"))
            ),
            models.CheckConstraint(
                name="slice_claim_when_claimed",
                condition=Q(status="claimed", claim__isnull=False, claimed_until__isnull=False)
                | ~Q(status="claimed") & Q(claim__isnull=True, claimed_until__isnull=True),
            ),
            models.CheckConstraint(
                name="slice_order_when_sent", condition=~Q(status__in=["sent", "done"]) | Q(order__isnull=False)
            ),
        )
        indexes = (
            models.Index(
                name="slice_to_do", fields=["parent", "due_at"], condition=Q(status__in=["planned", "claimed", "sent"])
            ),
        )

    def __str__(self) -> str:
        return f"slice {self.number} of {self.parent_id}: {self.quantity.normalize():f} {self.status}"


class ParentEvent(models.Model):
    """Something that happened to a parent order, append-only; the database refuses a step the table does not know."""

    parent = models.ForeignKey(ParentOrder, on_delete=models.PROTECT, related_name="events", db_index=False)
    step = models.CharField(max_length=12, choices=ParentStep.choices)
    from_status = models.CharField(max_length=10, blank=True, choices=ParentStatus.choices)
    to_status = models.CharField(max_length=10, choices=ParentStatus.choices)
    actor = models.CharField(max_length=150, blank=True, default="", db_default="", help_text="user or process")
    detail = models.JSONField(default=dict)
    market_at = models.DateTimeField(help_text="market time")
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now(), help_text="wall time")

    class Meta:
        ordering = ("parent", "id")
        constraints = (
            models.CheckConstraint(name="parentevent_step_known", condition=Q(step__in=ParentStep.values)),
            models.CheckConstraint(name="parentevent_transition_allowed", condition=parent_step_allowed()),
            models.CheckConstraint(
                name="parentevent_first_creates",
                condition=Q(step="created", from_status="") | ~Q(step="created") & ~Q(from_status=""),
            ),
        )
        indexes = (models.Index(name="parentevent_by_parent", fields=["parent", "id"]),)

    def __str__(self) -> str:
        return f"{self.parent_id}: {self.step}"
