"""The order that closes a position."""

from decimal import Decimal

from execution.models import Account, Position
from risk.types import OrderIntent, OrderType, Origin, Side, TimeInForce


class ClosingRefused(Exception):
    """Base of what stands in the way of closing."""


class NothingToClose(ClosingRefused):
    """Nothing is held, or open orders close all of it already."""


class StrategyNeeded(ClosingRefused):
    """Several strategies hold the name: closing one of them must be meant."""

    def __init__(self, symbol: str, strategies: list[str]) -> None:
        self.strategies = strategies
        super().__init__(f"{symbol} is held by {', '.join(strategies)}: say which is to be closed")


def closing_intent(
    *,
    account: Account,
    symbol: str,
    origin: Origin,
    source_ref: str,
    strategy: str = "",
    quantity: Decimal | None = None,
    order_type: OrderType = OrderType.MARKET,
    time_in_force: TimeInForce = TimeInForce.DAY,
    limit_price: Decimal | None = None,
    idempotency_key: str = "",
) -> OrderIntent:
    """Return the reduce-only order that closes what a strategy holds and no open order closes yet (shares).

    `quantity` closes only a part. The gate judges it like any other order.
    :raises NothingToClose, StrategyNeeded: there is no such order
    """
    lines = Position.objects.filter(account=account, instrument__symbol=symbol).exclude(quantity=0)
    if strategy:
        lines = lines.filter(strategy__name=strategy)
    held = list(lines.select_related("strategy").order_by("strategy__name"))
    if not held:
        raise NothingToClose(f"{strategy or 'nobody'} holds {'no' if strategy else 'any'} {symbol}")
    if len(held) > 1:
        raise StrategyNeeded(symbol, [line.strategy.name for line in held])
    line = held[0]
    under_way = line.open_sell_quantity if line.quantity > 0 else line.open_buy_quantity
    rest = abs(line.quantity) - under_way
    if rest <= 0:
        raise NothingToClose(f"open orders close the {abs(line.quantity).normalize():f} {symbol} already")
    return OrderIntent(
        strategy=line.strategy.name,
        symbol=symbol,
        side=Side.SELL if line.quantity > 0 else Side.BUY,
        quantity=rest if quantity is None else quantity,
        order_type=order_type,
        time_in_force=time_in_force,
        limit_price=limit_price,
        reduce_only=True,
        idempotency_key=idempotency_key,
        origin=origin,
        source_ref=source_ref,
    )
