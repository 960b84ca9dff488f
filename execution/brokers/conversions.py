"""What the broker of an order makes of it, where that is not what was asked for."""

from __future__ import annotations

from decimal import Decimal

from execution.alpaca_wire.conversions import converted_stop_limit
from execution.brokers.alpaca_modes import LIVE, PAPER
from execution.models import Order
from risk.types import OrderType, Side


def limit_at_broker(order: Order) -> Decimal | None:
    """Return the limit that its broker adds to the order (account currency a share), None where it adds none.

    Alpaca works a buy stop as a stop-limit: when the price jumps over the limit, nothing is bought until it comes back.
    """
    if order.account.mode not in (PAPER, LIVE) or (order.side, order.order_type) != (Side.BUY, OrderType.STOP):
        return None
    return None if order.stop_price is None else converted_stop_limit(order.stop_price)
