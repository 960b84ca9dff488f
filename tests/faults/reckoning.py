"""What the broker's log says of the orders that a desk wanted: there once, on the same terms, and filled as booked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from execution.emulator.faults import FaultKind
from execution.models import Fill, Order, OrderEvent
from execution.states import OrderStatus
from tests.execution.updates.line_cases import Desk

LOST, OTHER = "lost-", "other-"
"""How the ids of orders begin whose answers get lost, and of the others."""


@dataclass
class Outcome:
    """What the broker's log says in the end of the orders that the desk wanted."""

    lost_answers: int = 0
    wanted: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    other_terms: list[str] = field(default_factory=list)
    sent_again: int = 0
    crashes: int = 0
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def failures(self) -> int:
        """Return how many orders are not there exactly once, as they were wanted."""
        return len(self.lost) + len(self.doubled) + len(self.strangers) + len(self.other_terms)


def reckon(desk: Desk, kind: FaultKind, *, crashes: int = 0) -> Outcome:
    """Compare what was wanted with what the broker took, by its own log."""
    entries = desk.emulator.call(desk.emulator.log.entries)
    submitted = [entry.data for entry in entries if entry.kind == "submitted"]
    taken = Counter(data["client_order_id"] for data in submitted)
    orders = {order.client_order_id: order for order in Order.objects.filter(account=desk.account)}
    known = {name for name, order in orders.items() if order.broker_order_id}
    must = known | {name for name in orders if name.startswith(LOST)}
    faults = Counter((entry.data["fault"], entry.data["where"]) for entry in entries if entry.kind == "fault")
    again = [e for e in entries if e.kind == "refused" and "must be unique" in e.data["message"]]
    return Outcome(
        lost_answers=faults[kind.value, "POST /v2/orders"],
        wanted=len(orders),
        lost=[_end_of(orders[name]) for name in sorted(must - set(taken))],
        doubled=[name for name, times in taken.items() if times > 1],
        strangers=sorted(set(taken) - known),
        other_terms=[
            data["client_order_id"]
            for data in submitted
            if data["client_order_id"] in orders and not _same(orders[data["client_order_id"]], data)
        ],
        sent_again=len(again),
        crashes=crashes,
        faults=faults,
    )


def _end_of(order: Order) -> str:
    """Tell an order that the broker never took, with all that became of it in the book."""
    steps = list(order.events.order_by("sequence").values_list("to_status", "source", "detail"))
    return f"{order.client_order_id}: {steps}"


def fills(desk: Desk) -> tuple[Counter[tuple[Any, ...]], Counter[tuple[Any, ...]]]:
    """Return every execution as the book has it, and as the broker's log has it."""
    mine = Fill.objects.filter(account=desk.account)
    ours = mine.values_list("order__client_order_id", "side", "quantity", "price")
    log = desk.emulator.call(desk.emulator.log.fills)
    return Counter(ours), Counter((f.client_order_id, f.side, f.quantity, f.price) for f in log)


def seconds_to_resolve(desk: Desk) -> list[float]:
    """Return for each order whose answer was lost how long nobody knew what became of it, sending included (wall time).

    An order that went out again counts from the first time on.
    """
    names = OrderEvent.objects.filter(order__account=desk.account, order__client_order_id__startswith=LOST)
    sent: dict[int, datetime] = {}
    took: dict[int, float] = {}
    steps = names.order_by("order_id", "sequence").values_list("order_id", "to_status", "created_at")
    for order_id, status, at in steps:
        if status == OrderStatus.SUBMITTED:
            sent.setdefault(order_id, at)
        elif status != OrderStatus.PENDING and order_id in sent and order_id not in took:
            took[order_id] = (at - sent[order_id]).total_seconds()
    return sorted(took.values())


def _same(order: Order, taken: Mapping[str, Any]) -> bool:
    wanted = (order.side, order.quantity, order.limit_price, order.time_in_force)
    return wanted == tuple(taken[name] for name in ("side", "quantity", "limit_price", "time_in_force"))
