"""The venue's working orders in memory: read under its lock, worked against events, written once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from uuid import uuid5

from execution.brokers.paper.hours import hours_for_event
from execution.brokers.paper.rules import rules_of
from execution.matching.engine import Outcome, expire_session, match_event
from execution.matching.events import ClosingAuction, MarketEvent, OpeningAuction, PriceEvent, QuoteTick, SessionEnd
from execution.matching.holdings import Holding
from execution.matching.orders import WorkingOrder
from execution.matching.pricing import traded_value
from execution.models.paper import PaperMark, PaperOrder, PaperPosition, PaperReport, PaperVenue
from risk.types import OrderType, Side, TimeInForce

MARK_KINDS: dict[type[PriceEvent], PaperMark.Kind] = {
    OpeningAuction: PaperMark.Kind.OPENING_AUCTION,
    QuoteTick: PaperMark.Kind.TICK,
    ClosingAuction: PaperMark.Kind.CLOSING_AUCTION,
}
WORKED_COLUMNS = [
    "status",
    "triggered",
    "active_after",
    "filled_quantity",
    "filled_notional",
    "fees",
    "execution_count",
    "updated_at",
    "reason",
]


class VenueBook:
    """Working orders of some symbols of a locked venue, and what has happened to them since they were read."""

    def __init__(self, venue: PaperVenue, *, symbols: Collection[str] | None = None) -> None:
        """Read the working orders of the symbols, of all symbols for None."""
        self.venue = venue
        self.rules = rules_of(venue)
        self.rows: dict[int, PaperOrder] = {}
        self.working: dict[str, dict[int, WorkingOrder]] = defaultdict(dict)
        orders = venue.orders.filter(status__in=PaperOrder.WORKING)
        for row in orders if symbols is None else orders.filter(symbol__in=symbols):
            self.rows[row.sequence] = row
            self.working[row.symbol][row.sequence] = working_order(row)
        self.marks = self._read_marks()
        self.moved_marks: set[tuple[str, str]] = set()
        self.changed: dict[int, PaperOrder] = {}
        self.reports: list[PaperReport] = []
        self.trades: dict[str, list[tuple[Decimal, Decimal]]] = defaultdict(list)

    def _read_marks(self) -> dict[tuple[str, str], datetime]:
        marks = self.venue.marks.filter(symbol__in=list(self.working)) if self.working else PaperMark.objects.none()
        return {(symbol, kind): at for symbol, kind, at in marks.values_list("symbol", "kind", "at")}

    def apply(self, event: MarketEvent) -> None:
        """Work one event; one that is not newer than the symbol's mark has counted before and is passed over."""
        if isinstance(event, SessionEnd):
            orders = [order for book in self.working.values() for order in book.values()]
            self._record(expire_session(event, orders))
            return
        key = (event.symbol, MARK_KINDS[type(event)].value)
        mark = self.marks.get(key)
        if mark is not None and event.at <= mark:
            return
        orders = list(self.working[event.symbol].values())
        outcomes = match_event(event, orders, hours=hours_for_event(event.at), rules=self.rules)
        if outcomes:
            self.marks[key] = event.at
            self.moved_marks.add(key)
        self._record(outcomes)

    def cancel(self, sequence: int, *, at: datetime, reason: str) -> None:
        """Take one working order out of the book."""
        order = self.working[self.rows[sequence].symbol][sequence]
        self._record([Outcome(kind="canceled", order=order, at=at, reason=reason)])

    def _record(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            order = outcome.order
            row = self.rows[order.sequence]
            update_row(row, outcome)
            self.changed[order.sequence] = row
            if outcome.is_final:
                del self.working[order.symbol][order.sequence]
            else:
                self.working[order.symbol][order.sequence] = order
            if outcome.kind == "fill":
                self._settle(outcome)
            if outcome.kind != "triggered":
                self.venue.report_count += 1
                self.reports.append(new_report(self.venue, row, outcome))

    def _settle(self, fill: Outcome) -> None:
        signed = fill.quantity if fill.order.side == Side.BUY else -fill.quantity
        self.venue.cash -= traded_value(signed, fill.price) + fill.fee
        self.trades[fill.order.symbol].append((signed, fill.price))

    def save(self) -> int:
        """Write all that has happened; return the number of reports."""
        if not self.changed:
            return 0
        PaperOrder.objects.bulk_create(
            list(self.changed.values()), update_conflicts=True, unique_fields=["id"], update_fields=WORKED_COLUMNS
        )
        PaperReport.objects.bulk_create(self.reports)
        self._save_marks()
        self._save_positions()
        self.venue.save(update_fields=["cash", "report_count"])
        return len(self.reports)

    def _save_marks(self) -> None:
        marks = [
            PaperMark(venue=self.venue, symbol=symbol, kind=kind, at=self.marks[symbol, kind])
            for symbol, kind in sorted(self.moved_marks)
        ]
        PaperMark.objects.bulk_create(
            marks, update_conflicts=True, unique_fields=["venue", "symbol", "kind"], update_fields=["at"]
        )

    def _save_positions(self) -> None:
        if not self.trades:
            return
        stored = self.venue.positions.filter(symbol__in=list(self.trades))
        held = {position.symbol: Holding(position.quantity, position.average_price) for position in stored}
        positions = []
        for symbol, trades in sorted(self.trades.items()):
            holding = held.get(symbol, Holding())
            for signed, price in trades:
                holding = holding.after_trade(signed, price)
            positions.append(
                PaperPosition(
                    venue=self.venue, symbol=symbol, quantity=holding.quantity, average_price=holding.average_price
                )
            )
        PaperPosition.objects.bulk_create(
            positions,
            update_conflicts=True,
            unique_fields=["venue", "symbol"],
            update_fields=["quantity", "average_price"],
        )


def working_order(row: PaperOrder) -> WorkingOrder:
    """Return the stored order as the engine works it."""
    return WorkingOrder(
        sequence=row.sequence,
        symbol=row.symbol,
        side=Side(row.side),
        order_type=OrderType(row.order_type),
        time_in_force=TimeInForce(row.time_in_force),
        quantity=row.quantity,
        session_date=row.session_date,
        active_after=row.active_after,
        limit_price=row.limit_price,
        stop_price=row.stop_price,
        extended_hours=row.extended_hours,
        triggered=row.triggered,
        filled_quantity=row.filled_quantity,
        filled_notional=row.filled_notional,
        fees=row.fees,
        execution_count=row.execution_count,
    )


def update_row(row: PaperOrder, outcome: Outcome) -> None:
    """Copy the order's state after the outcome into its row."""
    order = outcome.order
    row.triggered = order.triggered
    row.active_after = order.active_after
    row.filled_quantity = order.filled_quantity
    row.filled_notional = order.filled_notional
    row.fees = order.fees
    row.execution_count = order.execution_count
    row.updated_at = outcome.at
    row.reason = outcome.reason
    if outcome.kind == "fill":
        row.status = PaperOrder.Status.PARTIALLY_FILLED if order.leaves_quantity else PaperOrder.Status.FILLED
    elif outcome.kind != "triggered":
        row.status = PaperOrder.Status(outcome.kind)


def new_report(venue: PaperVenue, row: PaperOrder, outcome: Outcome) -> PaperReport:
    """Return the report of an outcome as the venue's newest."""
    report = PaperReport(
        venue=venue,
        sequence=venue.report_count,
        order=row,
        kind=outcome.kind,
        at=outcome.at,
        cumulative_quantity=outcome.order.filled_quantity,
        reason=outcome.reason,
    )
    if outcome.kind == "fill":
        report.broker_execution_id = uuid5(row.broker_order_id, f"execution {outcome.order.execution_count}")
        report.quantity, report.price, report.fee = outcome.quantity, outcome.price, outcome.fee
    return report
