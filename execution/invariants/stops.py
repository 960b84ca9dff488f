"""I4: after a kill switch was acknowledged the broker's log holds no new order that it stops; cancels still pass."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from execution.emulator.log import EventLog
from execution.invariants.broker_log import ENDS, ENTERED
from execution.invariants.violation import MOST, Violation
from execution.matching.holdings import Holding
from execution.models import Account, Order
from risk.states import SwitchLevel

I4 = "I4"
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A time in which the switch was engaged, in numbers of the broker's log.

    `after` is the newest entry when the engage was acknowledged, `until` when the release was asked for (None: it is
    engaged still). `in_flight` are the client order ids that were on their way to the broker at that moment.
    """

    scope: str
    after: int
    until: int | None = None
    level: str = SwitchLevel.HALTED
    in_flight: frozenset[str] = frozenset()


def check_stops(account: Account, log: EventLog, stops: Sequence[Stop], *, settled: bool = True) -> list[Violation]:
    """Find what was sent in spite of a switch, and where all is settled what works under one that is engaged."""
    if not stops:
        return []
    orders = _ours(account)
    found = []
    for sequence, order_id, data, held in _entered(log):
        # A leg leaves with its entry.
        order = orders.get(data.get("parent_id", "")) or orders.get(order_id) or orders.get(data["client_order_id"])
        if order is None:
            continue  # somebody else's, which I1 tells
        found += [
            Violation(I4, f"broker order {order_id}", f"{data['client_order_id']} was taken (entry {sequence}) {stop}")
            for stop in stops
            if _stops(stop, account, order, sequence, data, held)
        ]
    return (found + (_still_working(account, log, stops, orders) if settled else []))[:MOST]


def _ours(account: Account) -> dict[str, Order]:
    """Return our orders by both their names; what somebody else sent and we adopted, no switch of ours stops."""
    orders = Order.objects.filter(account=account).exclude(origin__in=ENTERED).select_related("strategy", "instrument")
    return {name: order for order in orders for name in (order.broker_order_id, order.client_order_id) if name}


def _entered(log: EventLog) -> Iterator[tuple[int, str, Mapping[str, Any], Decimal]]:
    """Yield each order that the broker took, with what was held of its symbol at that moment (shares)."""
    held: dict[str, Holding] = {}
    for entry in log.account_entries():
        if entry.kind == "submitted":
            data = entry.data
            yield entry.sequence, data["order_id"], data, held.get(data["symbol"], Holding()).quantity
        elif (moved := log.moved(entry, held)) is not None:
            held[entry.data["symbol"]] = moved


def _stops(stop: Stop, account: Account, order: Order, sequence: int, data: Mapping[str, Any], held: Decimal) -> bool:
    inside = stop.after < sequence <= (stop.until or sequence)
    if not inside or not _is_of(stop.scope, account, order) or order.client_order_id in stop.in_flight:
        return False
    if stop.level == SwitchLevel.HALTED:
        return True
    signed = data["quantity"] if data["side"] == "buy" else -data["quantity"]
    return bool(held * signed >= ZERO or abs(signed) > abs(held))


def _is_of(scope: str, account: Account, order: Order) -> bool:
    kind, _, name = scope.partition(":")
    own = {"account": account.name, "strategy": order.strategy.name, "symbol": order.instrument.symbol}
    return kind == "global" or own.get(kind) == name


def _still_working(
    account: Account, log: EventLog, stops: Sequence[Stop], orders: Mapping[str, Order]
) -> list[Violation]:
    engaged = [stop for stop in stops if stop.until is None and stop.level == SwitchLevel.HALTED]
    working = {order_id: status for order_id, status in log.orders().items() if status not in ENDS}
    return [
        Violation(I4, f"broker order {order_id}", f"is {status} under the engaged switch {stop.scope}")
        for order_id, status in working.items()
        for stop in engaged
        if (order := orders.get(order_id)) is not None and _is_of(stop.scope, account, order)
    ]
