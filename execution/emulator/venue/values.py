"""What the account is worth and what it can still buy; account currency."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from execution.alpaca_wire.conversions import converted_stop_limit
from execution.alpaca_wire.errors import unprocessable
from execution.alpaca_wire.orders import OrderBody
from execution.emulator.venue.orders import held_once
from execution.emulator.venue.state import VenueState

ZERO = Decimal(0)
MARKET_BUY_COLLAR = Decimal("1.025")
SHORT_COLLAR = Decimal("1.03")


@dataclass(frozen=True, slots=True)
class Need:
    """The buying power that an order holds: so many shares at so much; nothing for what only closes a position."""

    quantity: Decimal = ZERO
    price: Decimal = ZERO

    @property
    def amount(self) -> Decimal:
        """Return the buying power."""
        return self.quantity * self.price


def need_of(state: VenueState, body: OrderBody) -> Need:
    """Return what an order that opens or adds to a position holds.

    A limit counts at its limit, a market buy at 2.5% above the ask, a short at the higher of its limit and 3% above
    the ask, a buy stop at the limit that it works with.
    :raises WireError: 422, a market order in something that never had a price
    """
    limit = body.limit_price
    if body.side == "buy" and body.order_type == "stop" and body.stop_price is not None:
        limit = converted_stop_limit(body.stop_price)
    if body.side == "buy" and limit is not None:
        return Need(body.quantity, limit)
    quote = state.market.quote(body.symbol, state.at)
    ask = None if quote is None else quote.ask or quote.last
    if ask is None:
        if limit is None:
            raise unprocessable(f"there is no price for {body.symbol}: send a limit order")
        ask = ZERO
    if body.side == "buy":
        return Need(body.quantity, ask * MARKET_BUY_COLLAR)
    return Need(body.quantity, max(limit or ZERO, ask * SHORT_COLLAR))


def mark(state: VenueState, symbol: str) -> Decimal:
    """Return the price that a holding is valued at: the newest one, or what it cost where there is none."""
    return state.last_price(symbol) or state.ledger.held(symbol).average_price


def market_values(state: VenueState) -> tuple[Decimal, Decimal]:
    """Return the value of what is held long and of what is held short (zero or negative)."""
    values = [held.quantity * mark(state, symbol) for symbol, held in state.ledger.holdings.items()]
    return sum((value for value in values if value > 0), ZERO), sum((value for value in values if value < 0), ZERO)


def equity(state: VenueState) -> Decimal:
    """Return cash and holdings together."""
    long, short = market_values(state)
    return state.ledger.cash + long + short


def power_left(state: VenueState) -> Decimal:
    """Return the buying power: multiplier × equity, less what is held and what open orders reserve; may be negative."""
    long, short = market_values(state)
    worth = state.ledger.cash + long + short
    reserved = held_once(state.orders.live(), lambda order: order.reserved)
    return state.settings.multiplier * worth - (long - short) - reserved
