"""The port to a broker: what the platform asks of one, and the plain values that cross the border.

Every adapter keeps these promises; `tests/execution/brokers/contract.py` is the same in code:

* `client_order_id` is unique at the broker for ever. A second submit raises `DuplicateClientOrderId`; the caller
  then asks with `find` and adopts what is there.
* An exception says what is known: `BrokerRejected` is final, `BrokerUnavailable` sent nothing, `BrokerOutcomeUnknown`
  leaves the question open. Nothing else leaves an adapter.
* Reports are numbered upwards from 1 without a repeat, and any cursor replays the same ones in the same order.
  A consumer which applies a report and moves its cursor in one transaction applies each exactly once.
* No method is called inside a database transaction of the caller's ledger.

All money is `Decimal` in account currency, quantities are shares, times are aware UTC *market* time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol

BrokerOrderStatus = Literal[
    "held",
    "accepted",
    "partially_filled",
    "filled",
    "pending_cancel",
    "canceled",
    "expired",
    "rejected",
    "replaced",
    "pending_replace",
]
ReportKind = Literal[
    "accepted",
    "fill",
    "canceled",
    "expired",
    "rejected",
    "cancel_rejected",
    "replaced",
    "replace_rejected",
    "corrected",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRequest:
    """One held leg of a group; side is the opposite of the entry's, quantity and time in force are the same.

    A broker may name its legs itself: the ledger knows them by `role` until it has learnt their `broker_order_id`.
    """

    role: str
    """`take_profit` (a limit order) or `stop_loss` (a stop, or with a limit price a stop-limit order)."""
    client_order_id: str
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """One order as it is sent; the words are the ledger's, the adapter translates them."""

    client_order_id: str
    symbol: str
    side: str
    """`buy` or `sell`; selling more than is held is a short sale."""
    quantity: Decimal
    order_type: str
    """`market`, `limit`, `stop` or `stop_limit`."""
    time_in_force: str
    """`day`, `gtc`, `ioc`, `fok`, `opg` or `cls`."""
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    extended_hours: bool = False
    order_class: str = ""
    """Empty, or `bracket`, `oco`, `oto`: then `legs` are held until the order has filled (an OCO's works beside it)."""
    legs: tuple[LegRequest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceRequest:
    """The terms that an order at the broker shall have from now on, under a new id.

    `quantity` is the new total: what the original has filled until the broker replaces it counts against it.
    """

    client_order_id: str
    """Of the successor; used once for ever like any other."""
    original_client_order_id: str
    original_broker_order_id: str
    quantity: Decimal
    time_in_force: str
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOrder:
    """The broker's present view of one order.

    `role` is that of a leg, as far as the broker tells; `legs` are there when the broker shows them with the order.
    """

    client_order_id: str
    broker_order_id: str
    symbol: str
    side: str
    quantity: Decimal
    status: BrokerOrderStatus
    filled_quantity: Decimal
    average_fill_price: Decimal | None
    updated_at: datetime
    reason: str = ""
    role: str = ""
    legs: tuple[BrokerOrder, ...] = ()
    terms: OrderTerms | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTerms:
    """What an order asks for, as far as a broker tells it with its view of the order; empty is not told."""

    order_type: str = ""
    time_in_force: str = ""
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    extended_hours: bool = False
    submitted_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerReport:
    """One thing that happened to an order at the broker.

    `broker_execution_id`, `quantity`, `price` and `fee` belong to fills and are of this execution alone;
    `cumulative_quantity` is the order's filled quantity after the report, whatever its kind. A `replaced` report is the
    original's. An order is found by `client_order_id`, or by `broker_order_id` where the broker chose the former;
    `symbol` is told where an order may be somebody else's. `corrected` takes back or changes an execution.
    """

    sequence: int
    kind: ReportKind
    client_order_id: str
    broker_order_id: str
    at: datetime
    cumulative_quantity: Decimal
    broker_execution_id: str | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    fee: Decimal | None = None
    reason: str = ""
    symbol: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPosition:
    """What the broker says the account holds; a short position is negative. Flat symbols are left out."""

    symbol: str
    quantity: Decimal
    average_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAccount:
    """The broker's view of the account; `equity` is None where the broker keeps no marks.

    `suspended` says whether the account's owner has told the broker to take no orders (the second lock beside the kill
    switch), None where a broker has no such lock. `account_id` and `key_fingerprint` (SHA-256 of the key's id) say who
    we are at a broker over a network, and are empty elsewhere.
    """

    account_number: str
    cash: Decimal
    equity: Decimal | None = None
    trading_blocked: bool = False
    suspended: bool | None = None
    account_id: str = ""
    key_fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerActivity:
    """Cash that moved without a trade: a fee, interest, a dividend, a transfer; negative went out.

    `kind` is the broker's word, `means` the ledger's: fee, interest, dividend, deposit, withdrawal or other.
    """

    activity_id: str
    kind: str
    means: str
    amount: Decimal
    at: datetime
    symbol: str = ""
    description: str = ""


class BrokerError(Exception):
    """Base of everything an adapter raises; `reason` is one line for people, `code` one word for programs."""

    def __init__(self, reason: str, *, code: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class BrokerRejected(BrokerError):
    """The broker refused; the same request will be refused again."""

    def __init__(self, reason: str, *, code: str) -> None:
        super().__init__(reason, code=code)


class DuplicateClientOrderId(BrokerRejected):
    """An order with this client_order_id is there already; ask for it with `find`."""

    def __init__(self, client_order_id: str) -> None:
        super().__init__(f"client_order_id {client_order_id} was used before", code="duplicate_client_order_id")


class OrderNotFound(BrokerRejected):
    """The broker has no such order."""

    def __init__(self, client_order_id: str) -> None:
        super().__init__(f"no order with client_order_id {client_order_id}", code="order_not_found")


class OrderNotReplaceable(BrokerRejected):
    """The order is finished, or in a state that takes no new terms; ask for it with `find`."""

    def __init__(self, client_order_id: str, status: str) -> None:
        super().__init__(f"order {client_order_id} is {status}", code="order_not_replaceable")


class OrderNotCancelable(BrokerRejected):
    """The order is finished; ask for it with `find` to see how."""

    def __init__(self, client_order_id: str, status: str) -> None:
        super().__init__(f"order {client_order_id} is {status}", code="order_not_cancelable")


class BrokerUnavailable(BrokerError):
    """Nothing was sent: it is safe to try again."""


class BrokerUnreachable(BrokerUnavailable):
    """Nobody answers, or no more requests are allowed: whatever is asked next would fail as well."""


class BrokerHeldBack(BrokerUnavailable):
    """It was not tried: the orders before it met trouble, or it may not leave any more."""

    def __init__(self, client_order_id: str) -> None:
        super().__init__(f"order {client_order_id} was claimed and held back: it looks again", code="held_back")


class BrokerOutcomeUnknown(BrokerError):
    """The request may have taken effect: ask by client_order_id, never send again blindly."""


class BrokerNotConfigured(BrokerUnavailable):
    """The account's mode has no adapter or no credentials here, so nothing can be sent."""


class WrongAccount(BrokerUnavailable):
    """Who answers is not the account that was met first, or not one of the account's mode: nothing may be sent."""


MaySend = Callable[[str], bool]
"""Tells whether the order with this client_order_id may still leave."""


def goes_on(answers: Iterable[BrokerOrder | BrokerError], client_order_id: str, may_send: MaySend | None) -> bool:
    """Tell whether the next order of a batch is sent: while all before it were taken and somebody lets it.

    One that was itself held back is no trouble for the next.
    """
    if may_send is None:
        return True
    taken = all(isinstance(answer, BrokerOrder | BrokerHeldBack) for answer in answers)
    return taken and may_send(client_order_id)


class Broker(Protocol):
    """One account at one broker."""

    @property
    def name(self) -> str:
        """Return the adapter's word, for logs and `broker` columns."""
        ...

    @property
    def is_dry_run(self) -> bool:
        """Return True when orders must be marked `dry_run` and never submitted here."""
        ...

    @property
    def not_found_grace_seconds(self) -> int:
        """Return for how long after a submit a missing order proves nothing (read-after-write lag), seconds."""
        ...

    @property
    def submit_batch_size(self) -> int:
        """Return how many orders may be claimed at once.

        Few where each costs a round trip that may hang: what is told meanwhile is booked between two claims.
        """
        ...

    @property
    def pause_seconds(self) -> Decimal:
        """Return for how long no new order shall be sent (rate budget, back-off); 0 is at once. Cancels do not wait."""
        ...

    def submit(self, request: OrderRequest, *, at: datetime) -> BrokerOrder:
        """Send one order with its legs.

        :raises BrokerRejected: refused for good; `DuplicateClientOrderId` when the id was used before
        :raises BrokerUnavailable: nothing was sent
        :raises BrokerOutcomeUnknown: the order may exist
        """
        ...

    def submit_many(
        self, requests: Sequence[OrderRequest], *, at: datetime, may_send: MaySend | None = None
    ) -> list[BrokerOrder | BrokerError]:
        """Send orders in as few round trips as the broker allows; one answer per request, in their order.

        An order's failure is returned, not raised, and does not touch its neighbours. Where each order is a round trip
        of its own, `may_send` is asked right before each; those that it holds back, and when it was given all after one
        that was not taken, are answered with `BrokerHeldBack`.
        """
        ...

    def replace(self, request: ReplaceRequest, *, at: datetime) -> BrokerOrder:
        """Ask for new terms; returns the successor. Whether the original gave way comes as a report.

        :raises OrderNotFound: no such original
        :raises OrderNotReplaceable: the original is finished or busy
        :raises BrokerRejected, BrokerUnavailable, BrokerOutcomeUnknown: as `submit`, with the successor's id
        """
        ...

    def cancel(self, *, client_order_id: str, broker_order_id: str, at: datetime) -> None:
        """Ask for a cancel; the outcome comes as a report. `broker_order_id` may be empty when it was never learnt.

        :raises OrderNotFound: no such order
        :raises OrderNotCancelable: the order is finished
        :raises BrokerUnavailable: not now (no connection, or a replace is under way): ask again
        """
        ...

    def suspend(self, suspended: bool) -> None:
        """Tell the broker to take no orders of the account at all, or to take them again; no-op where it cannot.

        :raises BrokerUnavailable: ask again
        """
        ...

    def find(self, client_order_id: str) -> BrokerOrder | None:
        """Return the order in any state, None when the broker has none."""
        ...

    def open_orders(self) -> list[BrokerOrder]:
        """Return every order that may still fill, oldest first."""
        ...

    def reports_since(self, cursor: int, limit: int = 500) -> list[BrokerReport]:
        """Return at most `limit` reports with a sequence above `cursor`, ascending; an empty list means none yet."""
        ...

    def positions(self) -> list[BrokerPosition]:
        """Return the non-flat positions, by symbol."""
        ...

    def account(self) -> BrokerAccount:
        """Return cash and state of the account."""
        ...

    # What reconciliation asks besides

    def order(self, broker_order_id: str) -> BrokerOrder | None:
        """Return the order of the broker's own id in any state, None when the broker has none."""
        ...

    def closed_orders(self, *, after: datetime) -> list[BrokerOrder]:
        """Return every order submitted later than `after` (market time) that may fill no more, oldest first."""
        ...

    def position(self, symbol: str) -> BrokerPosition | None:
        """Return one position, None when the broker says that there is none; a failure is never an answer."""
        ...

    def executions_of(self, *, client_order_id: str, broker_order_id: str, since: datetime, wall_now: datetime) -> int:
        """Bring the order's executions later than `since` among the reports; returns how many were not there."""
        ...

    def activities(self, *, after: datetime) -> list[BrokerActivity]:
        """Return cash that no trade moved, later than `after` (market time), oldest first; some may be older."""
        ...
