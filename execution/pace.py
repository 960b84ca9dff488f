"""How often and how much, as the position rows count it: what the gate adds there, and what happens besides."""

from datetime import date, datetime
from decimal import Decimal

from execution.models import Order, Position

ZERO = Decimal(0)


def count_message(position: Position, market_at: datetime) -> None:
    """Count one message to the broker that the gate did not see, in its market minute, on a locked row."""
    minute = market_at.replace(second=0, microsecond=0)
    if position.message_minute is None or position.message_minute < minute:
        position.message_minute, position.message_count = minute, 0
    position.message_count += 1


def give_back(position: Position, original: Order, day: date) -> None:
    """Take what is left of an order out of the session's turnover, on a locked row: its successor counts instead."""
    if position.turnover_on != day or original.trading_date != day:
        return
    left = (original.quantity - original.filled_quantity) * original.reserve_price
    position.turnover = max(position.turnover - left, ZERO)
