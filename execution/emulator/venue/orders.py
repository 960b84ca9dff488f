"""Orders as the venue keeps them, and the book that finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from execution.alpaca_wire.answers import asset_id_of
from execution.alpaca_wire.errors import order_not_found
from execution.alpaca_wire.orders import OrderBody, order_answer
from execution.matching.groups import GroupState, Member, Role, Stage
from execution.matching.orders import WorkingOrder
from risk.types import Side

ZERO = Decimal(0)
PRICE_STEP = Decimal("0.00000001")
PENDING = frozenset({"pending_cancel", "pending_replace"})
MATCHABLE = frozenset({"accepted", "new", "partially_filled"}) | PENDING
LIVE = MATCHABLE | {"pending_new", "done_for_day", "held"}


@dataclass(slots=True)
class Group:
    """The changing state of a bracket, OCO or OTO; all its orders share the one object."""

    state: GroupState


@dataclass(slots=True, kw_only=True)
class VenueOrder:
    """One order. `body` is what was asked for, `working` how it executes (a buy stop works as a stop-limit).

    `taken` is its JSON as the client was answered. `carried` are the shares that the orders before it in a chain of
    replacements had filled: `body.quantity` counts them, `working.quantity` does not. `waits_for` is the order that it
    is to replace, `replacement` the one that is to replace it, both only while that is pending. `reserve_price`
    (account currency a share) is 0 for what only closes a position.
    """

    id: str
    client_order_id: str
    body: OrderBody
    working: WorkingOrder
    status: str
    created_at: datetime
    submitted_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None
    reserve_price: Decimal = ZERO
    carried: Decimal = ZERO
    before_pending: str = ""
    waits_for: str | None = None
    replacement: VenueOrder | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    parent_id: str | None = None
    leg_ids: list[str] = field(default_factory=list)
    group: Group | None = None
    taken: dict[str, Any] | None = None
    hidden_until: datetime | None = None
    filled_at: datetime | None = None
    expired_at: datetime | None = None
    canceled_at: datetime | None = None
    failed_at: datetime | None = None
    replaced_at: datetime | None = None

    @property
    def symbol(self) -> str:
        """Return the symbol."""
        return self.body.symbol

    @property
    def side(self) -> Side:
        """Return the side."""
        return self.working.side

    @property
    def sequence(self) -> int:
        """Return its place in time."""
        return self.working.sequence

    @property
    def filled_quantity(self) -> Decimal:
        """Return the shares it executed itself."""
        return self.working.filled_quantity

    @property
    def is_live(self) -> bool:
        """Whether it may still execute, now or later."""
        return self.status in LIVE

    @property
    def member(self) -> Member | None:
        """Return its part in its group, None where it has none (yet)."""
        return None if self.group is None else self.group.state.member(self.sequence)

    @property
    def is_held(self) -> bool:
        """Whether it waits for the entry of its group, also while its cancel or replacement is pending."""
        return self.member is not None and self.member.stage == Stage.HELD

    @property
    def is_exit(self) -> bool:
        """Whether it is there to close what the entry of its group opens."""
        return self.member is not None and self.member.role != Role.ENTRY

    @property
    def is_matchable(self) -> bool:
        """Whether it meets the market's events."""
        return self.status in MATCHABLE and self.waits_for is None and not self.is_held

    @property
    def leaves_quantity(self) -> Decimal:
        """Return the shares that it may still execute."""
        return max(self.working.leaves_quantity, ZERO) if self.is_live else ZERO

    @property
    def reserved(self) -> Decimal:
        """Return the buying power that it holds, account currency."""
        return self.leaves_quantity * self.reserve_price

    @property
    def held_shares(self) -> Decimal:
        """Return the shares that it keeps from other closing orders; an exit that waits, what the entry has got."""
        if self.group is None or not self.is_held:
            return self.leaves_quantity
        return sum((each.filled for each in self.group.state.members if each.role == Role.ENTRY), ZERO)

    @property
    def average_price(self) -> Decimal | None:
        """Return the average price of its executions."""
        if not self.filled_quantity:
            return None
        return (self.working.filled_notional / self.filled_quantity).quantize(PRICE_STEP)

    @property
    def facts(self) -> dict[str, str]:
        """Return what faults are matched with."""
        return {"client_order_id": self.client_order_id, "symbol": self.symbol}

    def answer(self, *, legs: list[dict[str, Any]] | None = None, without_average: bool = False) -> dict[str, Any]:
        """Return its JSON."""
        average = self.average_price
        return order_answer(
            id=self.id,
            client_order_id=self.client_order_id,
            asset_id=asset_id_of(self.symbol),
            symbol=self.symbol,
            side=self.body.side,
            quantity=self.body.quantity,
            order_type=self.body.order_type,
            time_in_force=self.body.time_in_force,
            status=self.status,
            created_at=self.created_at,
            submitted_at=self.submitted_at,
            updated_at=self.updated_at,
            filled_quantity=self.filled_quantity,
            average_fill_price=ZERO if without_average and average is not None else average,
            limit_price=self.body.limit_price,
            stop_price=self.body.stop_price,
            extended_hours=self.body.extended_hours,
            order_class=self.body.order_class,
            filled_at=self.filled_at,
            expires_at=self.expires_at,
            expired_at=self.expired_at,
            canceled_at=self.canceled_at,
            failed_at=self.failed_at,
            replaced_at=self.replaced_at,
            replaced_by=self.replaced_by,
            replaces=self.replaces,
            legs=legs,
        )


def held_once(orders: Iterable[VenueOrder], amount_of: Callable[[VenueOrder], Decimal]) -> Decimal:
    """Sum what orders hold; those of a group hold the same, an order and its replacement the larger of both."""
    largest: dict[object, Decimal] = {}
    for order in orders:
        key: object = order.waits_for or order.id if order.group is None else id(order.group)
        largest[key] = max(largest.get(key, ZERO), amount_of(order))
    return sum(largest.values(), ZERO)


class OrderBook:
    """Every order the account ever had, in order of entry."""

    def __init__(self) -> None:
        self._by_id: dict[str, VenueOrder] = {}
        self._by_client_id: dict[str, VenueOrder] = {}
        self._by_sequence: dict[int, VenueOrder] = {}
        self._live: dict[int, VenueOrder] = {}

    def __iter__(self) -> Iterator[VenueOrder]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def next_sequence(self) -> int:
        """Return the place in time of the next order."""
        return len(self._by_sequence) + 1

    def add(self, order: VenueOrder) -> None:
        """Add a new order."""
        assert order.sequence not in self._by_sequence
        assert order.client_order_id not in self._by_client_id
        self._by_id[order.id] = order
        self._by_client_id[order.client_order_id] = order
        self._by_sequence[order.sequence] = order
        self._live[order.sequence] = order

    def knows(self, client_order_id: str) -> bool:
        """Tell whether a client order id was ever used."""
        return client_order_id in self._by_client_id

    def get(self, order_id: str) -> VenueOrder:
        """Return an order by the broker's id.

        :raises WireError: 404
        """
        order = self._by_id.get(order_id)
        if order is None:
            raise order_not_found(order_id)
        return order

    def by_client_id(self, client_order_id: str) -> VenueOrder:
        """Return an order by the client's id.

        :raises WireError: 404
        """
        order = self._by_client_id.get(client_order_id)
        if order is None:
            raise order_not_found(client_order_id)
        return order

    def by_sequence(self, sequence: int) -> VenueOrder:
        """Return an order by its place in time."""
        return self._by_sequence[sequence]

    def live(self, symbol: str | None = None) -> list[VenueOrder]:
        """Return the orders that may still execute, in order of entry, of one symbol or of all."""
        for sequence in [sequence for sequence, order in self._live.items() if not order.is_live]:
            del self._live[sequence]
        return [order for order in self._live.values() if symbol is None or order.symbol == symbol]

    def matchable(self, symbol: str | None = None) -> list[VenueOrder]:
        """Return the orders that meet the market's events."""
        return [order for order in self.live(symbol) if order.is_matchable]

    def legs_of(self, order: VenueOrder) -> list[VenueOrder]:
        """Return the newest order of each leg."""
        return [self.newest(self._by_id[leg]) for leg in order.leg_ids]

    def newest(self, order: VenueOrder) -> VenueOrder:
        """Return the order at the end of a chain of replacements."""
        while order.replaced_by is not None:
            order = self._by_id[order.replaced_by]
        return order
