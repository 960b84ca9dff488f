"""What is held and what is reserved, per account, strategy and instrument."""

from decimal import Decimal

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from execution.models.accounts import Account, Strategy
from execution.models.fields import AmountField
from marketdata.models import CorporateAction, Instrument

ZERO = Decimal(0)


class Position(models.Model):
    """One line of a strategy's sub-ledger, with the reservations of its open orders.

    Average cost: `cost_basis` is signed like `quantity`; `cost_basis - realized_pnl` equals the sum of signed
    quantity times price over all fills, exactly. A cap holds while its side has open orders, so a lowered limit never
    stands in the way of an order that reduces.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="positions", db_index=False)
    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, related_name="positions", db_index=False)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="positions", db_index=False)
    quantity = AmountField(default=ZERO, db_default=ZERO, help_text="shares, negative when short")
    cost_basis = AmountField(default=ZERO, db_default=ZERO, help_text="signed like quantity, fees apart")
    realized_pnl = AmountField(default=ZERO, db_default=ZERO, help_text="of closed quantity, fees and dividends apart")
    fees = AmountField(default=ZERO, db_default=ZERO)
    dividends = AmountField(default=ZERO, db_default=ZERO, help_text="received, negative when paid on a short")
    open_buy_quantity = AmountField(default=ZERO, db_default=ZERO)
    open_sell_quantity = AmountField(default=ZERO, db_default=ZERO)
    open_buy_notional = AmountField(default=ZERO, db_default=ZERO)
    open_sell_notional = AmountField(default=ZERO, db_default=ZERO)
    reserved_loss = AmountField(default=ZERO, db_default=ZERO)
    open_order_count = models.IntegerField(default=0, db_default=0)
    long_cap = AmountField(default=ZERO, db_default=ZERO, help_text="shares; the limit in force when last raised")
    short_cap = AmountField(default=ZERO, db_default=ZERO, help_text="shares; the limit in force when last raised")
    current_price = AmountField(help_text="never null: the fill until a quote comes")
    current_price_at = models.DateTimeField(help_text="market time of the price")
    last_order_at = models.DateTimeField(null=True, blank=True, help_text="market time of the newest accepted order")
    turnover_on = models.DateField(null=True, blank=True, help_text="session that turnover belongs to")
    turnover = AmountField(default=ZERO, db_default=ZERO, help_text="value of the orders accepted in that session")
    message_minute = models.DateTimeField(null=True, blank=True, help_text="market minute that message_count is of")
    message_count = models.IntegerField(default=0, db_default=0, help_text="orders, new terms and cancels asked for")
    buy_run_until = models.DateTimeField(null=True, blank=True, help_text="market time; a run of buys starts anew then")
    buy_run_count = models.IntegerField(default=0, db_default=0, help_text="buys accepted in the run")
    sell_run_until = models.DateTimeField(null=True, blank=True, help_text="as buy_run_until")
    sell_run_count = models.IntegerField(default=0, db_default=0, help_text="sells accepted in the run")
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    class Meta:
        ordering = ("account", "strategy", "instrument")
        constraints = (
            models.UniqueConstraint(name="position_unique", fields=["account", "strategy", "instrument"]),
            models.CheckConstraint(
                name="position_long_within_cap",
                condition=Q(open_buy_quantity=0) | Q(long_cap__gte=F("quantity") + F("open_buy_quantity")),
            ),
            models.CheckConstraint(
                name="position_short_within_cap",
                condition=Q(open_sell_quantity=0) | Q(short_cap__gte=F("open_sell_quantity") - F("quantity")),
            ),
            models.CheckConstraint(
                name="position_reservations_not_negative",
                condition=Q(open_buy_quantity__gte=0)
                & Q(open_sell_quantity__gte=0)
                & Q(open_buy_notional__gte=0)
                & Q(open_sell_notional__gte=0)
                & Q(reserved_loss__gte=0)
                & Q(open_order_count__gte=0),
            ),
            models.CheckConstraint(
                name="position_cost_follows_quantity",
                condition=Q(quantity=0, cost_basis=0)
                | Q(quantity__gt=0, cost_basis__gte=0)
                | Q(quantity__lt=0, cost_basis__lte=0),
            ),
            models.CheckConstraint(name="position_price_positive", condition=Q(current_price__gt=0)),
            models.CheckConstraint(
                name="position_pace_not_negative",
                condition=Q(turnover__gte=0)
                & Q(message_count__gte=0)
                & Q(buy_run_count__gte=0)
                & Q(sell_run_count__gte=0),
            ),
        )

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.quantity.normalize():f}"


class PositionAdjustment(models.Model):
    """What a corporate action did to a position: append-only, once for each."""

    position = models.ForeignKey(Position, on_delete=models.PROTECT, related_name="adjustments", db_index=False)
    corporate_action = models.ForeignKey(CorporateAction, on_delete=models.PROTECT, related_name="+", db_index=False)
    quantity_before = AmountField()
    quantity_after = AmountField()
    cash_amount = AmountField(default=ZERO)
    trading_date = models.DateField()
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="positionadjustment_once", fields=["position", "corporate_action"]),
        )

    def __str__(self) -> str:
        return f"{self.position_id} {self.quantity_before.normalize():f} -> {self.quantity_after.normalize():f}"
