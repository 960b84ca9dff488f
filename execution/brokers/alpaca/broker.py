"""Alpaca behind the broker port, paper and live."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from execution.brokers.alpaca.assets import Asset, read_asset, read_assets, why_no_short_sales
from execution.brokers.alpaca.budget import Purpose
from execution.brokers.alpaca.clock import BrokerClock, read_clock
from execution.brokers.alpaca.failures import NOT_UNIQUE, unreadable
from execution.brokers.alpaca.line import Line
from execution.brokers.alpaca.listing import open_orders
from execution.brokers.alpaca.looks import AlpacaLooks, Tell, read_position
from execution.brokers.alpaca.words import FINAL, amount, objects, order_body, read_order, replace_body, text
from execution.brokers.base import (
    BrokerAccount,
    BrokerError,
    BrokerHeldBack,
    BrokerOrder,
    BrokerPosition,
    BrokerRejected,
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

BY_CLIENT_ID = "/orders:by_client_order_id"
CONFIGURATIONS = "/account/configurations"
UNSEEN_SECONDS = 10
"""How long Alpaca may not show an order that it has."""
BUSY = {"pending_cancel", "pending_replace", "held"}


class AlpacaBroker(AlpacaLooks):
    """One account; `line` is shared with everything else in the process that uses the same keys."""

    is_dry_run = False

    def __init__(
        self, line: Line, *, reports: Callable[[int, int], list[BrokerReport]], tell: Tell | None = None
    ) -> None:
        """`reports` reads what the stream and the cross-check have stored, above a cursor; `tell` stores more."""
        super().__init__(line, tell=tell)
        self._reports = reports

    @property
    def name(self) -> str:
        """Return the mode, which says whose money it is."""
        return self.line.configuration.mode

    @property
    def not_found_grace_seconds(self) -> int:
        """Return how long an order may stay unseen: the time that a submit may take until we give it up, and then some.

        Counted from the claim, so ten seconds alone could be over before a submit without an answer has ended.
        """
        configuration = self.line.configuration
        submit = timedelta(milliseconds=configuration.connect_milliseconds + configuration.read_milliseconds)
        return UNSEEN_SECONDS + 1 + submit // timedelta(seconds=1)

    @property
    def submit_batch_size(self) -> int:
        """Return how many orders leave in a moment, as long as they take now, and no more than this minute may send."""
        return max(1, min(self.line.pace.size, self.line.budget.room(Purpose.NEW_RISK)))

    @property
    def pause_seconds(self) -> Decimal:
        """Return how long the rate budget or the back-off wants new orders to wait."""
        return self.line.budget.pause_seconds()

    def submit(self, request: OrderRequest, *, at: datetime) -> BrokerOrder:
        """Send one order, once; only an answer about this very order counts as one."""
        _require_number("qty", request.quantity)
        try:
            return self.line.write("POST", "/orders", order_body(request), read=_own_order(request.client_order_id))
        except BrokerRejected as refusal:
            raise _duplicate_or(refusal, request.client_order_id) from None

    def submit_many(
        self, requests: Sequence[OrderRequest], *, at: datetime, may_send: MaySend | None = None
    ) -> list[BrokerOrder | BrokerError]:
        """Send orders one by one: Alpaca takes no batches."""
        answers: list[BrokerOrder | BrokerError] = []
        for request in requests:
            if not goes_on(answers, request.client_order_id, may_send):
                answers.append(BrokerHeldBack(request.client_order_id))
                continue
            try:
                answers.append(self.submit(request, at=at))
            except BrokerError as failure:
                answers.append(failure)
        return answers

    def replace(self, request: ReplaceRequest, *, at: datetime) -> BrokerOrder:
        """Send new terms, once."""
        _require_number("qty", request.quantity)
        original = request.original_broker_order_id or self._broker_id(request.original_client_order_id)
        try:
            path, read = _order_path(original), _own_order(request.client_order_id)
            return self.line.write("PATCH", path, replace_body(request), read=read)
        except BrokerRejected as refusal:
            raise self._why_not_replaced(request, original, refusal) from None

    def cancel(self, *, client_order_id: str, broker_order_id: str, at: datetime) -> None:
        """Ask for a cancel; when that is refused, look whether it is too late, too early or done already."""
        order_id = broker_order_id or self._broker_id(client_order_id, urgent=True)
        try:
            self.line.delete(_order_path(order_id))
        except BrokerRejected as refusal:
            status = self._status(order_id, client_order_id)
            if status in FINAL:
                raise OrderNotCancelable(client_order_id, status) from None
            if status != "pending_cancel":
                code = status if status == "pending_replace" else "cancel_refused"
                raise BrokerUnavailable(f"not canceled while {status}: {refusal.reason}", code=code) from None

    def suspend(self, suspended: bool) -> None:
        """Set the account's `suspend_trade` and nothing else: the API takes all configurations or none."""
        now = self.line.get(CONFIGURATIONS, urgent=True)
        if not isinstance(now, Mapping) or not isinstance(now.get("suspend_trade"), bool):
            raise unreadable("account configurations", writes=False)
        if now["suspend_trade"] is not suspended:
            self.line.set(CONFIGURATIONS, {**now, "suspend_trade": suspended})

    def find(self, client_order_id: str) -> BrokerOrder | None:
        """Ask by client_order_id; an order with legs is asked for again, because only then they are shown."""
        answer = self._found(client_order_id)
        if answer is None:
            return None
        if text(answer.get("order_class")) not in {"", "simple"} and not objects(answer.get("legs")):
            answer = self.line.get(_order_path(text(answer["id"])), {"nested": "true"})
        order = _order(answer)
        if order.client_order_id != client_order_id:
            raise unreadable(f"asked for {client_order_id}, told of {order.client_order_id[:64]!r}", writes=False)
        return order

    def open_orders(self) -> list[BrokerOrder]:
        """Return every page of the open list; legs come with their entry, or alone once it has filled."""
        return open_orders(self.line)

    def reports_since(self, cursor: int, limit: int = 500) -> list[BrokerReport]:
        """Return what the inbox holds: Alpaca itself repeats nothing."""
        return self._reports(cursor, limit)

    def positions(self) -> list[BrokerPosition]:
        """Return the positions; one that cannot be read makes the whole answer no answer, never a flat symbol."""
        answer = self.line.get("/positions")
        if not isinstance(answer, list):
            raise unreadable("positions", writes=False)
        positions = [read_position(item) for item in answer]
        return sorted((p for p in positions if p.quantity), key=lambda position: position.symbol)

    def account(self) -> BrokerAccount:
        """Return the account and who it is."""
        answer = self.line.get("/account")
        if not isinstance(answer, Mapping):
            raise unreadable("account", writes=False)
        cash, suspended = amount(answer.get("cash")), answer.get("trade_suspended_by_user")
        account_id, account_number = text(answer.get("id")), text(answer.get("account_number"))
        if cash is None or not account_id or not account_number:
            raise unreadable("an account without id, number or cash", writes=False)
        blocked = any(answer.get(name) is True for name in ("trading_blocked", "account_blocked"))
        return BrokerAccount(
            account_number=account_number,
            cash=cash,
            equity=amount(answer.get("equity")),
            trading_blocked=blocked or text(answer.get("status")) != "ACTIVE",
            suspended=suspended if isinstance(suspended, bool) else None,
            account_id=account_id,
            key_fingerprint=self.line.configuration.key_fingerprint,
        )

    def asset(self, symbol: str) -> Asset:
        """Return one security; one that the broker does not know is not traded there."""
        return read_asset(self.line, symbol)

    def assets(self, symbols: Sequence[str]) -> list[Asset]:
        """Return the securities in the order asked for: all of them, or `BrokerUnavailable`."""
        return read_assets(self.line, symbols)

    def why_no_short_sales(self) -> str:
        """Return why the account may not sell short, empty when it may."""
        return why_no_short_sales(self.line)

    def clock(self) -> BrokerClock:
        """Return the broker's time.

        :raises BrokerUnavailable: it cannot be asked, or tells none
        """
        answer = self.line.get("/clock")
        return read_clock(answer if isinstance(answer, Mapping) else {})

    def _found(self, client_order_id: str, *, urgent: bool = False) -> Mapping[str, Any] | None:
        try:
            answer = self.line.get_order(BY_CLIENT_ID, {"client_order_id": client_order_id}, urgent=urgent)
        except BrokerRejected:
            return None
        if not isinstance(answer, Mapping) or not answer.get("id"):
            raise unreadable("an order by client_order_id", writes=False)
        return answer

    def _broker_id(self, client_order_id: str, *, urgent: bool = False) -> str:
        answer = self._found(client_order_id, urgent=urgent)
        if answer is None:
            raise OrderNotFound(client_order_id)
        return text(answer["id"])

    def _status(self, order_id: str, client_order_id: str) -> str:
        try:
            return _order(self.line.get_order(_order_path(order_id), urgent=True)).status
        except BrokerRejected:
            raise OrderNotFound(client_order_id) from None

    def _why_not_replaced(self, request: ReplaceRequest, order_id: str, refusal: BrokerRejected) -> BrokerError:
        """Say whether the successor's id was used, the original is gone or busy, or the terms were refused."""
        duplicate = _duplicate_or(refusal, request.client_order_id)
        if duplicate is not refusal:
            return duplicate
        try:
            status = self._status(order_id, request.original_client_order_id)
        except OrderNotFound as missing:
            return missing
        except BrokerUnavailable:
            return refusal
        if status in FINAL or status in BUSY:
            return OrderNotReplaceable(request.original_client_order_id, status)
        return refusal


def _order_path(order_id: str) -> str:
    return f"/orders/{quote(order_id, safe='')}"


def _duplicate_or(refusal: BrokerRejected, client_order_id: str) -> BrokerRejected:
    return DuplicateClientOrderId(client_order_id) if NOT_UNIQUE in refusal.reason else refusal


def _own_order(client_order_id: str) -> Callable[[object], BrokerOrder]:
    """Return the reader of the answer to a write; what is not about this order leaves the question open."""

    def read(answer: object) -> BrokerOrder:
        order = read_order(answer if isinstance(answer, Mapping) else {})
        if order.client_order_id != client_order_id or not order.broker_order_id:
            raise unreadable(f"sent {client_order_id}, told of {order.client_order_id[:64]!r}", writes=True)
        return order

    return read


def _order(answer: object) -> BrokerOrder:
    if not isinstance(answer, Mapping):
        raise unreadable("an order", writes=False)
    return read_order(answer)


def _require_number(name: str, value: Decimal) -> None:
    if not value.is_finite():
        raise BrokerRejected(f"{name}: {value} is not allowed; a finite number is", code="no_number")
