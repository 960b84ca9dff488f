"""The venue's working orders in memory: read under its lock, worked against events, written once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid5

from execution.brokers.paper.groups import VenueGroups
from execution.brokers.paper.rules import rules_of
from execution.brokers.paper.statements import Told, Worked, record_outcomes
from execution.matching.engine import Outcome, expire_session, match_event
from execution.matching.events import ClosingAuction, MarketEvent, OpeningAuction, PriceEvent, QuoteTick, SessionEnd
from execution.matching.holdings import Holding
from execution.matching.orders import WorkingOrder
from execution.matching.pricing import traded_value
from execution.models.paper import PaperMark, PaperOrder, PaperVenue
from execution.session_hours import hours_for_event
from risk.types import OrderType, Side, TimeInForce

MARK_KINDS: dict[type[PriceEvent], PaperMark.Kind] = {
    OpeningAuction: PaperMark.Kind.OPENING_AUCTION,
    QuoteTick: PaperMark.Kind.TICK,
    ClosingAuction: PaperMark.Kind.CLOSING_AUCTION,
}

# After the identity, the fields of a WorkingOrder in their order.
ORDER_COLUMNS: tuple[str, ...] = (
    "id",
    "broker_order_id",
    "order_class",
    "entry_id",
    *(field.name for field in fields(WorkingOrder)),
)


class VenueBook:
    """Working orders of some symbols of a locked venue, and what has happened to them since they were read."""

    def __init__(self, venue: PaperVenue, *, symbols: Collection[str] | None = None) -> None:
        """Read the working orders of the symbols, of all symbols for None."""
        self.venue = venue
        self.rules = rules_of(venue)
        self.identities: dict[int, tuple[int, UUID]] = {}
        self.working: dict[str, dict[int, WorkingOrder]] = defaultdict(dict)
        self.groups: VenueGroups | None = None
        self._read_orders(symbols)
        self.marks = self._read_marks()
        self.moved_marks: set[tuple[str, str]] = set()
        self.newest: dict[int, Outcome] = {}
        self.told: list[Told] = []
        self.trades: dict[str, list[tuple[Decimal, Decimal]]] = defaultdict(list)

    def _read_orders(self, symbols: Collection[str] | None) -> None:
        orders = self.venue.orders.filter(status__in=PaperOrder.WORKING).order_by()
        if symbols is not None:
            orders = orders.filter(symbol__in=symbols)
        entries: set[int] = set()
        for row in orders.values_list(*ORDER_COLUMNS):
            key, broker_order_id, order_class, entry, sequence, symbol, side, kind, good, *rest = row
            words = Side(side), OrderType(kind), TimeInForce(good)
            self.identities[sequence] = key, broker_order_id
            self.working[symbol][sequence] = WorkingOrder(sequence, symbol, *words, *rest)
            if order_class:
                entries.add(entry or key)
        if entries:
            self.groups = VenueGroups.read(self.venue, entries)
            self.identities |= self.groups.identities
            self._share_out()

    def _read_marks(self) -> dict[tuple[str, str], datetime]:
        if not self.working:
            return {}
        marks = self.venue.marks.filter(symbol__in=list(self.working))
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
        if self.groups is not None:
            outcomes = self.groups.at_most_one_exit(outcomes)
        if outcomes:
            self.marks[key] = event.at
            self.moved_marks.add(key)
        self._record(outcomes)

    def cancel_all(self, *, at: datetime, reason: str) -> None:
        """Take every order that was read out of the book."""
        orders = [order for book in self.working.values() for order in book.values()]
        for order in sorted(orders, key=lambda order: order.sequence):
            self._record([Outcome(kind="canceled", order=order, at=at, reason=reason)])

    def cancel(self, *, symbol: str, sequence: int, at: datetime, reason: str) -> None:
        """Take one working or held order out of the book."""
        order = self.working[symbol].get(sequence) or self._held[sequence]
        self._record([Outcome(kind="canceled", order=order, at=at, reason=reason)])

    def replace(self, *, symbol: str, sequence: int, at: datetime, reason: str) -> None:
        """Take one working order out of the book whose place another has taken."""
        order = self.working[symbol][sequence]
        self._record([Outcome(kind="replaced", order=order, at=at, reason=reason)])

    def _record(self, outcomes: list[Outcome]) -> None:
        if self.groups is None:
            self._note(outcomes)
            return
        for outcome in outcomes:
            working = self.working[outcome.order.symbol]
            self._note(self.groups.consequences(outcome, working.get))
            self._share_out()

    @property
    def _held(self) -> dict[int, WorkingOrder]:
        return {} if self.groups is None else self.groups.held

    def _share_out(self) -> None:
        """Let each order of a group work for the shares that the others have left it."""
        assert self.groups is not None, "there is nothing to share without a group"
        for book in self.working.values():
            for sequence, order in book.items():
                book[sequence] = self.groups.limited(order)

    def _note(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            order = outcome.order
            self.newest[order.sequence] = outcome
            if outcome.is_final:
                self.working[order.symbol].pop(order.sequence, None)  # a held one was not there
            else:
                self.working[order.symbol][order.sequence] = order
            if outcome.kind == "fill":
                self._settle(outcome)
            if outcome.kind != "triggered":
                self.venue.report_count += 1
                self.told.append(told_of(outcome, self.venue.report_count, self.identities[order.sequence]))

    def _settle(self, fill: Outcome) -> None:
        signed = fill.quantity if fill.order.side == Side.BUY else -fill.quantity
        self.venue.cash -= traded_value(signed, fill.price) + fill.fee
        self.trades[fill.order.symbol].append((signed, fill.price))

    def save(self) -> int:
        """Write all that has happened; return the number of reports."""
        if not self.newest:
            return 0
        record_outcomes(
            self.venue,
            worked=[worked_of(outcome, self.identities[sequence][0]) for sequence, outcome in self.newest.items()],
            told=self.told,
            marks=[(symbol, kind, self.marks[symbol, kind]) for symbol, kind in sorted(self.moved_marks)],
            holdings=self._holdings(),
        )
        return len(self.told)

    def _holdings(self) -> dict[str, Holding]:
        if not self.trades:
            return {}
        stored = self.venue.positions.filter(symbol__in=list(self.trades)).order_by()
        holdings = {
            symbol: Holding(quantity, average_price)
            for symbol, quantity, average_price in stored.values_list("symbol", "quantity", "average_price")
        }
        for symbol, trades in sorted(self.trades.items()):
            for signed, price in trades:
                holdings[symbol] = holdings.get(symbol, Holding()).after_trade(signed, price)
        return holdings


def worked_of(outcome: Outcome, key: int) -> Worked:
    """Return what an order's row says after its newest outcome."""
    order = outcome.order
    return Worked(
        id=key,
        status=status_of(outcome),
        triggered=order.triggered,
        active_after=order.active_after,
        filled_quantity=order.filled_quantity,
        filled_notional=order.filled_notional,
        fees=order.fees,
        execution_count=order.execution_count,
        updated_at=outcome.at,
        reason=outcome.reason,
    )


def status_of(outcome: Outcome) -> str:
    """Return the order's status; a trigger comes before any fill and leaves it accepted."""
    if outcome.kind in ("activated", "triggered"):
        return "accepted"
    if outcome.kind == "fill":
        return "partially_filled" if outcome.order.leaves_quantity else "filled"
    return outcome.kind


def told_of(outcome: Outcome, sequence: int, identity: tuple[int, UUID]) -> Told:
    """Return the report of an outcome."""
    key, broker_order_id = identity
    is_fill = outcome.kind == "fill"
    return Told(
        sequence=sequence,
        order_id=key,
        kind="accepted" if outcome.kind == "activated" else outcome.kind,
        at=outcome.at,
        broker_execution_id=uuid5(broker_order_id, f"execution {outcome.order.execution_count}") if is_fill else None,
        quantity=outcome.quantity if is_fill else None,
        price=outcome.price if is_fill else None,
        fee=outcome.fee if is_fill else None,
        cumulative_quantity=outcome.order.filled_quantity,
        reason=outcome.reason,
    )
