"""The exchange's rows as the port's values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import cast

from django.db.models import QuerySet

from execution.brokers.base import BrokerOrder, BrokerOrderStatus, BrokerReport, OrderTerms, ReportKind
from execution.models.paper import PaperOrder, PaperReport

PRICE_STEP = Decimal("0.00000001")


def nested_views(orders: Iterable[PaperOrder]) -> list[BrokerOrder]:
    """Return the orders as the port tells them, in their order, an entry with its legs."""
    rows = list(orders)
    entries = [order.pk for order in rows if order.order_class and not order.leg_role]
    legs: dict[int, list[BrokerOrder]] = defaultdict(list)
    if entries:
        for leg in PaperOrder.objects.filter(entry_id__in=entries).order_by("sequence"):
            legs[leg.entry_id or 0].append(order_view(leg))
    return [order_view(order, tuple(legs.get(order.pk, ()))) for order in rows]


def order_view(order: PaperOrder, legs: tuple[BrokerOrder, ...] = ()) -> BrokerOrder:
    """Return the order as the port tells it; the average price is to eight decimals."""
    average = (order.filled_notional / order.filled_quantity).quantize(PRICE_STEP) if order.filled_quantity else None
    return BrokerOrder(
        client_order_id=order.client_order_id,
        broker_order_id=str(order.broker_order_id),
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        status=cast("BrokerOrderStatus", str(order.status)),
        filled_quantity=order.filled_quantity,
        average_fill_price=average,
        updated_at=order.updated_at,
        reason=order.reason,
        role=order.leg_role,
        legs=legs,
        terms=OrderTerms(
            order_type=order.order_type,
            time_in_force=order.time_in_force,
            limit_price=order.limit_price,
            stop_price=order.stop_price,
            extended_hours=order.extended_hours,
            submitted_at=order.entered_at,
        ),
    )


def report_views(reports: QuerySet[PaperReport]) -> list[BrokerReport]:
    """Return the reports as the port tells them, in their order."""
    rows = reports.values_list(
        "sequence",
        "kind",
        "order__client_order_id",
        "order__broker_order_id",
        "at",
        "cumulative_quantity",
        "broker_execution_id",
        "quantity",
        "price",
        "fee",
        "reason",
    )
    return [
        BrokerReport(
            sequence=sequence,
            kind=cast("ReportKind", kind),
            client_order_id=client_order_id,
            broker_order_id=str(broker_order_id),
            at=at,
            cumulative_quantity=cumulative_quantity,
            broker_execution_id=None if execution_id is None else str(execution_id),
            quantity=quantity,
            price=price,
            fee=fee,
            reason=reason,
        )
        for (
            sequence,
            kind,
            client_order_id,
            broker_order_id,
            at,
            cumulative_quantity,
            execution_id,
            quantity,
            price,
            fee,
            reason,
        ) in rows
    ]
