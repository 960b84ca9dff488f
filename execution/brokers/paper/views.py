"""The exchange's rows as the port's values."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

from execution.brokers.base import BrokerOrder, BrokerOrderStatus, BrokerReport, ReportKind
from execution.models.paper import PaperOrder, PaperReport

PRICE_STEP = Decimal("0.00000001")


def order_view(order: PaperOrder) -> BrokerOrder:
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
    )


def report_view(report: PaperReport) -> BrokerReport:
    """Return the report as the port tells it."""
    return BrokerReport(
        sequence=report.sequence,
        kind=cast("ReportKind", report.kind),
        client_order_id=report.order.client_order_id,
        broker_order_id=str(report.order.broker_order_id),
        at=report.at,
        broker_execution_id=None if report.broker_execution_id is None else str(report.broker_execution_id),
        quantity=report.quantity,
        price=report.price,
        fee=report.fee,
        cumulative_quantity=report.cumulative_quantity,
        reason=report.reason,
    )
