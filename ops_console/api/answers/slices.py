"""An order that is worked in slices, and its plan."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from rest_framework import serializers

from execution.models import ParentEvent, ParentOrder, Slice
from execution.parent_orders import Progress
from execution.services.slices import Preview
from execution.slicing.plan import PlannedSlice
from execution.slicing.states import Algo, ParentStatus, ParentStep, SliceStatus
from execution.states import OrderStatus
from ops_console.api.answers.parts import Answer, DecimalText, Instant, NullableDecimalText, Shape, page_of
from ops_console.api.openapi import DenialSerializer
from ops_console.api.wire import decimal_text, time_text
from risk.types import Side

CENTS = Decimal("0.0001")


class ParentSerializer(Shape):
    """One order that is worked in slices, as it stands now; what has filled is that of its orders."""

    client_order_id = serializers.CharField()
    strategy = serializers.CharField()
    symbol = serializers.CharField()
    side = serializers.ChoiceField(choices=Side.choices)
    quantity = DecimalText(help_text="Shares.")
    filled_quantity = DecimalText(help_text="Shares.")
    open_quantity = DecimalText(help_text="Shares that its orders may still trade.")
    left_quantity = DecimalText(help_text="Shares that are neither filled nor open.")
    average_fill_price = NullableDecimalText()
    algo = serializers.ChoiceField(choices=Algo.choices)
    status = serializers.ChoiceField(choices=ParentStatus.choices)
    reason = serializers.CharField(allow_blank=True)
    duration_minutes = serializers.IntegerField(help_text="As it was asked for.")
    starts_at = Instant(help_text="Market time.")
    ends_at = Instant(help_text="Market time; nothing of it trades later.")
    shortened = serializers.BooleanField(help_text="The session's end left less than was asked for.")
    max_participation = DecimalText(help_text="Largest part of the expected volume.")
    average_daily_volume = DecimalText(help_text="Shares, as known when it was planned.")
    curve_source = serializers.CharField(help_text="Where the expected volume comes from.")
    limit_price = NullableDecimalText()
    limit_offset_bps = NullableDecimalText()
    reduce_only = serializers.BooleanField()
    seed = serializers.CharField(help_text="What the parts that are drawn follow from.")
    plan = serializers.IntegerField(help_text="Number of the newest plan.")
    source_ref = serializers.CharField(allow_blank=True, help_text="Who or what wanted it.")
    market_at = Instant(help_text="Market time of the decision.")
    created_at = Instant(allow_null=True, help_text="Wall time.")
    closed_at = Instant(allow_null=True, help_text="Wall time it was over.")


class SliceSerializer(Shape):
    """One slice."""

    number = serializers.IntegerField()
    plan = serializers.IntegerField(help_text="Number of the plan that gave it its quantity.")
    due_at = Instant(help_text="Market time.")
    quantity = DecimalText(help_text="Shares.")
    max_quantity = DecimalText(help_text="Shares; the most that it may take over from others.")
    filled_quantity = DecimalText(help_text="Shares.")
    status = serializers.ChoiceField(choices=SliceStatus.choices)
    reason = serializers.CharField(allow_blank=True)
    client_order_id = serializers.CharField(allow_null=True, help_text="The order it has become.")
    order_status = serializers.ChoiceField(choices=OrderStatus.choices, allow_null=True)


class ParentEventSerializer(Shape):
    """Something that happened to it."""

    step = serializers.ChoiceField(choices=ParentStep.choices)
    from_status = serializers.CharField(allow_null=True)
    to_status = serializers.ChoiceField(choices=ParentStatus.choices)
    actor = serializers.CharField(allow_blank=True)
    detail = serializers.DictField()
    market_at = Instant(help_text="Market time.")
    created_at = Instant(help_text="Wall time.")


class ParentDetailSerializer(ParentSerializer):
    """The same with its slices and its newest events."""

    slices = SliceSerializer(many=True)
    events = ParentEventSerializer(many=True)


class ParentPreviewSerializer(Shape):
    """The plan as it would be now, and what the gate would say; nothing is stored."""

    accepted = serializers.BooleanField()
    denials = DenialSerializer(many=True)
    existing_client_order_id = serializers.CharField(
        allow_null=True, help_text="The order that sending this one would return instead of a new one."
    )
    parent = ParentSerializer()
    slices = SliceSerializer(many=True)


ParentPageSerializer = page_of(ParentSerializer, "ParentPageSerializer")


def parent_answer(parent: ParentOrder, done: Progress) -> Answer:
    """Return the order; its strategy and instrument must have come with it, or a query each goes out."""
    average = done.average_price
    return {
        "client_order_id": parent.client_order_id,
        "strategy": parent.strategy.name,
        "symbol": parent.instrument.symbol,
        "side": str(parent.side),
        "quantity": decimal_text(parent.quantity),
        "filled_quantity": decimal_text(done.filled),
        "open_quantity": decimal_text(done.open),
        "left_quantity": decimal_text(done.left(parent.quantity)),
        "average_fill_price": decimal_text(None if average is None else average.quantize(CENTS)),
        "algo": str(parent.algo),
        "status": str(parent.status),
        "reason": parent.reason,
        "duration_minutes": parent.duration_minutes,
        "starts_at": time_text(parent.starts_at),
        "ends_at": time_text(parent.ends_at),
        "shortened": parent.shortened,
        "max_participation": decimal_text(parent.max_participation),
        "average_daily_volume": decimal_text(parent.average_daily_volume),
        "curve_source": parent.curve_source,
        "limit_price": decimal_text(parent.limit_price),
        "limit_offset_bps": decimal_text(parent.limit_offset_bps),
        "reduce_only": parent.reduce_only,
        "seed": str(parent.seed),
        "plan": parent.plan,
        "source_ref": parent.source_ref,
        "market_at": time_text(parent.market_at),
        "created_at": time_text(parent.created_at) if parent.pk else None,
        "closed_at": time_text(parent.closed_at),
    }


def detail_answer(
    parent: ParentOrder, done: Progress, slices: Iterable[Slice], events: Iterable[ParentEvent]
) -> Answer:
    """Return the order with its slices (their orders read with them) and events."""
    return {
        **parent_answer(parent, done),
        "slices": [slice_answer(row) for row in slices],
        "events": [event_answer(event) for event in events],
    }


def slice_answer(row: Slice) -> Answer:
    """Return one slice."""
    order = row.order
    return {
        "number": row.number,
        "plan": row.plan,
        "due_at": time_text(row.due_at),
        "quantity": decimal_text(row.quantity),
        "max_quantity": decimal_text(row.max_quantity),
        "filled_quantity": decimal_text(order.filled_quantity if order else Decimal(0)),
        "status": str(row.status),
        "reason": row.reason,
        "client_order_id": order.client_order_id if order else None,
        "order_status": str(order.status) if order else None,
    }


def event_answer(event: ParentEvent) -> Answer:
    """Return one event."""
    return {
        "step": event.step,
        "from_status": event.from_status or None,
        "to_status": event.to_status,
        "actor": event.actor,
        "detail": event.detail,
        "market_at": time_text(event.market_at),
        "created_at": time_text(event.created_at),
    }


def preview_answer(seen: Preview, done: Mapping[int, Progress]) -> Answer:
    """Return the plan; of an order that is there already, the one that was stored."""
    return {
        "accepted": not seen.denials,
        "denials": [denial.as_dict() for denial in seen.denials],
        "existing_client_order_id": seen.existing.client_order_id if seen.existing else None,
        "parent": parent_answer(seen.parent, done.get(seen.parent.pk or 0, Progress())),
        "slices": planned_answer(seen.slices),
    }


def planned_answer(slices: Sequence[PlannedSlice]) -> list[Answer]:
    """Return slices that are not stored."""
    return [
        slice_answer(
            Slice(
                number=planned.number,
                due_at=planned.due_at,
                quantity=planned.quantity,
                max_quantity=planned.max_quantity,
            )
        )
        for planned in slices
    ]
