"""A unit of work over locked orders and their position rows: the one place where orders change after the gate.

Lock order is account, order (by pk), position (by pk), whatever is asked for; whoever changes orders goes through here,
so the order cannot be got wrong. Steps are checked against the transition table, reservations follow, and everything is
written at the end in a few statements.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial, reduce
from operator import or_
from typing import Any, Self

from django.db import transaction
from django.db.models import Q

from execution import reservation
from execution.errors import IllegalTransition
from execution.models import Account, CashEntry, Fill, Order, OrderEvent, Position
from execution.services.broker_faults import note_rejects
from execution.services.bulk import write_back
from execution.services.overfills import tell_late_fills
from execution.services.refusals import note_refusal
from execution.signals import orders_changed, positions_changed
from execution.states import OPEN, OrderStatus, may_follow

ORDER_FIELDS = (
    "status",
    "filled_quantity",
    "average_fill_price",
    "broker_order_id",
    "event_count",
    "error_code",
    "error_message",
    "submitted_at",
    "closed_at",
    "cancel_requested_at",
    "cancel_sent_at",
    "cover_quantity",
    "reserve_price",
    "loss_per_share",
)
POSITION_FIELDS = (
    "quantity",
    "cost_basis",
    "realized_pnl",
    "fees",
    "dividends",
    "open_buy_quantity",
    "open_sell_quantity",
    "open_buy_notional",
    "open_sell_notional",
    "reserved_loss",
    "open_order_count",
    "long_cap",
    "short_cap",
    "current_price",
    "current_price_at",
    "turnover",
    "message_minute",
    "message_count",
    "updated_at",
)


@dataclass(slots=True)
class Journal:
    """Locked rows, and what is to be written of them. Use inside a transaction; end with `save`."""

    market_at: datetime
    wall_now: datetime
    account: Account | None = None
    orders: dict[int, Order] = field(default_factory=dict)
    positions: dict[tuple[int, int, int], Position] = field(default_factory=dict)
    events: list[OrderEvent] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    cash: list[CashEntry] = field(default_factory=list)
    _touched_orders: set[int] = field(default_factory=set)
    _touched_positions: set[tuple[int, int, int]] = field(default_factory=set)

    @classmethod
    def lock(
        cls,
        *,
        orders: Q,
        market_at: datetime,
        wall_now: datetime,
        account_id: int | None = None,
        skip_locked: bool = False,
        limit: int | None = None,
    ) -> Self:
        """Lock the account (when given), the orders that match, and their position rows."""
        account = None
        if account_id is not None:
            account = Account.objects.select_for_update(no_key=True).get(pk=account_id)
        found = Order.objects.select_for_update(of=("self",), no_key=True, skip_locked=skip_locked)
        locked = list(found.select_related("instrument", "strategy").filter(orders).order_by("pk")[:limit])
        journal = cls(market_at=market_at, wall_now=wall_now, account=account)
        journal.orders = {order.pk: order for order in locked}
        journal._lock_positions(locked)
        return journal

    def position(self, order: Order) -> Position:
        """Return the locked position row of the order."""
        return self.positions[order.account_id, order.strategy_id, order.instrument_id]

    def step(
        self,
        order: Order,
        to: OrderStatus,
        *,
        source: str,
        actor: str = "",
        detail: dict[str, Any] | None = None,
        filled: Decimal | None = None,
        average_price: Decimal | None = None,
    ) -> None:
        """Move a locked order one step and its reservation with it; `filled` is the cumulative quantity after it.

        :raises IllegalTransition: the table does not know the step
        """
        before_status = OrderStatus(order.status)
        if not may_follow(before_status, to):
            raise IllegalTransition(f"order {order.pk}: {before_status} cannot become {to}")
        before = reservation.reservation_of(order)
        order.status = to
        if filled is not None:
            order.filled_quantity, order.average_fill_price = filled, average_price
        order.closed_at = None if to in OPEN else order.closed_at or self.wall_now
        if to == OrderStatus.REJECTED:
            note_refusal(order, self.wall_now)
        order.event_count += 1
        self._move_reservation(order, before)
        self._touched_orders.add(order.pk)
        self.events.append(
            OrderEvent(
                order=order,
                sequence=order.event_count,
                from_status=before_status,
                to_status=to,
                source=source,
                actor=actor,
                filled_quantity=order.filled_quantity,
                detail=detail or {},
                market_at=self.market_at,
                created_at=self.wall_now,
            )
        )

    def amend(self, order: Order, **fields: Decimal | None) -> None:
        """Change what a locked order holds (its cover, the price it is counted at) without a step of its own."""
        before = reservation.reservation_of(order)
        for name, value in fields.items():
            setattr(order, name, value)
        self._move_reservation(order, before)
        self._touched_orders.add(order.pk)

    def join(self, orders: Q) -> None:
        """Lock further orders of position lines that are locked already, passing over what somebody else holds.

        Waits for nobody, so it may come after orders with larger ids.
        """
        found = Order.objects.select_for_update(of=("self",), no_key=True, skip_locked=True).filter(orders)
        for order in found.select_related("instrument", "strategy").order_by("pk"):
            self.orders.setdefault(order.pk, order)

    def touch(self, order: Order) -> None:
        """Write the order at the end although it took no step (a broker id learnt, a cancel noted)."""
        self._touched_orders.add(order.pk)

    def touch_position(self, position: Position) -> None:
        """Write the position row at the end."""
        self._touched_positions.add((position.account_id, position.strategy_id, position.instrument_id))

    def save(self) -> None:
        """Write everything in input order: orders, positions, events, fills, cash; news go out after the commit."""
        orders = [self.orders[pk] for pk in sorted(self._touched_orders)]
        positions = sorted((self.positions[key] for key in self._touched_positions), key=lambda row: row.pk)
        for row in positions:
            row.updated_at = self.wall_now
        write_back(orders, ORDER_FIELDS)
        write_back(positions, POSITION_FIELDS)
        OrderEvent.objects.bulk_create(self.events)
        note_rejects(self.events, wall_now=self.wall_now)
        tell_late_fills(self.events, wall_now=self.wall_now)
        Fill.objects.bulk_create(self.fills)
        CashEntry.objects.bulk_create(self.cash)
        self._announce(orders, positions)

    def _lock_positions(self, orders: Iterable[Order]) -> None:
        keys = {(order.account_id, order.strategy_id, order.instrument_id) for order in orders}
        if not keys:
            return
        wanted = reduce(or_, (Q(account_id=a, strategy_id=s, instrument_id=i) for a, s, i in keys))
        rows = Position.objects.select_for_update(of=("self",), no_key=True).filter(wanted).order_by("pk")
        self.positions = {(row.account_id, row.strategy_id, row.instrument_id): row for row in rows}

    def _move_reservation(self, order: Order, before: reservation.Reservation) -> None:
        change = reservation.reservation_of(order).minus(before)
        if change == reservation.Reservation():
            return
        position = self.position(order)
        reservation.apply(position, change)
        if change.buy_quantity > 0 or change.sell_quantity > 0:
            reservation.widen_caps(position)  # a broker's doing: nothing grows by ours after the gate
        self.touch_position(position)

    def _announce(self, orders: list[Order], positions: list[Position]) -> None:
        for account_id in {order.account_id for order in orders}:
            ids = [order.pk for order in orders if order.account_id == account_id]
            transaction.on_commit(partial(orders_changed.send_robust, Order, account_id=account_id, order_ids=ids))
        for account_id in {row.account_id for row in positions}:
            ids = [row.pk for row in positions if row.account_id == account_id]
            transaction.on_commit(
                partial(positions_changed.send_robust, Position, account_id=account_id, position_ids=ids)
            )
