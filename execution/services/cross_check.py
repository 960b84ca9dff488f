"""Ask REST what the stream may have lost: executions first, then every order that is open in the book.

It is complete and slow, the stream fast and lossy; both tell the inbox the same facts under the same keys.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

import structlog
from django.db.models import Min

from execution.brokers.base import BrokerOrder
from execution.crashpoints import Point, crashpoint
from execution.models import BrokerLink, BrokerMessage, Order
from execution.services.inbox import POLL, Message, receive, status_key, untold
from execution.services.updates import ENDS, ZERO, closing, known_quantities, sent_orders
from execution.states import OrderStatus

log = structlog.get_logger(__name__)

S = OrderStatus
ALIVE = frozenset({"accepted", "partially_filled"})
OVERLAP = timedelta(minutes=5)
LONG_OVERLAP = timedelta(hours=1)
"""Market time before the newest known execution from which executions are read again; the long one after a silence."""
REMEMBERED = timedelta(minutes=2)
"""Wall time for which executions may come late: in a fast replay five minutes of the market are over in a second."""
END_WAITS = timedelta(seconds=30)
"""Wall time that an order's end waits for executions which the broker counts and does not tell."""
MISSED_AFTER = timedelta(seconds=5)
ASKED_AGAIN_AFTER = timedelta(seconds=8)
CANCEL_REFUSED_AFTER = timedelta(seconds=5)
NAMELESS_AFTER = timedelta(minutes=1)
"""Wall time after which an execution is told without its order's name: the broker does not find the order."""
MOST_NAMES = 10_000
MOST_ASKED = 10
MOST_SEARCHED = 2
MOST_NAMED = 3


class UpdateReader(Protocol):
    """REST as the cross-check needs it; every method raises `BrokerUnavailable` where there is no whole answer."""

    def executions(self, *, after: datetime) -> list[Message]:
        """Return every execution of the account later than `after` (market time), all pages, oldest first."""
        ...

    def open_orders(self) -> list[BrokerOrder]:
        """Return every order that may still fill; legs with their entry, or alone."""
        ...

    def order(self, broker_order_id: str) -> BrokerOrder | None:
        """Return one order in any state, None when the broker has none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What one cross-check found: rows that nobody had told, up to when executions are known, what is missing."""

    rows: list[BrokerMessage]
    until: datetime | None
    missing: list[str] = field(default_factory=list)
    """One line for each order of which the broker counts more shares than it tells executions of."""


class CrossCheck:
    """Compares the account's open orders with REST, round by round; one thread."""

    def __init__(self, *, account_id: int, reader: UpdateReader) -> None:
        self.account_id = account_id
        self.reader = reader
        self._until: datetime | None = None
        self._names: dict[str, str] = {}
        self._nameless_since: dict[str, datetime] = {}
        self._short_since: dict[str, datetime] = {}
        self._asked_at: dict[str, datetime] = {}
        self._searched_at: dict[str, datetime] = {}
        self._reached: deque[tuple[datetime, datetime]] = deque()

    def round(self, *, wall_now: datetime, long: bool = False) -> Checked:
        """Read executions, then orders, and tell the inbox what is new; `long` after a time without a stream.

        Lock: the link, shortly. No REST call within a transaction.
        :raises BrokerUnavailable: REST gave no whole answer; what was stored before stays
        """
        rows: list[BrokerMessage] = []
        after = self._after(wall_now, long=long)
        if after is not None:
            executions = self.reader.executions(after=after)
            rows += self._receive(self._named(executions, wall_now), wall_now)
            crashpoint(Point.CHECK_AFTER_EXECUTIONS)
        listed = {order.broker_order_id: order for order in _with_legs(self.reader.open_orders())}
        orders = sent_orders(self.account_id)
        states = self._states(orders, listed, wall_now)
        rows += self._search(states, wall_now)
        known = known_quantities(self.account_id, [state.broker_order_id for _, state in states])
        told = [
            self._verdict(order, state, known.get(state.broker_order_id, ZERO), wall_now) for order, state in states
        ]
        rows += self._receive([message for message in told if message is not None], wall_now)
        self._forget({order.broker_order_id for order in orders} | {state.broker_order_id for _, state in states})
        return Checked(rows=rows, until=self._until, missing=self._missing(states, known, wall_now))

    def _receive(self, messages: list[Message], wall_now: datetime) -> list[BrokerMessage]:
        return receive(account_id=self.account_id, messages=messages, wall_now=wall_now)

    def _named(self, executions: list[Message], wall_now: datetime) -> list[Message]:
        """Give executions the client_order_id of their orders, which REST does not tell with them.

        The book may know an order by that alone, when the answer to its submit was lost. What cannot be named yet is
        left for a later round, and executions are read again from there.
        """
        new = untold(self.account_id, executions)
        self._learn_names({message.broker_order_id for message in new}, wall_now)
        ready = [
            replace(message, client_order_id=self._names[message.broker_order_id])
            for message in new
            if message.broker_order_id in self._names
        ]
        left = [message.at for message in new if message.broker_order_id not in self._names]
        reached = [message.at for message in executions if not left or message.at < min(left)]
        self._until = max((*reached, *([] if self._until is None else [self._until])), default=None)
        return ready

    def _learn_names(self, order_ids: set[str], wall_now: datetime) -> None:
        unknown = order_ids - set(self._names)
        if len(self._names) > MOST_NAMES:
            self._names.clear()
        for rows in (Order.objects, BrokerMessage.objects.exclude(client_order_id="").order_by()):
            told = rows.filter(account_id=self.account_id, broker_order_id__in=unknown)
            self._names |= dict(told.values_list("broker_order_id", "client_order_id"))
        for order_id in sorted(unknown - set(self._names))[:MOST_ASKED]:
            order = self.reader.order(order_id)
            if order is not None:
                self._names[order_id] = order.client_order_id
            elif wall_now - self._nameless_since.setdefault(order_id, wall_now) >= NAMELESS_AFTER:
                self._names[order_id] = ""

    def _after(self, wall_now: datetime, *, long: bool) -> datetime | None:
        """Return from when executions are read; None when nothing of ours can have been executed yet."""
        until = self._until or self._noted()
        if until is None:
            first = Order.objects.filter(account_id=self.account_id).aggregate(Min("market_at"))["market_at__min"]
            return None if first is None else first - OVERLAP
        self._reached.append((wall_now, until))
        while wall_now - self._reached[0][0] > REMEMBERED:
            self._reached.popleft()
        return min(until - (LONG_OVERLAP if long else OVERLAP), self._reached[0][1] - OVERLAP)

    def _noted(self) -> datetime | None:
        """Return how far an earlier process has come."""
        return BrokerLink.objects.filter(account_id=self.account_id).values_list("backfilled_until", flat=True).first()

    def _states(
        self, orders: Sequence[Order], listed: Mapping[str, BrokerOrder], wall_now: datetime
    ) -> list[tuple[Order, BrokerOrder]]:
        """Find each order's state at the broker: in the open list, else by asking for it, a few in each round."""
        by_client_id = {state.client_order_id: state for state in listed.values()}
        found = [
            (order, listed.get(order.broker_order_id) or by_client_id.get(order.client_order_id)) for order in orders
        ]
        absent = [order for order, state in found if state is None and order.broker_order_id]
        due = [order for order in absent if self._is_due(self._asked_at, order.broker_order_id, wall_now)]
        due.sort(key=lambda order: self._asked_at.get(order.broker_order_id, order.created_at))
        states = [(order, state) for order, state in found if state is not None]
        for order in due[:MOST_ASKED]:
            self._asked_at[order.broker_order_id] = wall_now
            state = self.reader.order(order.broker_order_id)
            if state is not None:
                states.append((order, state))
        return states

    def _is_due(self, times: Mapping[str, datetime], broker_order_id: str, wall_now: datetime) -> bool:
        last = times.get(broker_order_id)
        return last is None or wall_now - last >= ASKED_AGAIN_AFTER or broker_order_id in self._short_since

    def _search(self, states: Sequence[tuple[Order, BrokerOrder]], wall_now: datetime) -> list[BrokerMessage]:
        """Read executions from the order's beginning where the broker counts more than it has told for some time."""
        known = known_quantities(self.account_id, [state.broker_order_id for _, state in states])
        rows: list[BrokerMessage] = []
        searched = 0
        for order, state in states:
            order_id = state.broker_order_id
            if known.get(order_id, ZERO) >= state.filled_quantity:
                self._short_since.pop(order_id, None)
                continue
            since = self._short_since.setdefault(order_id, wall_now)
            last = self._searched_at.get(order_id)
            recently = last is not None and wall_now - last < ASKED_AGAIN_AFTER
            if wall_now - since < MISSED_AFTER or recently or searched == MOST_SEARCHED:
                continue
            searched += 1
            self._searched_at[order_id] = wall_now
            executions = self.reader.executions(after=order.market_at - OVERLAP)
            named = [
                replace(m, client_order_id=order.client_order_id) for m in executions if m.broker_order_id == order_id
            ]
            rows += self._receive(named, wall_now)
        return rows

    def _verdict(self, order: Order, state: BrokerOrder, known: Decimal, wall_now: datetime) -> Message | None:
        """Say what the inbox should be told of an order, if anything."""
        if state.status in ENDS or state.status == "filled":
            return self._end(order, state, known, wall_now)
        if order.status in (S.SUBMITTED, S.HELD) and state.status != "held":
            return _message(state, "accepted")
        if order.status == S.PENDING_CANCEL and state.status in ALIVE:
            return self._refused_cancel(order, state, wall_now)
        return None

    def _end(self, order: Order, state: BrokerOrder, known: Decimal, wall_now: datetime) -> Message | None:
        if known >= state.filled_quantity:
            if state.status != "filled":
                return _message(state, state.status)
            short = order.quantity > known
            return closing(order, state.broker_order_id, known, state.updated_at, POLL) if short else None
        waited = wall_now - self._short_since.get(state.broker_order_id, wall_now)
        if waited < END_WAITS or state.status == "filled":
            return None
        told = f"{known.normalize():f} of {state.filled_quantity.normalize():f} filled shares were told"
        log.error("broker_order_ended_short", order_id=order.pk, status=state.status, told=told)
        return _message(state, state.status, reason=f"only {told}")

    def _refused_cancel(self, order: Order, state: BrokerOrder, wall_now: datetime) -> Message | None:
        """Say that a cancel was refused: it was sent some time ago and the broker does not even think about it."""
        sent_at = order.cancel_sent_at
        if sent_at is None or wall_now - sent_at < CANCEL_REFUSED_AFTER:
            return None
        refusal = _message(state, "cancel_rejected", reason="the order works on although a cancel was sent")
        return replace(refusal, key=status_key(state.broker_order_id, "cancel_rejected", sent_at))

    def _forget(self, present: set[str]) -> None:
        """Drop what is remembered of orders that are over."""
        for memory in (self._short_since, self._asked_at, self._searched_at):
            for order_id in set(memory) - present:
                del memory[order_id]

    def _missing(
        self, states: Sequence[tuple[Order, BrokerOrder]], known: Mapping[str, Decimal], wall_now: datetime
    ) -> list[str]:
        late = [
            f"{order.client_order_id}: {state.filled_quantity.normalize():f} shares filled, "
            f"executions of {known.get(state.broker_order_id, ZERO).normalize():f} told"
            for order, state in states
            if wall_now - self._short_since.get(state.broker_order_id, wall_now) >= MISSED_AFTER
            and known.get(state.broker_order_id, ZERO) < state.filled_quantity
        ]
        return late[:MOST_NAMED] + ([f"and {len(late) - MOST_NAMED} more"] if len(late) > MOST_NAMED else [])


def _with_legs(orders: Iterable[BrokerOrder]) -> list[BrokerOrder]:
    found: list[BrokerOrder] = []
    for order in orders:
        found += [order, *_with_legs(order.legs)]
    return found


def _message(state: BrokerOrder, kind: str, *, reason: str = "") -> Message:
    return Message(
        key=status_key(state.broker_order_id, kind, state.updated_at),
        source=POLL,
        kind=kind,
        client_order_id=state.client_order_id,
        broker_order_id=state.broker_order_id,
        at=state.updated_at,
        cumulative_quantity=state.filled_quantity,
        reason=reason or state.reason,
        payload={"status": state.status, "filled_qty": str(state.filled_quantity), "symbol": state.symbol},
    )
