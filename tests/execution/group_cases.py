"""Groups for tests: a bracket around 100, and the steps that lead a desk through one."""

from decimal import Decimal
from typing import Any

from execution.models import Account, Order
from execution.services.groups import make_legs, submit_group
from execution.types import SubmitResult
from risk.types import OrderIntent, OrderType, Side, TimeInForce
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
