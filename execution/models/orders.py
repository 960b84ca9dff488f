"""What was ordered, and everything that happened to it."""

from decimal import Decimal

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from execution.models.accounts import Account, Strategy
from execution.models.fields import AmountField
from execution.states import OPEN, RESTING, TERMINAL, OrderStatus, allowed_transition, one_of
from marketdata.models import Instrument
from risk.models import Decision
from risk.types import OrderType, Origin, Side, TimeInForce


class OrderClass(models.TextChoices):
    """Orders that come as a group; a simple order has none."""

    BRACKET = "bracket", "bracket (entry, take profit, stop loss)"
    OCO = "oco", "one cancels the other"
    OTO = "oto", "one triggers the other"


class LegRole(models.TextChoices):
    TAKE_PROFIT = "take_profit", "take profit"
    STOP_LOSS = "stop_loss", "stop loss"


class Order(models.Model):
    """One order. Its open quantity is the reservation that the position row counts.

    `client_order_id` is ours and is what a broker is asked by; see `execution.identity`.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="orders", db_index=False)
    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, related_name="orders", db_index=False)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="orders", db_index=False)
    client_order_id = models.CharField(max_length=128)
    intent_key = models.CharField(max_length=64, help_text="SHA-256 of what is wanted, without the attempt")
    attempt = models.PositiveIntegerField(default=1)
    idempotency_key = models.CharField(max_length=128, blank=True, default="")
    broker_order_id = models.CharField(max_length=64, blank=True, default="")

    side = models.CharField(max_length=4, choices=Side.choices)
    quantity = AmountField(help_text="shares")
    order_type = models.CharField(max_length=12, choices=OrderType.choices)
    time_in_force = models.CharField(max_length=4, choices=TimeInForce.choices)
    limit_price = AmountField(null=True, blank=True)
    stop_price = AmountField(null=True, blank=True)
    extended_hours = models.BooleanField(default=False)
    reduce_only = models.BooleanField(default=False)
    origin = models.CharField(max_length=12, choices=Origin.choices)
    source_ref = models.CharField(max_length=64, blank=True, default="", help_text="e.g. the run that wanted it")
    parent = models.ForeignKey(
        "execution.ParentOrder",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="children",
        db_index=False,
        help_text="the order that it is a slice of",
    )
    slice_number = models.PositiveIntegerField(null=True, blank=True)

    order_class = models.CharField(max_length=8, blank=True, default="", db_default="", choices=OrderClass.choices)
    entry = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="legs",
        db_index=False,
        help_text="of a leg: the order whose fill lets it work (an OCO's: the order it works beside)",
    )
    leg_role = models.CharField(max_length=12, blank=True, default="", db_default="", choices=LegRole.choices)
    replaces = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="successors",
        db_index=False,
        help_text="the order whose terms this one changes; both live until the broker says which",
    )
    cover_quantity = AmountField(
        null=True,
        blank=True,
        help_text="shares that a successor holds instead of its own leaves, because its original's count as well",
    )
    total_quantity = AmountField(
        null=True,
        blank=True,
        help_text="of a successor sent as a replacement: its shares and all that the orders before it have filled",
    )

    status = models.CharField(max_length=16, choices=OrderStatus.choices)
    filled_quantity = AmountField(default=Decimal(0))
    average_fill_price = AmountField(null=True, blank=True)
    reserve_price = AmountField(help_text="price at which the open quantity is counted against limits")
    loss_per_share = AmountField(help_text="what the order may lose at once, counted against the daily loss")
    reference_price = AmountField(help_text="last price when it was decided")
    event_count = models.PositiveIntegerField(default=1, help_text="sequence of the newest event")
    error_code = models.CharField(max_length=64, blank=True, default="")
    error_message = models.TextField(blank=True, default="")
    decision = models.OneToOneField(Decision, on_delete=models.PROTECT, related_name="order")

    trading_date = models.DateField(help_text="NYSE session of the market instant")
    market_at = models.DateTimeField(help_text="market time of the decision")
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())
    submitted_at = models.DateTimeField(null=True, blank=True, help_text="wall time of the last claim")
    closed_at = models.DateTimeField(null=True, blank=True, help_text="wall time")
    cancel_requested_at = models.DateTimeField(null=True, blank=True, help_text="wall time")
    cancel_sent_at = models.DateTimeField(null=True, blank=True, help_text="wall time")

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="order_client_id_unique", fields=["account", "client_order_id"]),
            models.UniqueConstraint(name="order_attempt_unique", fields=["account", "intent_key", "attempt"]),
            models.UniqueConstraint(
                name="order_idempotency_key_unique",
                fields=["account", "idempotency_key"],
                condition=~Q(idempotency_key=""),
            ),
            models.UniqueConstraint(
                name="order_broker_id_unique", fields=["account", "broker_order_id"], condition=~Q(broker_order_id="")
            ),
            models.CheckConstraint(name="order_status_known", condition=Q(status__regex=one_of(OrderStatus))),
            models.CheckConstraint(name="order_side_known", condition=Q(side__in=Side.values)),
            models.CheckConstraint(name="order_type_known", condition=Q(order_type__in=OrderType.values)),
            models.CheckConstraint(name="order_tif_known", condition=Q(time_in_force__in=TimeInForce.values)),
            models.CheckConstraint(name="order_origin_known", condition=Q(origin__in=Origin.values)),
            models.CheckConstraint(name="order_quantity_positive", condition=Q(quantity__gt=0)),
            models.CheckConstraint(
                name="order_filled_within_quantity",
                condition=Q(filled_quantity__gte=0) & Q(filled_quantity__lte=F("quantity")),
            ),
            models.CheckConstraint(
                name="order_filled_means_all", condition=~Q(status="filled") | Q(filled_quantity=F("quantity"))
            ),
            models.CheckConstraint(
                name="order_average_price_with_fills",
                condition=Q(filled_quantity=0, average_fill_price__isnull=True)
                | Q(filled_quantity__gt=0, average_fill_price__isnull=False, average_fill_price__gt=0),
            ),
            models.CheckConstraint(
                name="order_limit_price_when_limit",
                condition=Q(order_type__in=["limit", "stop_limit"], limit_price__isnull=False, limit_price__gt=0)
                | Q(order_type__in=["market", "stop"], limit_price__isnull=True),
            ),
            models.CheckConstraint(
                name="order_stop_price_when_stop",
                condition=Q(order_type__in=["stop", "stop_limit"], stop_price__isnull=False, stop_price__gt=0)
                | Q(order_type__in=["market", "limit"], stop_price__isnull=True),
            ),
            models.CheckConstraint(
                name="order_closed_at_when_terminal",
                condition=Q(status__regex=one_of(OPEN), closed_at__isnull=True)
                | Q(status__regex=one_of(TERMINAL), closed_at__isnull=False),
            ),
            models.CheckConstraint(
                name="order_class_known", condition=Q(order_class="") | Q(order_class__in=OrderClass.values)
            ),
            models.CheckConstraint(
                name="order_leg_has_entry",
                condition=Q(entry__isnull=True, leg_role="")
                | Q(entry__isnull=False, leg_role__in=LegRole.values) & ~Q(order_class=""),
            ),
            models.CheckConstraint(
                name="order_cover_is_of_successor",
                condition=Q(cover_quantity__isnull=True) | Q(cover_quantity__gt=0, replaces__isnull=False),
            ),
            models.CheckConstraint(
                name="order_total_is_of_successor",
                condition=Q(total_quantity__isnull=True) | Q(total_quantity__gte=F("quantity"), replaces__isnull=False),
            ),
            models.CheckConstraint(name="order_attempt_positive", condition=Q(attempt__gte=1)),
            models.CheckConstraint(
                name="order_slice_has_parent",
                condition=Q(parent__isnull=True, slice_number__isnull=True)
                | Q(parent__isnull=False, slice_number__isnull=False),
            ),
            # The index of a parent's children as well; that they fit into it is a trigger's to see to.
            models.UniqueConstraint(
                name="order_slice_unique", fields=["parent", "slice_number"], condition=Q(parent__isnull=False)
            ),
        )
        indexes = (
            models.Index(name="order_open", fields=["account", "id"], condition=Q(status__in=sorted(OPEN))),
            models.Index(name="order_by_instrument", fields=["account", "instrument", "id"]),
            models.Index(name="order_by_strategy", fields=["account", "strategy", "id"]),
            models.Index(name="order_legs", fields=["entry"], condition=Q(entry__isnull=False)),
            models.Index(name="order_successors", fields=["replaces"], condition=Q(replaces__isnull=False)),
            models.Index(name="order_by_date", fields=["account", "trading_date"]),
            models.Index(
                name="order_resting_limits",
                fields=["account", "instrument", "side", "limit_price"],
                condition=Q(status__in=sorted(RESTING), order_type="limit"),
            ),
        )

    def __str__(self) -> str:
        return f"{self.side} {self.quantity.normalize():f} {self.order_type} {self.client_order_id[:12]}"

    @property
    def leaves_quantity(self) -> Decimal:
        """Shares that may still be bought or sold; 0 once the order is over."""
        return self.quantity - self.filled_quantity if self.status in OPEN else Decimal(0)

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self.side == Side.BUY else -1

    @property
    def is_open(self) -> bool:
        """Whether the order can still trade."""
        return self.status in OPEN


class OrderEvent(models.Model):
    """One step in an order's life, append-only; the database refuses a step the table does not know."""

    class Source(models.TextChoices):
        GATE = "gate", "the gate"
        DISPATCH = "dispatch", "our dispatcher"
        BROKER = "broker", "the broker's answer or report"
        RECOVERY = "recovery", "recovery"
        OPERATOR = "operator", "an operator"
        SYSTEM = "system", "the system"

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="events", db_index=False)
    sequence = models.PositiveIntegerField()
    from_status = models.CharField(max_length=16, blank=True, choices=OrderStatus.choices)
    to_status = models.CharField(max_length=16, choices=OrderStatus.choices)
    source = models.CharField(max_length=8, choices=Source.choices)
    actor = models.CharField(max_length=150, blank=True, default="", help_text="user or process")
    filled_quantity = AmountField(default=Decimal(0), help_text="cumulative, after this step")
    detail = models.JSONField(default=dict)
    market_at = models.DateTimeField(help_text="market time")
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now(), help_text="wall time")

    class Meta:
        ordering = ("order", "sequence")
        constraints = (
            models.UniqueConstraint(name="orderevent_sequence_unique", fields=["order", "sequence"]),
            models.CheckConstraint(name="orderevent_transition_allowed", condition=allowed_transition()),
            models.CheckConstraint(
                name="orderevent_first_creates",
                condition=Q(sequence=1, from_status="") | (Q(sequence__gt=1) & ~Q(from_status="")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.order_id}#{self.sequence} {self.from_status or 'new'} -> {self.to_status}"
