"""A broker at the port, in memory, that does what a test tells it: accept, go silent, refuse, forget, fill, repeat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from threading import Lock
from typing import Any

from execution.brokers.base import (
    BrokerAccount,
    BrokerActivity,
    BrokerError,
    BrokerHeldBack,
    BrokerOrder,
    BrokerPosition,
    BrokerReport,
    BrokerUnavailable,
    DuplicateClientOrderId,
    MaySend,
    OrderNotCancelable,
    OrderNotFound,
    OrderNotReplaceable,
    OrderRequest,
    ReplaceRequest,
    goes_on,
)
from tests.factories import MARKET_AT

ZERO = Decimal(0)
FINAL = ("filled", "canceled", "expired", "rejected", "replaced")


@dataclass
class FakeBroker:
    """`received` and `cancels` are the broker's own log: every request that reached it, in order."""

    is_dry_run: bool = False
    not_found_grace_seconds: int = 0
    name: str = "fake"
    submit_batch_size: int = 500
    pause_seconds: Decimal = ZERO
    suspended: bool = False
    received: list[str] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)
    replacements: list[ReplaceRequest] = field(default_factory=list)
    orders: dict[str, BrokerOrder] = field(default_factory=dict)
    reports: list[BrokerReport] = field(default_factory=list)
    held: dict[str, Decimal] = field(default_factory=dict)
    lock: Any = field(default_factory=Lock)
    before_submit: Callable[[OrderRequest], None] | None = None
    """Raise a `BrokerError` here to answer with it instead of taking the order."""
    after_submit: Callable[[OrderRequest], None] | None = None
    """Raise here to lose the answer of an order that was taken."""
    before_batch: Callable[[], None] | None = None
    after_batch: Callable[[], None] | None = None
    before_replace: Callable[[ReplaceRequest], None] | None = None
    """Raise a `BrokerError` here to answer with it instead of taking the new terms."""
    after_replace: Callable[[ReplaceRequest], None] | None = None
    """Raise here to lose the answer of a replacement that was taken."""
    concludes: bool = True
    """Whether a replacement is decided with the answer; otherwise `conclude` or `refuse_replace` decide it."""
    before_cancel: Callable[[str], None] | None = None
    before_find: Callable[[str], None] | None = None
    before_positions: Callable[[], object] | None = None
    cash: Decimal | None = None
    """None is: no view of it, whatever the book says."""
    moved: list[BrokerActivity] = field(default_factory=list)
    before_look: Callable[[str], object] | None = None
    """Called with the name of what reconciliation asks; raise here to give no answer."""
    silent: bool = False
    """Whether executions happen without a report of them."""
    untold: list[BrokerReport] = field(default_factory=list)
    """Reports that were kept back and come with a question about their order."""
    hidden: set[str] = field(default_factory=set)
    """Ids that `find` does not show (yet), although they were taken."""

    def submit(self, request: OrderRequest, *, at: datetime) -> BrokerOrder:
        if self.before_submit is not None:
            self.before_submit(request)
        with self.lock:
            self.received.append(request.client_order_id)
            if request.client_order_id in self.orders:
                raise DuplicateClientOrderId(request.client_order_id)
            taken = BrokerOrder(
                client_order_id=request.client_order_id,
                broker_order_id=f"B-{len(self.orders) + 1}",
                symbol=request.symbol,
                side=request.side,
                quantity=request.quantity,
                status="accepted",
                filled_quantity=ZERO,
                average_fill_price=None,
                updated_at=at,
            )
            self.orders[request.client_order_id] = taken
            self._tell("accepted", taken, at)
        if self.after_submit is not None:
            self.after_submit(request)
        return taken

    def submit_many(
        self, requests: Sequence[OrderRequest], *, at: datetime, may_send: MaySend | None = None
    ) -> list[BrokerOrder | BrokerError]:
        if self.before_batch is not None:
            self.before_batch()
        answers: list[BrokerOrder | BrokerError] = []
        for request in requests:
            if not goes_on(answers, request.client_order_id, may_send):
                answers.append(BrokerHeldBack(request.client_order_id))
                continue
            try:
                answers.append(self.submit(request, at=at))
            except BrokerError as error:
                answers.append(error)
        if self.after_batch is not None:
            self.after_batch()
        return answers

    def replace(self, request: ReplaceRequest, *, at: datetime) -> BrokerOrder:
        if self.before_replace is not None:
            self.before_replace(request)
        with self.lock:
            self.received.append(request.client_order_id)
            self.replacements.append(request)
            if request.client_order_id in self.orders:
                raise DuplicateClientOrderId(request.client_order_id)
            original = self.orders.get(request.original_client_order_id)
            if original is None:
                raise OrderNotFound(request.original_client_order_id)
            if original.status in (*FINAL, "pending_replace"):
                raise OrderNotReplaceable(original.client_order_id, original.status)
            taken = replace(
                original,
                client_order_id=request.client_order_id,
                broker_order_id=f"B-{len(self.orders) + 1}",
                quantity=request.quantity,
                status="accepted",
                filled_quantity=ZERO,
            )
            self.orders[request.client_order_id] = taken
            self.orders[original.client_order_id] = replace(original, status="pending_replace")
            self._tell("accepted", taken, at)
        if self.concludes:
            self.conclude(original.client_order_id, at)
        if self.after_replace is not None:
            self.after_replace(request)
        return taken

    def conclude(self, original: str, at: datetime = MARKET_AT) -> BrokerReport:
        """Let the original give way."""
        return self._end(self.orders[original], "replaced", at, "")

    def refuse_replace(self, original: str, successor: str, at: datetime = MARKET_AT) -> None:
        """Let the original work on after all, and the successor end."""
        old = self.orders[original]
        if old.status == "pending_replace":
            self.orders[original] = replace(old, status="accepted")
        self._tell("replace_rejected", self.orders[original], at, reason="not in time")
        self._end(self.orders[successor], "rejected", at, "its original was not replaced")

    def cancel(self, *, client_order_id: str, broker_order_id: str, at: datetime) -> None:
        if self.before_cancel is not None:
            self.before_cancel(client_order_id)
        with self.lock:
            self.cancels.append(client_order_id)
            order = self.orders.get(client_order_id)
            if order is None:
                raise OrderNotFound(client_order_id)
            if order.status in FINAL:
                raise OrderNotCancelable(client_order_id, order.status)
            if order.status == "pending_replace":
                raise BrokerUnavailable("the order is being replaced", code="pending_replace")
            self._end(order, "canceled", at, "canceled on request")

    def find(self, client_order_id: str) -> BrokerOrder | None:
        if self.before_find is not None:
            self.before_find(client_order_id)
        return None if client_order_id in self.hidden else self.orders.get(client_order_id)

    def open_orders(self) -> list[BrokerOrder]:
        return [order for order in self.orders.values() if order.status not in FINAL]

    def reports_since(self, cursor: int, limit: int = 500) -> list[BrokerReport]:
        return [report for report in self.reports if report.sequence > cursor][:limit]

    def positions(self) -> list[BrokerPosition]:
        if self.before_positions is not None:
            self.before_positions()
        return [
            BrokerPosition(symbol=symbol, quantity=quantity, average_price=Decimal(100))
            for symbol, quantity in sorted(self.held.items())
            if quantity
        ]

    def account(self) -> BrokerAccount:
        self._looked("account")
        return BrokerAccount(account_number="FAKE", cash=self.cash if self.cash is not None else Decimal("NaN"))

    def order(self, broker_order_id: str) -> BrokerOrder | None:
        self._looked("order")
        return next((each for each in self.orders.values() if each.broker_order_id == broker_order_id), None)

    def closed_orders(self, *, after: datetime) -> list[BrokerOrder]:
        self._looked("closed_orders")
        return [order for order in self.orders.values() if order.status in FINAL]

    def position(self, symbol: str) -> BrokerPosition | None:
        self._looked("position")
        return next((each for each in self.positions() if each.symbol == symbol), None)

    def executions_of(self, *, client_order_id: str, broker_order_id: str, since: datetime, wall_now: datetime) -> int:
        self._looked("executions_of")
        told = [report for report in self.untold if report.client_order_id == client_order_id]
        self.untold = [report for report in self.untold if report not in told]
        for report in told:
            self.reports.append(replace(report, sequence=len(self.reports) + 1))
        return len(told)

    def activities(self, *, after: datetime) -> list[BrokerActivity]:
        self._looked("activities")
        return list(self.moved)

    def _looked(self, name: str) -> None:
        if self.before_look is not None:
            self.before_look(name)

    def fill(
        self, client_order_id: str, quantity: str | Decimal, price: str | Decimal = "100", **fields: Any
    ) -> BrokerReport:
        """Execute part of an order and report it; `fields` replace what the report says."""
        order, shares = self.orders[client_order_id], Decimal(quantity)
        filled = order.filled_quantity + shares
        status = order.status if order.status in FINAL else "filled" if filled >= order.quantity else "partially_filled"
        self.orders[client_order_id] = order = replace(order, filled_quantity=filled, status=status)
        signed = shares if order.side == "buy" else -shares
        self.held[order.symbol] = self.held.get(order.symbol, ZERO) + signed
        values = {
            "broker_execution_id": f"E-{len(self.reports) + 1}",
            "quantity": shares,
            "price": Decimal(price),
            "fee": ZERO,
        } | fields
        return self._tell("fill", order, values.pop("at", MARKET_AT), **values)

    def end(self, client_order_id: str, kind: str, reason: str = "", at: datetime = MARKET_AT) -> BrokerReport:
        """End an order and report it: canceled, expired, rejected or replaced."""
        return self._end(self.orders[client_order_id], kind, at, reason)

    def tell(self, kind: str, client_order_id: str, at: datetime = MARKET_AT, **fields: Any) -> BrokerReport:
        """Report something without anything having happened."""
        return self._tell(kind, self.orders[client_order_id], at, **fields)

    def _end(self, order: BrokerOrder, kind: str, at: datetime, reason: str) -> BrokerReport:
        self.orders[order.client_order_id] = replace(order, status=kind)
        return self._tell(kind, order, at, reason=reason)

    def _tell(self, kind: str, order: BrokerOrder, at: datetime, **fields: Any) -> BrokerReport:
        values: dict[str, Any] = {
            "sequence": len(self.reports) + 1,
            "kind": kind,
            "client_order_id": order.client_order_id,
            "broker_order_id": order.broker_order_id,
            "at": at,
            "cumulative_quantity": order.filled_quantity,
        }
        report = BrokerReport(**values | fields)
        if self.silent and kind == "fill":
            return report
        self.reports.append(report)
        return report
