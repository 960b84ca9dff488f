"""The built-in exchange's own books: the other side of every paper account.

Nothing here refers to the ledger: a venue knows an account by its name and an order by its client_order_id, as an
outside broker would, so that both books can be reconciled against each other.
"""

from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from execution.models.fields import AmountField
from risk.types import OrderType, Side, TimeInForce

ZERO = Decimal(0)


class VenueAmountField(AmountField):
    """Money as NUMERIC(28, 8): one order of the largest size at the highest price fits into it, and many of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_digits"] = 28
        super().__init__(*args, **kwargs)


class RateField(AmountField):
    """A setting of a cost model, 0 or more."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"max_digits": 16, "default": ZERO, **kwargs})


class PaperVenue(models.Model):
    """One account at the exchange, its settings, its cash and the counters of its orders and reports.

    The row is the venue's lock: entry, cancel, advance and corporate actions take it first.
    """

    class Slippage(models.TextChoices):
        NONE = "none", "none"
        FIXED_BPS = "fixed_bps", "fixed, in basis points"
        SQUARE_ROOT = "square_root", "square root of the share of volume"

    class Commission(models.TextChoices):
        FREE = "free", "free"
        PER_SHARE = "per_share", "per share, with a minimum and a maximum an order"
        BPS = "bps", "basis points of the traded value"

    account_name = models.CharField(max_length=64, unique=True)
    starting_cash = VenueAmountField()
    cash = VenueAmountField()
    participation = models.DecimalField(
        max_digits=5, decimal_places=4, default=Decimal("0.10"), help_text="our largest share of an event's volume"
    )
    slippage_model = models.CharField(max_length=12, choices=Slippage.choices, default=Slippage.NONE)
    slippage_bps = RateField(help_text="fixed_bps: basis points of the price")
    slippage_coefficient = RateField(default=Decimal(1), help_text="square_root: the factor Y")
    daily_volatility_bps = RateField(default=Decimal(200), help_text="square_root: daily volatility")
    commission_model = models.CharField(max_length=12, choices=Commission.choices, default=Commission.FREE)
    commission_per_share = RateField(help_text="per_share: account currency")
    commission_minimum = RateField(help_text="per_share: account currency an order")
    commission_max_bps = RateField(null=True, blank=True, default=None, help_text="per_share: of the order's value")
    commission_bps = RateField(help_text="bps: of the traded value")
    sec_fee_rate = RateField(help_text="fraction of a sale's value")
    taf_per_share = RateField(help_text="account currency a share sold")
    taf_maximum = RateField(help_text="account currency an execution; 0 means no maximum")
    order_count = models.BigIntegerField(default=0, help_text="sequence of the newest order")
    report_count = models.BigIntegerField(default=0, help_text="sequence of the newest report")
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="papervenue_participation_range", condition=Q(participation__gt=0) & Q(participation__lte=1)
            ),
            models.CheckConstraint(
                name="papervenue_slippage_known", condition=Q(slippage_model__in=["none", "fixed_bps", "square_root"])
            ),
            models.CheckConstraint(
                name="papervenue_commission_known", condition=Q(commission_model__in=["free", "per_share", "bps"])
            ),
            models.CheckConstraint(
                name="papervenue_slippage_range",
                condition=Q(slippage_bps__gte=0, slippage_coefficient__gte=0, daily_volatility_bps__gte=0)
                & Q(slippage_bps__lte=1000, slippage_coefficient__lte=100, daily_volatility_bps__lte=10_000),
            ),
            models.CheckConstraint(
                name="papervenue_fees_range",
                condition=Q(commission_per_share__gte=0, commission_minimum__gte=0, commission_bps__gte=0)
                & Q(sec_fee_rate__gte=0, taf_per_share__gte=0, taf_maximum__gte=0)
                & (Q(commission_max_bps__isnull=True) | Q(commission_max_bps__gte=0)),
            ),
            models.CheckConstraint(
                name="papervenue_counts_not_negative", condition=Q(order_count__gte=0) & Q(report_count__gte=0)
            ),
        )

    def __str__(self) -> str:
        return self.account_name


class PaperOrder(models.Model):
    """One order at the exchange: what was entered, and where it stands.

    A CHECK lets NULL pass, so every comparison of a nullable column says that it must not be null as well.
    """

    class Status(models.TextChoices):
        HELD = "held", "held"
        ACCEPTED = "accepted", "accepted"
        PARTIALLY_FILLED = "partially_filled", "partially filled"
        FILLED = "filled", "filled"
        CANCELED = "canceled", "canceled"
        EXPIRED = "expired", "expired"
        REPLACED = "replaced", "replaced"

    WORKING = (Status.ACCEPTED.value, Status.PARTIALLY_FILLED.value)

    venue = models.ForeignKey(PaperVenue, on_delete=models.PROTECT, related_name="orders", db_index=False)
    sequence = models.BigIntegerField(help_text="place in time, from 1")
    client_order_id = models.CharField(max_length=128)
    broker_order_id = models.UUIDField(unique=True, help_text="derived from the venue and the client_order_id")
    symbol = models.CharField(max_length=32)
    side = models.CharField(max_length=4, choices=Side.choices)
    order_type = models.CharField(max_length=12, choices=OrderType.choices)
    time_in_force = models.CharField(max_length=4, choices=TimeInForce.choices)
    quantity = AmountField(help_text="shares")
    limit_price = AmountField(null=True, blank=True)
    stop_price = AmountField(null=True, blank=True)
    extended_hours = models.BooleanField(default=False)
    order_class = models.CharField(max_length=8, blank=True, default="", db_default="")
    leg_role = models.CharField(max_length=12, blank=True, default="", db_default="")
    entry = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="legs", db_index=False
    )
    replaces = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="successors", db_index=False
    )
    session_date = models.DateField(help_text="session it was entered for")
    entered_at = models.DateTimeField(help_text="market time")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACCEPTED)
    triggered = models.BooleanField(default=False, help_text="its stop was reached")
    active_after = models.DateTimeField(help_text="market time of the entry or the last change; later events count")
    filled_quantity = AmountField(default=ZERO)
    filled_notional = VenueAmountField(default=ZERO)
    fees = VenueAmountField(default=ZERO)
    execution_count = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(help_text="market time")
    reason = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="paperorder_client_id_unique", fields=["venue", "client_order_id"]),
            models.UniqueConstraint(name="paperorder_sequence_unique", fields=["venue", "sequence"]),
            models.CheckConstraint(name="paperorder_side_known", condition=Q(side__in=Side.values)),
            models.CheckConstraint(name="paperorder_type_known", condition=Q(order_type__in=OrderType.values)),
            models.CheckConstraint(name="paperorder_tif_known", condition=Q(time_in_force__in=TimeInForce.values)),
            models.CheckConstraint(name="paperorder_quantity_positive", condition=Q(quantity__gt=0)),
            models.CheckConstraint(
                name="paperorder_limit_price_when_limit",
                condition=Q(order_type__in=["limit", "stop_limit"], limit_price__isnull=False, limit_price__gt=0)
                | Q(order_type__in=["market", "stop"], limit_price__isnull=True),
            ),
            models.CheckConstraint(
                name="paperorder_stop_price_when_stop",
                condition=Q(order_type__in=["stop", "stop_limit"], stop_price__isnull=False, stop_price__gt=0)
                | Q(order_type__in=["market", "limit"], stop_price__isnull=True),
            ),
            models.CheckConstraint(
                name="paperorder_status_agrees_with_fills",
                condition=Q(status__in=["accepted", "held"], filled_quantity=0)
                | Q(status="partially_filled", filled_quantity__gt=0, filled_quantity__lt=F("quantity"))
                | Q(status="filled", filled_quantity=F("quantity"))
                | Q(
                    status__in=["canceled", "expired", "replaced"],
                    filled_quantity__gte=0,
                    filled_quantity__lt=F("quantity"),
                ),
            ),
            models.CheckConstraint(
                name="paperorder_leg_has_entry",
                condition=Q(entry__isnull=True, leg_role="")
                | Q(entry__isnull=False, leg_role__in=["take_profit", "stop_loss"]) & ~Q(order_class=""),
            ),
            models.CheckConstraint(
                name="paperorder_class_known", condition=Q(order_class__in=["", "bracket", "oco", "oto"])
            ),
            models.CheckConstraint(
                name="paperorder_executions_agree",
                condition=Q(filled_quantity=0, filled_notional=0, execution_count=0)
                | Q(filled_quantity__gt=0, filled_notional__gt=0, execution_count__gt=0),
            ),
        )
        indexes = (
            models.Index(
                name="paperorder_working",
                fields=["venue", "symbol", "sequence"],
                condition=Q(status__in=["accepted", "partially_filled"]),
            ),
            models.Index(name="paperorder_legs", fields=["entry"], condition=Q(entry__isnull=False)),
        )

    def __str__(self) -> str:
        return f"{self.side} {self.quantity.normalize():f} {self.symbol} {self.client_order_id[:12]}"


class PaperReport(models.Model):
    """One thing the exchange told about an order: append-only, numbered without gaps under the venue's lock."""

    class Kind(models.TextChoices):
        ACCEPTED = "accepted", "accepted"
        FILL = "fill", "fill"
        CANCELED = "canceled", "canceled"
        EXPIRED = "expired", "expired"
        REPLACED = "replaced", "replaced"

    venue = models.ForeignKey(PaperVenue, on_delete=models.PROTECT, related_name="reports", db_index=False)
    sequence = models.BigIntegerField()
    order = models.ForeignKey(PaperOrder, on_delete=models.PROTECT, related_name="reports")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    at = models.DateTimeField(help_text="market time")
    broker_execution_id = models.UUIDField(null=True, unique=True, help_text="derived from the order and its count")
    quantity = AmountField(null=True, help_text="shares of this execution")
    price = AmountField(null=True)
    fee = VenueAmountField(null=True)
    cumulative_quantity = AmountField(help_text="shares of the order executed so far")
    reason = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="paperreport_sequence_unique", fields=["venue", "sequence"]),
            models.CheckConstraint(
                name="paperreport_fill_has_numbers",
                condition=Q(
                    kind="fill",
                    broker_execution_id__isnull=False,
                    quantity__isnull=False,
                    quantity__gt=0,
                    price__isnull=False,
                    price__gt=0,
                    fee__isnull=False,
                    fee__gte=0,
                )
                | Q(
                    kind__in=["accepted", "canceled", "expired", "replaced"],
                    broker_execution_id__isnull=True,
                    quantity__isnull=True,
                    price__isnull=True,
                    fee__isnull=True,
                ),
            ),
        )

    def __str__(self) -> str:
        return f"#{self.sequence} {self.kind}"


class PaperPosition(models.Model):
    """What the account holds at the exchange, at average cost; the broker's own truth."""

    venue = models.ForeignKey(PaperVenue, on_delete=models.PROTECT, related_name="positions", db_index=False)
    symbol = models.CharField(max_length=32)
    quantity = AmountField(default=ZERO, help_text="shares, negative when short")
    average_price = AmountField(default=ZERO)

    class Meta:
        ordering = ("symbol",)
        constraints = (
            models.UniqueConstraint(name="paperposition_unique", fields=["venue", "symbol"]),
            models.CheckConstraint(
                name="paperposition_price_when_held",
                condition=Q(quantity=0, average_price=0) | (~Q(quantity=0) & Q(average_price__gt=0)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.symbol} {self.quantity.normalize():f}"


class PaperMark(models.Model):
    """How far a symbol's events of one kind have been worked; written only when an event changed something.

    What changed nothing may be told again and changes nothing again, see `execution.matching.engine`.
    """

    class Kind(models.TextChoices):
        OPENING_AUCTION = "opening_auction", "opening auction"
        TICK = "tick", "tick"
        CLOSING_AUCTION = "closing_auction", "closing auction"

    venue = models.ForeignKey(PaperVenue, on_delete=models.PROTECT, related_name="marks", db_index=False)
    symbol = models.CharField(max_length=32)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    at = models.DateTimeField(help_text="market time of the newest event that counted")

    class Meta:
        constraints = (
            models.UniqueConstraint(name="papermark_unique", fields=["venue", "symbol", "kind"]),
            models.CheckConstraint(
                name="papermark_kind_known", condition=Q(kind__in=["opening_auction", "tick", "closing_auction"])
            ),
        )

    def __str__(self) -> str:
        return f"{self.symbol} {self.kind} {self.at:%Y-%m-%dT%H:%M:%SZ}"


class PaperCorporateAction(models.Model):
    """A split or dividend applied to the venue's book: append-only, each once."""

    class Kind(models.TextChoices):
        SPLIT = "split", "split"
        DIVIDEND = "dividend", "dividend"

    venue = models.ForeignKey(PaperVenue, on_delete=models.PROTECT, related_name="corporate_actions", db_index=False)
    symbol = models.CharField(max_length=32)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    ex_date = models.DateField()
    value = AmountField(help_text="split: new shares for an old one; dividend: account currency a share")
    quantity_before = AmountField(help_text="shares held when it was applied")
    cash_amount = VenueAmountField(default=ZERO, help_text="account currency, negative when a short position pays")
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="papercorporateaction_once", fields=["venue", "symbol", "kind", "ex_date"]),
            models.CheckConstraint(name="papercorporateaction_kind_known", condition=Q(kind__in=["split", "dividend"])),
            models.CheckConstraint(name="papercorporateaction_value_positive", condition=Q(value__gt=0)),
        )

    def __str__(self) -> str:
        return f"{self.symbol} {self.kind} {self.ex_date}"
