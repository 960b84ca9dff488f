"""Adapter of the built-in exchange to the broker port."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet

from execution.brokers.base import (
    BrokerAccount,
    BrokerActivity,
    BrokerError,
    BrokerOrder,
    BrokerOutcomeUnknown,
    BrokerPosition,
    BrokerReport,
    BrokerUnavailable,
    MaySend,
    OrderNotCancelable,
    OrderNotFound,
    OrderRequest,
    ReplaceRequest,
)
from execution.brokers.paper.actions import pay_venue_dividend, split_venue
from execution.brokers.paper.book import VenueBook
from execution.brokers.paper.entry import enter_orders
from execution.brokers.paper.replaces import replace_order
from execution.brokers.paper.venue import ensure_venue, lock_venue, venue_transaction
from execution.brokers.paper.views import nested_views, order_view, report_views
from execution.matching.events import ClosingAuction, MarketEvent, OpeningAuction, QuoteTick, SessionEnd
from execution.models.paper import PaperOrder, PaperReport, PaperVenue

DEFAULT_CASH = Decimal(100_000)
MAX_REPORTS = 5_000
# Events of one instant: the auction before the quotes of the session it opens, the end of the session last.
RANK: dict[type[MarketEvent], int] = {OpeningAuction: 0, QuoteTick: 1, ClosingAuction: 2, SessionEnd: 3}


class PaperBroker:
    """One account at the exchange.

    Orders only rest on entry, whatever the market: they meet the events of `advance`, the next tick at the earliest.
    """

    name = "paper"
    is_dry_run = False
    not_found_grace_seconds = 0
    submit_batch_size = 500
    pause_seconds = Decimal(0)

    def __init__(self, account_name: str, *, starting_cash: Decimal = DEFAULT_CASH) -> None:
        """Bind to the account; its venue is opened with `starting_cash` (account currency) on first use."""
        self.account_name = account_name
        self.starting_cash = starting_cash

    def submit(self, request: OrderRequest, *, at: datetime) -> BrokerOrder:
        """Take one order in.

        :raises BrokerRejected: not taken, for good
        :raises BrokerOutcomeUnknown: the exchange's database went away
        """
        answer = self.submit_many([request], at=at)[0]
        if isinstance(answer, BrokerError):
            raise answer
        return answer

    def submit_many(
        self, requests: Sequence[OrderRequest], *, at: datetime, may_send: MaySend | None = None
    ) -> list[BrokerOrder | BrokerError]:
        """Take orders in, in one transaction; one answer per request. Locks: the venue."""
        if not requests:
            return []
        with database_failure_as(BrokerOutcomeUnknown), venue_transaction():
            answers = enter_orders(venue=self._lock(), requests=requests, at=at)
            views = nested_views([answer for answer in answers if isinstance(answer, PaperOrder)])
        return [views.pop(0) if isinstance(answer, PaperOrder) else answer for answer in answers]

    def replace(self, request: ReplaceRequest, *, at: datetime) -> BrokerOrder:
        """Let a new order take the place of an old one, at once. Locks: the venue.

        :raises OrderNotFound, OrderNotReplaceable: the old order is not there, over or part of a group
        :raises BrokerRejected: the new terms are not taken, or the id was used before; the old order works on
        :raises BrokerOutcomeUnknown: the exchange's database went away
        """
        with database_failure_as(BrokerOutcomeUnknown), venue_transaction():
            return order_view(replace_order(venue=self._lock(), request=request, at=at))

    def suspend(self, suspended: bool) -> None:
        """Do nothing: the kill switch stands right in front of this exchange."""

    def cancel(self, *, client_order_id: str, broker_order_id: str, at: datetime) -> None:
        """Cancel at once what is left of an order. Locks: the venue.

        :raises OrderNotFound: no such order, or not under that broker_order_id
        :raises OrderNotCancelable: the order is finished
        """
        with database_failure_as(BrokerUnavailable), venue_transaction():
            venue = self._lock()
            order = venue.orders.filter(client_order_id=client_order_id).first()
            if order is None or broker_order_id not in ("", str(order.broker_order_id)):
                raise OrderNotFound(client_order_id)
            if order.status not in (*PaperOrder.WORKING, PaperOrder.Status.HELD):
                raise OrderNotCancelable(client_order_id, order.status)
            book = VenueBook(venue, symbols=[order.symbol])
            book.cancel(symbol=order.symbol, sequence=order.sequence, at=at, reason="canceled on request")
            book.save()

    def find(self, client_order_id: str) -> BrokerOrder | None:
        """Return the order in any state, None when there is none."""
        with database_failure_as(BrokerUnavailable):
            order = self._orders().filter(client_order_id=client_order_id).first()
            return None if order is None else nested_views([order])[0]

    def open_orders(self) -> list[BrokerOrder]:
        """Return the working orders, oldest first."""
        with database_failure_as(BrokerUnavailable):
            orders = self._orders().filter(status__in=PaperOrder.WORKING).order_by("sequence")
            return nested_views(orders)

    def reports_since(self, cursor: int, limit: int = 500) -> list[BrokerReport]:
        """Return at most `limit` (and 5,000) reports after the cursor, ascending."""
        with database_failure_as(BrokerUnavailable):
            reports = PaperReport.objects.filter(venue__account_name=self.account_name, sequence__gt=cursor)
            return report_views(reports.order_by("sequence")[: min(limit, MAX_REPORTS)])

    def positions(self) -> list[BrokerPosition]:
        """Return the non-flat positions, by symbol."""
        with database_failure_as(BrokerUnavailable):
            held = self._venue().positions.exclude(quantity=0).order_by("symbol")
            return [
                BrokerPosition(symbol=row.symbol, quantity=row.quantity, average_price=row.average_price)
                for row in held
            ]

    def account(self) -> BrokerAccount:
        """Return the account's cash; the exchange keeps no marks, so there is no equity."""
        with database_failure_as(BrokerUnavailable):
            venue = self._venue()
        return BrokerAccount(account_number=f"PAPER-{venue.account_name}", cash=venue.cash)

    def order(self, broker_order_id: str) -> BrokerOrder | None:
        """Return the order in any state, None when there is none."""
        with suppress(ValueError), database_failure_as(BrokerUnavailable):
            order = self._orders().filter(broker_order_id=UUID(broker_order_id)).first()
            return None if order is None else nested_views([order])[0]
        return None

    def closed_orders(self, *, after: datetime) -> list[BrokerOrder]:
        """Return the orders entered since that are over, oldest first; legs with their entry, or alone."""
        with database_failure_as(BrokerUnavailable):
            live = [*PaperOrder.WORKING, PaperOrder.Status.HELD]
            orders = self._orders().filter(entered_at__gt=after).exclude(status__in=live)
            return nested_views(orders.order_by("sequence"))

    def position(self, symbol: str) -> BrokerPosition | None:
        """Return one position, None when it is flat."""
        return next((position for position in self.positions() if position.symbol == symbol), None)

    def executions_of(self, *, client_order_id: str, broker_order_id: str, since: datetime, wall_now: datetime) -> int:
        """Return 0: every execution is among the reports from the beginning."""
        return 0

    def activities(self, *, after: datetime) -> list[BrokerActivity]:
        """Return nothing: fees are told with executions, and dividends are paid by the book's own actions."""
        return []

    def advance(self, events: Sequence[MarketEvent]) -> int:
        """Let the market move: work the events in the order of their times, return the number of new reports.

        The same events may be told again, in this call or after a crash: what has counted counts once. Symbols
        without a working order cost nothing but the one query that finds that out. Locks: the venue.
        """
        with database_failure_as(BrokerUnavailable):
            relevant = self._relevant(events)
            if not relevant:
                return 0
            ends_session = any(isinstance(event, SessionEnd) for event in relevant)
            symbols = (
                None if ends_session else {event.symbol for event in relevant if not isinstance(event, SessionEnd)}
            )
            with venue_transaction():
                book = VenueBook(self._lock(), symbols=symbols)
                for event in sorted(relevant, key=lambda event: (event.at, RANK[type(event)])):
                    book.apply(event)
                return book.save()

    def apply_split(self, symbol: str, ratio: Decimal, ex_date: date, *, at: datetime) -> bool:
        """Multiply the position by `ratio` and cancel the symbol's orders; False when done before. Locks: the venue."""
        with database_failure_as(BrokerUnavailable), venue_transaction():
            return split_venue(venue=self._lock(), symbol=symbol, ratio=ratio, ex_date=ex_date, at=at)

    def pay_dividend(self, symbol: str, per_share: Decimal, ex_date: date) -> bool:
        """Pay `per_share` (account currency) on the position; False when done before. Locks: the venue."""
        with database_failure_as(BrokerUnavailable), venue_transaction():
            return pay_venue_dividend(venue=self._lock(), symbol=symbol, per_share=per_share, ex_date=ex_date)

    def _relevant(self, events: Sequence[MarketEvent]) -> list[MarketEvent]:
        working = set(
            self._orders().filter(status__in=PaperOrder.WORKING).order_by().values_list("symbol", flat=True).distinct()
        )
        if not working:
            return []
        return [event for event in events if isinstance(event, SessionEnd) or event.symbol in working]

    def _orders(self) -> QuerySet[PaperOrder]:
        return PaperOrder.objects.filter(venue__account_name=self.account_name)

    def _venue(self) -> PaperVenue:
        return ensure_venue(account_name=self.account_name, starting_cash=self.starting_cash)

    def _lock(self) -> PaperVenue:
        return lock_venue(account_name=self.account_name, starting_cash=self.starting_cash)


@contextmanager
def database_failure_as(error: type[BrokerError]) -> Iterator[None]:
    """Turn a lost database into the port's words: to the caller the exchange is somebody else's computer."""
    try:
        yield
    except (OperationalError, InterfaceError) as failure:
        raise error("the paper exchange's database is away", code="exchange_unavailable") from failure
