"""What was executed and how cash moved: append-only."""

from decimal import Decimal

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from execution.models.accounts import Account, Strategy
from execution.models.fields import AmountField
from execution.models.orders import Order
from marketdata.models import Instrument
from risk.types import Side


class Fill(models.Model):
    """One execution as the broker reported it, stored once whatever path it came by."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="fills", db_index=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="fills")
    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, related_name="fills", db_index=False)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="fills", db_index=False)
    broker_execution_id = models.CharField(max_length=96)
    side = models.CharField(max_length=4, choices=Side.choices)
    quantity = AmountField(help_text="shares")
    price = AmountField(help_text="account currency a share")
    fee = AmountField(default=Decimal(0))
    realized_pnl = AmountField(help_text="of the part that closed something, before fees")
    trading_date = models.DateField()
    executed_at = models.DateTimeField(help_text="market time at the broker")
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())

    class Meta:
        ordering = ("-id",)
        constraints = (
            # Venues have given one execution id to several orders.
            models.UniqueConstraint(name="fill_execution_unique", fields=["order", "broker_execution_id"]),
            models.CheckConstraint(name="fill_side_known", condition=Q(side__in=Side.values)),
            models.CheckConstraint(name="fill_quantity_positive", condition=Q(quantity__gt=0)),
            models.CheckConstraint(name="fill_price_positive", condition=Q(price__gt=0)),
        )
        indexes = (models.Index(name="fill_by_date", fields=["account", "trading_date"]),)

    def __str__(self) -> str:
        return f"{self.side} {self.quantity.normalize():f} @ {self.price.normalize():f}"


class CashEntry(models.Model):
    """One movement of cash; the account's cash is their sum."""

    class Kind(models.TextChoices):
        DEPOSIT = "deposit", "deposit, in cash or in kind"
        WITHDRAWAL = "withdrawal", "withdrawal"
        TRADE = "trade", "bought or sold"
        FEE = "fee", "commission or fee"
        DIVIDEND = "dividend", "dividend"
        INTEREST = "interest", "interest"
        OTHER = "other", "told by the broker in words of its own"

    TRANSFERS = (Kind.DEPOSIT, Kind.WITHDRAWAL)

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="cash_entries", db_index=False)
    strategy = models.ForeignKey(
        Strategy, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    fill = models.ForeignKey(Fill, null=True, blank=True, on_delete=models.PROTECT, related_name="cash_entries")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    amount = AmountField(help_text="account currency, positive when cash comes in")
    base_amount = AmountField(
        null=True,
        blank=True,
        help_text="of a transfer in kind: its value at the market, by which the base of the day's loss moves",
    )
    reference = models.CharField(max_length=96, help_text="what makes the entry happen once")
    trading_date = models.DateField()
    market_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "cash entries"
        constraints = (
            models.UniqueConstraint(
                name="cashentry_once", fields=["account", "kind", "reference"], condition=Q(fill__isnull=True)
            ),
            models.UniqueConstraint(
                name="cashentry_fill_once", fields=["fill", "kind"], condition=Q(fill__isnull=False)
            ),
            models.CheckConstraint(
                name="cashentry_kind_known",
                condition=Q(kind__in=["deposit", "withdrawal", "trade", "fee", "dividend", "interest", "other"]),
            ),
            models.CheckConstraint(
                name="cashentry_trade_has_fill",
                condition=Q(kind="trade", fill__isnull=False)
                | Q(kind="fee")
                | Q(kind__in=["deposit", "withdrawal", "dividend", "interest", "other"], fill__isnull=True),
            ),
            models.CheckConstraint(
                name="cashentry_base_is_of_transfer",
                condition=Q(base_amount__isnull=True) | Q(kind__in=["deposit", "withdrawal"]),
            ),
        )
        indexes = (
            models.Index(name="cashentry_by_date", fields=["account", "trading_date"]),
            models.Index(
                name="cashentry_transfers",
                fields=["account", "trading_date"],
                condition=Q(kind__in=["deposit", "withdrawal"]),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.amount.normalize():f}"


class RefusedReport(models.Model):
    """A broker report that could not be booked (unknown order, overfill): kept whole, never dropped."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="refused_reports")
    sequence = models.BigIntegerField()
    reason = models.CharField(max_length=64)
    payload = models.JSONField(encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())

    class Meta:
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(name="refusedreport_once", fields=["account", "sequence"]),)

    def __str__(self) -> str:
        return f"{self.reason} #{self.sequence}"
