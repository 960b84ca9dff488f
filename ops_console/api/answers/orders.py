"""An order, its events, its explanation, and what a preview says."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from rest_framework import serializers

from execution.models import Fill, Order, OrderEvent
from execution.services.orders import Judged
from execution.states import OPEN, OrderStatus
from ops_console.api.answers.parts import Answer, DecimalText, Instant, NullableDecimalText, Shape, names_of, page_of
from ops_console.api.openapi import DenialSerializer
from ops_console.api.wire import decimal_text, time_text
from risk.states import DecisionOutcome
from risk.types import OrderType, Origin, Side, TimeInForce


class OrderSerializer(Shape):
    """One order as it stands now."""

    client_order_id = serializers.CharField()
    broker_order_id = serializers.CharField(allow_null=True)
    strategy = serializers.CharField()
    symbol = serializers.CharField()
    side = serializers.ChoiceField(choices=Side.choices)
    quantity = DecimalText(help_text="Shares.")
    filled_quantity = DecimalText(help_text="Shares.")
    leaves_quantity = DecimalText(help_text="Shares that may still trade.")
    average_fill_price = NullableDecimalText()
    order_type = serializers.ChoiceField(choices=OrderType.choices)
    time_in_force = serializers.ChoiceField(choices=TimeInForce.choices)
    limit_price = NullableDecimalText()
    stop_price = NullableDecimalText()
    extended_hours = serializers.BooleanField()
    reduce_only = serializers.BooleanField()
    status = serializers.ChoiceField(choices=OrderStatus.choices)
    origin = serializers.ChoiceField(choices=Origin.choices)
    source_ref = serializers.CharField(allow_blank=True, help_text="Who or what wanted it.")
    replaces = serializers.CharField(allow_null=True, help_text="The order whose place this one is to take or took.")
    replaced_by = serializers.CharField(allow_null=True, help_text="The order that is to take this one's place or did.")
    total_quantity = NullableDecimalText(
        help_text="Of an order with new terms: its shares and what those before it have filled."
    )
    attempt = serializers.IntegerField(help_text="Counts the orders of the same wish on the same trading date.")
    reference_price = DecimalText(help_text="Last price when it was decided.")
    error_code = serializers.CharField(allow_null=True)
    error_message = serializers.CharField(allow_null=True)
    decision_id = serializers.IntegerField()
    trading_date = serializers.DateField(help_text="NYSE session of the market instant.")
    market_at = Instant(help_text="Market time of the decision.")
    created_at = Instant(help_text="Wall time.")
    submitted_at = Instant(allow_null=True, help_text="Wall time it was last sent.")
    closed_at = Instant(allow_null=True, help_text="Wall time it was over.")
    cancel_requested_at = Instant(allow_null=True, help_text="Wall time.")


class EventSerializer(Shape):
    """One step in an order's life."""

    sequence = serializers.IntegerField()
    from_status = serializers.CharField(allow_null=True)
    to_status = serializers.ChoiceField(choices=OrderStatus.choices)
    source = serializers.ChoiceField(choices=OrderEvent.Source.choices)  # type: ignore[assignment]
    actor = serializers.CharField(allow_blank=True)
    filled_quantity = DecimalText(help_text="Cumulative, after the step.")
    detail = serializers.DictField()
    market_at = Instant(help_text="Market time.")
    created_at = Instant(help_text="Wall time.")


class FillSerializer(Shape):
    """One execution."""

    broker_execution_id = serializers.CharField()
    side = serializers.ChoiceField(choices=Side.choices)
    quantity = DecimalText()
    price = DecimalText()
    fee = DecimalText()
    realized_pnl = DecimalText(help_text="Of what it closed, before fees.")
    trading_date = serializers.DateField()
    executed_at = Instant(help_text="Market time at the broker.")


class DecisionSerializer(Shape):
    """What the gate said, with all that it knew."""

    id = serializers.IntegerField()
    outcome = serializers.ChoiceField(choices=DecisionOutcome.choices)
    denials = DenialSerializer(many=True)
    warnings = DenialSerializer(many=True, help_text="Soft limits that an accepted order passes.")
    case = serializers.DictField(help_text="The numbers it was judged by, as text.")
    market_at = Instant()
    created_at = Instant()


class ExplanationSerializer(Shape):
    """Why an order is what it is."""

    order = OrderSerializer()
    decision = DecisionSerializer()
    events = EventSerializer(many=True)
    fills = FillSerializer(many=True)


class AlikeSerializer(Shape):
    """A held name that the order's name moved alike with lately."""

    symbol = serializers.CharField()
    coefficient = DecimalText(help_text="Pearson's, of daily returns.")


class PreviewSerializer(Shape):
    """What the gate would say now; a moment later it may say something else."""

    accepted = serializers.BooleanField()
    denials = DenialSerializer(many=True)
    warnings = DenialSerializer(many=True, help_text="Soft limits that an accepted order passes.")
    correlated_with = AlikeSerializer(
        many=True, help_text="Held names above max_correlation_pct, of a name that is not held yet: one bet, twice."
    )
    existing_client_order_id = serializers.CharField(
        allow_null=True, help_text="The order that sending this one would return instead of a new one."
    )
    reserve_price = NullableDecimalText(help_text="Price a share would be counted at.")
    notional = NullableDecimalText(help_text="Shares times that price.")
    position_before = NullableDecimalText(help_text="Shares the strategy holds.")
    position_after = NullableDecimalText(help_text="Shares once this and every open order of its side have filled.")
    gross_before = NullableDecimalText(help_text="The account's gross exposure, open orders at their worst.")
    equity = NullableDecimalText()
    last_price = NullableDecimalText()
    last_price_at = Instant(allow_null=True, help_text="Market time.")


class CancelAllSerializer(Shape):
    """What became of the open orders."""

    canceled = serializers.IntegerField(help_text="Never sent, canceled here.")
    cancel_requested = serializers.IntegerField(help_text="At the broker, cancel under way.")
    left_to_others = serializers.IntegerField(help_text="Open orders that are not ours and stay.")
    client_order_ids = serializers.ListField(child=serializers.CharField())


GIVES_WAY = frozenset({OrderStatus.PENDING_REPLACE, OrderStatus.REPLACED})
FAILED = (OrderStatus.DENIED, OrderStatus.REJECTED)

OrderPageSerializer = page_of(OrderSerializer, "OrderPageSerializer")
EventPageSerializer = page_of(EventSerializer, "EventPageSerializer")


def linked(orders: QuerySet[Order]) -> QuerySet[Order]:
    """Let every order know the id of the newest one that is to take its place, as `replaced_by`."""
    successors = Order.objects.filter(replaces=OuterRef("pk")).exclude(status__in=FAILED).order_by("-pk")
    return orders.annotate(replaced_by=Subquery(successors.values("client_order_id")[:1]))


def order_answer(order: Order) -> Answer:
    """Return the order; its strategy, instrument and original must have come with it, or a query each goes out."""
    leaves = order.quantity - order.filled_quantity if order.status in OPEN else Decimal(0)
    return {
        "client_order_id": order.client_order_id,
        "broker_order_id": order.broker_order_id or None,
        "strategy": order.strategy.name,
        "symbol": order.instrument.symbol,
        "side": order.side,
        "quantity": decimal_text(order.quantity),
        "filled_quantity": decimal_text(order.filled_quantity),
        "leaves_quantity": decimal_text(leaves),
        "average_fill_price": decimal_text(order.average_fill_price),
        "order_type": order.order_type,
        "time_in_force": order.time_in_force,
        "limit_price": decimal_text(order.limit_price),
        "stop_price": decimal_text(order.stop_price),
        "extended_hours": order.extended_hours,
        "reduce_only": order.reduce_only,
        "status": str(order.status),
        "origin": order.origin,
        "source_ref": order.source_ref,
        "replaces": order.replaces.client_order_id if order.replaces else None,
        "replaced_by": getattr(order, "replaced_by", None) if order.status in GIVES_WAY else None,
        "total_quantity": decimal_text(order.total_quantity),
        "attempt": order.attempt,
        "reference_price": decimal_text(order.reference_price),
        "error_code": order.error_code or None,
        "error_message": order.error_message or None,
        "decision_id": order.decision_id,
        "trading_date": order.trading_date,
        "market_at": time_text(order.market_at),
        "created_at": time_text(order.created_at),
        "submitted_at": time_text(order.submitted_at),
        "closed_at": time_text(order.closed_at),
        "cancel_requested_at": time_text(order.cancel_requested_at),
    }


def event_answer(event: OrderEvent) -> Answer:
    """Return one step."""
    return {
        "sequence": event.sequence,
        "from_status": event.from_status or None,
        "to_status": event.to_status,
        "source": event.source,
        "actor": event.actor,
        "filled_quantity": decimal_text(event.filled_quantity),
        "detail": event.detail,
        "market_at": time_text(event.market_at),
        "created_at": time_text(event.created_at),
    }


def fill_answer(fill: Fill) -> Answer:
    """Return one execution."""
    return {
        "broker_execution_id": fill.broker_execution_id,
        "side": fill.side,
        "quantity": decimal_text(fill.quantity),
        "price": decimal_text(fill.price),
        "fee": decimal_text(fill.fee),
        "realized_pnl": decimal_text(fill.realized_pnl),
        "trading_date": fill.trading_date,
        "executed_at": time_text(fill.executed_at),
    }


def explanation_answer(order: Order, events: Iterable[OrderEvent], fills: Iterable[Fill]) -> Answer:
    """Return the order with the gate's decision and everything that happened since."""
    decision = order.decision
    return {
        "order": order_answer(order),
        "decision": {
            "id": decision.pk,
            "outcome": decision.outcome,
            "denials": decision.denials,
            "warnings": decision.warnings,
            "case": decision.case,
            "market_at": time_text(decision.market_at),
            "created_at": time_text(decision.created_at),
        },
        "events": [event_answer(event) for event in events],
        "fills": [fill_answer(fill) for fill in fills],
    }


def preview_answer(judged: Judged, existing: str | None, alike: Sequence[tuple[str, Decimal]] = ()) -> Answer:
    """Return what the gate would say; the numbers are null when the order exists already."""
    case = judged.case
    numbers: dict[str, Any] = dict.fromkeys(PREVIEW_NUMBERS)
    if case is not None:
        line = case.book.strategy_line
        numbers = {
            "reserve_price": decimal_text(case.reserve_price) if case.reserve_price else None,
            "notional": decimal_text(case.notional) if case.reserve_price else None,
            "position_before": decimal_text(line.quantity),
            "position_after": decimal_text(line.projected_quantity(case.intent.sign) + case.intent.signed_quantity),
            "gross_before": decimal_text(case.book.account_totals.gross),
            "equity": decimal_text(case.book.equity),
            "last_price": decimal_text(case.price.last) if case.price else None,
            "last_price_at": time_text(case.price.at) if case.price else None,
        }
    return {
        "accepted": not judged.denials,
        "denials": [denial.as_dict() for denial in judged.denials],
        "warnings": [warning.as_dict() for warning in judged.warnings],
        "correlated_with": [{"symbol": symbol, "coefficient": decimal_text(value)} for symbol, value in alike],
        "existing_client_order_id": existing,
        **numbers,
    }


PREVIEW_NUMBERS = tuple(
    name
    for name in names_of(PreviewSerializer)
    if name not in {"accepted", "denials", "warnings", "correlated_with", "existing_client_order_id"}
)
