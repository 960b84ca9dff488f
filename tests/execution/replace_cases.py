"""Steps that the tests of replacements share."""

from typing import Any

from execution.models import Account, Order
from execution.services.replaces import request_replace
from execution.types import SubmitResult
from risk.types import OrderType, Origin
from tests.execution.cases import WALL_NOW, D, accepted_order, again, position_of, recorded
from tests.execution.fake_broker import FakeBroker


def change(order: Order, **terms: Any) -> SubmitResult:
    """Ask for new terms."""
    values = {"operator": "ann", "origin": Origin.API, "wall_now": WALL_NOW} | terms
    return request_replace(order=again(order), **values)


def successor_of(order: Order, **terms: Any) -> Order:
    """Ask for new terms that the gate lets pass."""
    result = change(order, **terms)
    assert result.order is not None
    assert result.accepted, result.denials
    return result.order


def resting(account: Account, broker: FakeBroker, *, filled: int = 0, **fields: Any) -> Order:
    """Make a limit order to buy 100 at 100 that works at the broker, part of it filled."""
    values = {"quantity": D(100), "order_type": OrderType.LIMIT, "limit_price": D(100), "client_order_id": "one"}
    order = accepted_order(account, broker, **values | fields)
    if filled:
        broker.fill(order.client_order_id, D(filled))
        recorded(account, broker)
    return again(order)


def held(account: Account) -> tuple[Any, Any, Any]:
    """Return what the position line holds: shares to buy, their value, orders."""
    row = position_of(account)
    return row.open_buy_quantity, row.open_buy_notional, row.open_order_count
