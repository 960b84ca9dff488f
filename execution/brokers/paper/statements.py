"""The exchange's writes, one statement each.

A day of orders is a handful of round trips this way, and a statement is all or nothing by itself. Rows travel as one
array a column; what a column is called is said by the models (`execution.models.paper`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from execution.matching.holdings import Holding
from execution.models.paper import PaperOrder, PaperVenue

ENTER_ORDERS = """
WITH entered AS (
    INSERT INTO execution_paperorder (
        venue_id, sequence, client_order_id, broker_order_id, symbol, side, order_type, time_in_force, quantity,
        limit_price, stop_price, extended_hours, session_date, entered_at, active_after, updated_at,
        status, triggered, filled_quantity, filled_notional, fees, execution_count, reason
    )
    SELECT %s, new.*, 'accepted', false, 0, 0, 0, 0, ''
    FROM unnest(
        %s::bigint[], %s::text[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::numeric[],
        %s::numeric[], %s::numeric[], %s::boolean[], %s::date[], %s::timestamptz[], %s::timestamptz[],
        %s::timestamptz[]
    ) AS new
    RETURNING id, sequence, entered_at
), told AS (
    INSERT INTO execution_paperreport (venue_id, sequence, order_id, kind, at, cumulative_quantity, reason)
    SELECT %s, entered.sequence + %s, entered.id, 'accepted', entered.entered_at, 0, '' FROM entered
)
UPDATE execution_papervenue SET order_count = %s, report_count = %s WHERE id = %s
"""
ENTERED = (
    "sequence",
    "client_order_id",
    "broker_order_id",
    "symbol",
    "side",
    "order_type",
    "time_in_force",
    "quantity",
    "limit_price",
    "stop_price",
    "extended_hours",
    "session_date",
    "entered_at",
    "active_after",
    "updated_at",
)

RECORD_OUTCOMES = """
WITH worked AS (
    UPDATE execution_paperorder AS stored
    SET status = new.status, triggered = new.triggered, active_after = new.active_after,
        filled_quantity = new.filled_quantity, filled_notional = new.filled_notional, fees = new.fees,
        execution_count = new.execution_count, updated_at = new.updated_at, reason = new.reason
    FROM unnest(
        %s::bigint[], %s::text[], %s::boolean[], %s::timestamptz[], %s::numeric[], %s::numeric[], %s::numeric[],
        %s::integer[], %s::timestamptz[], %s::text[]
    ) AS new (
        id, status, triggered, active_after, filled_quantity, filled_notional, fees, execution_count, updated_at, reason
    )
    WHERE stored.id = new.id
), told AS (
    INSERT INTO execution_paperreport (
        venue_id, sequence, order_id, kind, at, broker_execution_id, quantity, price, fee, cumulative_quantity, reason
    )
    SELECT %s, new.* FROM unnest(
        %s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[], %s::uuid[], %s::numeric[], %s::numeric[],
        %s::numeric[], %s::numeric[], %s::text[]
    ) AS new
), marked AS (
    INSERT INTO execution_papermark (venue_id, symbol, kind, at)
    SELECT %s, new.* FROM unnest(%s::text[], %s::text[], %s::timestamptz[]) AS new
    ON CONFLICT (venue_id, symbol, kind) DO UPDATE SET at = excluded.at
), held AS (
    INSERT INTO execution_paperposition (venue_id, symbol, quantity, average_price)
    SELECT %s, new.* FROM unnest(%s::text[], %s::numeric[], %s::numeric[]) AS new
    ON CONFLICT (venue_id, symbol) DO UPDATE
    SET quantity = excluded.quantity, average_price = excluded.average_price
)
UPDATE execution_papervenue SET cash = %s, report_count = %s WHERE id = %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """Columns of an order that events move."""

    id: int
    status: str
    triggered: bool
    active_after: datetime
    filled_quantity: Decimal
    filled_notional: Decimal
    fees: Decimal
    execution_count: int
    updated_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Columns of a report, but for the venue's."""

    sequence: int
    order_id: int
    kind: str
    at: datetime
    broker_execution_id: UUID | None
    quantity: Decimal | None
    price: Decimal | None
    fee: Decimal | None
    cumulative_quantity: Decimal
    reason: str


WORKED = tuple(column.name for column in fields(Worked))
TOLD = tuple(column.name for column in fields(Told))


def insert_entries(venue: PaperVenue, orders: Sequence[PaperOrder]) -> None:
    """Insert new orders with a report each and move the venue's counters, which already count the orders."""
    before = venue.order_count - len(orders)
    offset = venue.report_count - before
    venue.report_count += len(orders)
    execute(
        ENTER_ORDERS,
        [venue.pk, *columns(orders, ENTERED), venue.pk, offset, venue.order_count, venue.report_count, venue.pk],
    )


def record_outcomes(
    venue: PaperVenue,
    *,
    worked: Sequence[Worked],
    told: Sequence[Told],
    marks: Sequence[tuple[str, str, datetime]],
    holdings: dict[str, Holding],
) -> None:
    """Write what has happened to orders, with reports, marks, positions, cash and the report counter."""
    execute(
        RECORD_OUTCOMES,
        [
            *columns(worked, WORKED),
            venue.pk,
            *columns(told, TOLD),
            venue.pk,
            *([mark[place] for mark in marks] for place in range(3)),
            venue.pk,
            list(holdings),
            *columns(list(holdings.values()), ("quantity", "average_price")),
            venue.cash,
            venue.report_count,
            venue.pk,
        ],
    )


def columns(rows: Sequence[object], names: Sequence[str]) -> list[list[Any]]:
    """Return one list a name, in the order of the rows."""
    return [[getattr(row, name) for row in rows] for name in names]


def execute(statement: str, parameters: list[Any]) -> None:
    """Run one statement."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
