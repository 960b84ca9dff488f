"""What strategies and people want, drawn from a seed."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

from execution.models.orders import OrderClass
from execution.services.groups import make_legs
from risk.types import OrderIntent, OrderType, Side, TimeInForce
from tests.factories import make_intent

D = Decimal
WAYS = [
    *[(OrderType.MARKET, TimeInForce.DAY)] * 4,
    *[(OrderType.LIMIT, TimeInForce.DAY)] * 8,
    *((kind, TimeInForce.DAY) for kind in (OrderType.STOP, OrderType.STOP_LIMIT)),
    *((kind, TimeInForce.GTC) for kind in (OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT)),
    *((OrderType.MARKET, tif) for tif in (TimeInForce.IOC, TimeInForce.FOK, TimeInForce.OPG, TimeInForce.CLS)),
    *((OrderType.LIMIT, tif) for tif in (TimeInForce.IOC, TimeInForce.OPG, TimeInForce.CLS)),
]


def near(price: Decimal, chance: Random) -> Decimal:
    """Return a price within a dollar."""
    return price + D(chance.randint(-80, 80)) / 100


def draw_order(name: str, prices: dict[str, Decimal], strategies: list[str], chance: Random) -> OrderIntent:
    """Draw an order of any type."""
    kind, good = chance.choice(WAYS)
    symbol = chance.choice(sorted(prices))
    fields: dict[str, Any] = {}
    if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        fields["limit_price"] = near(prices[symbol], chance)
    if kind in (OrderType.STOP, OrderType.STOP_LIMIT):
        fields["stop_price"] = near(prices[symbol], chance)
    return make_intent(
        strategy=chance.choice(strategies),
        symbol=symbol,
        side=chance.choice([Side.BUY, Side.BUY, Side.SELL]),
        quantity=D(chance.choice([1, 2, 7, 20, 40])),
        order_type=kind,
        time_in_force=good,
        reduce_only=chance.random() < 0.1,
        extended_hours=kind == OrderType.LIMIT and good == TimeInForce.DAY and chance.random() < 0.1,
        client_order_id=name,
        **fields,
    )


def draw_group(
    name: str, prices: dict[str, Decimal], strategies: list[str], chance: Random
) -> tuple[OrderIntent, list[OrderIntent]]:
    """Draw a bracket, an OCO or an OTO whose exits the market may reach."""
    symbol = chance.choice(sorted(prices))
    order_class = chance.choice([*[OrderClass.BRACKET] * 3, OrderClass.OTO, OrderClass.OCO])
    side = chance.choice([Side.BUY, Side.BUY, Side.SELL])
    last, distance = prices[symbol], D(chance.choice([30, 60, 200])) / 100
    away = distance if side == Side.BUY else -distance
    is_oco = order_class == OrderClass.OCO
    at_once = not is_oco and chance.random() < 0.3
    entry = make_intent(
        strategy=chance.choice(strategies),
        symbol=symbol,
        side=side,
        quantity=D(chance.choice([2, 10, 40])),
        order_class=str(order_class),
        order_type=OrderType.MARKET if at_once else OrderType.LIMIT,
        limit_price=None if at_once else last - away if is_oco else last,
        time_in_force=chance.choice([TimeInForce.DAY, TimeInForce.GTC]),
        client_order_id=name,
    )
    take_profit = last + away if order_class == OrderClass.BRACKET else None
    return entry, make_legs(entry, take_profit=take_profit, stop_loss=last + away if is_oco else last - away)
