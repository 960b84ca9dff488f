"""Groups for tests: a bracket around 100, and the steps that lead a desk through one."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from execution.brokers.base import BrokerOrder, OrderRequest
from execution.models import Account, Order
from execution.services.groups import make_legs, submit_group
from execution.types import SubmitResult
from risk.types import OrderIntent, OrderType, Side, TimeInForce
from tests.execution.fake_broker import FINAL, FakeBroker
from tests.factories import WALL_NOW, make_intent

D = Decimal
ENTRY: dict[str, Any] = {"order_class": "bracket", "order_type": OrderType.LIMIT, "limit_price": D(100)}
OCO: dict[str, Any] = {
    "order_class": "oco",
    "order_type": OrderType.LIMIT,
    "limit_price": D(110),
    "side": Side.SELL,
    "time_in_force": TimeInForce.GTC,
}


def make_group(
    take_profit: str | None = "110", stop_loss: str | None = "95", limit: str | None = None, **fields: Any
) -> tuple[OrderIntent, list[OrderIntent]]:
    """Make a bracket to buy ten AAPL at 100 with exits at 110 and 95."""
    entry = make_intent(**ENTRY | fields)
    prices = {"take_profit": take_profit, "stop_loss": stop_loss, "stop_loss_limit": limit}
    return entry, make_legs(entry, **{name: D(price) for name, price in prices.items() if price is not None})


def send_group(account: Account, *args: Any, **fields: Any) -> list[SubmitResult]:
    """Send a group through the gate."""
    entry, legs = make_group(*args, **fields)
    return submit_group(entry=entry, legs=legs, account=account, wall_now=WALL_NOW)


def group(account: Account, *args: Any, **fields: Any) -> list[Order]:
    """Make a group that has passed the gate: its entry, then its legs."""
    results = send_group(account, *args, **fields)
    denials = [denial.message for result in results for denial in result.denials]
    orders = [result.order for result in results if result.order is not None]
    if denials or len(orders) != len(results):
        raise AssertionError(f"the gate refused: {denials}")
    return orders


def states(orders: list[Order]) -> list[str]:
    """Read where the orders stand now."""
    found = Order.objects.in_bulk([order.pk for order in orders])
    return [str(found[order.pk].status) for order in orders]


class NamingBroker(FakeBroker):
    """Names the legs itself, tells their names in its answer to the entry, and lets a group fall together."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.names: dict[tuple[str, str], str] = {}

    def submit(self, request: OrderRequest, *, at: datetime) -> BrokerOrder:
        after, self.after_submit = self.after_submit, None
        try:
            taken = super().submit(request, at=at)
        finally:
            self.after_submit = after
        for leg in request.legs:
            name = f"theirs-{len(self.orders) + 1}"
            self.names[request.client_order_id, leg.role] = name
            self.orders[name] = replace(
                taken,
                client_order_id=name,
                broker_order_id=f"B-{name}",
                side="sell" if request.side == "buy" else "buy",
                status="held",
                role=leg.role,
            )
        if after is not None:
            after(request)
        return self.orders[request.client_order_id] if not request.legs else self._nested(request.client_order_id)

    def find(self, client_order_id: str) -> BrokerOrder | None:
        found = super().find(client_order_id)
        return None if found is None else self._nested(client_order_id)

    def cancel(self, *, client_order_id: str, broker_order_id: str, at: datetime) -> None:
        own = [
            name for name, order in self.orders.items() if broker_order_id and order.broker_order_id == broker_order_id
        ]
        name = own[0] if own else client_order_id
        super().cancel(client_order_id=name, broker_order_id=broker_order_id, at=at)
        for other in self._group(name):
            if self.orders[other].status not in FINAL:
                self._end(self.orders[other], "canceled", at, "one of its group was canceled")

    def leg(self, entry: Order, role: str) -> str:
        """Return the broker's name of a leg."""
        return self.names[entry.client_order_id, role]

    def work(self, entry: Order) -> None:
        """Let the legs work, and say so."""
        for role in ("take_profit", "stop_loss"):
            name = self.leg(entry, role)
            self.orders[name] = replace(self.orders[name], status="accepted")
            self.tell("accepted", name)

    def _nested(self, name: str) -> BrokerOrder:
        legs = tuple(self.orders[leg] for (entry, _), leg in self.names.items() if entry == name)
        return replace(self.orders[name], legs=legs)

    def _group(self, name: str) -> list[str]:
        entries = {entry for (entry, _), leg in self.names.items() if name in (entry, leg)}
        return [*entries, *(leg for (entry, _), leg in self.names.items() if entry in entries)]
