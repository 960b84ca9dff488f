"""Close positions by market orders: one, a part of one, or all."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import Any

from execution.alpaca_wire.errors import WireError, malformed, position_not_found
from execution.alpaca_wire.orders import OrderBody
from execution.emulator.venue.canceling import cancel_all
from execution.emulator.venue.entry import submit
from execution.emulator.venue.orders import VenueOrder
from execution.emulator.venue.state import VenueState

ONE_SHARE = Decimal(1)
HUNDRED = Decimal(100)


def close_position(
    state: VenueState, symbol: str, *, quantity: Decimal | None = None, percentage: Decimal | None = None
) -> VenueOrder:
    """Enter a market order that closes a position, so many shares of it, or a percentage (whole shares).

    :raises WireError: 404 nothing is held, 422 both or nonsense was given, 403 open orders hold the shares
    """
    held = state.ledger.held(symbol).quantity
    if not held:
        raise position_not_found(symbol)
    if quantity is not None and percentage is not None:
        raise malformed("percentage", str(percentage), "only one of qty and percentage")
    if percentage is not None:
        if not 0 < percentage <= HUNDRED:
            raise malformed("percentage", str(percentage), "a number above 0 and at most 100")
        part = abs(held) * percentage / HUNDRED
        quantity = abs(held) if percentage == HUNDRED else part.quantize(ONE_SHARE, rounding=ROUND_FLOOR)
    wanted = abs(held) if quantity is None else quantity
    if wanted <= 0:
        raise malformed("qty", str(wanted), "a number above 0")
    return submit(state, closing_body(symbol, held, wanted))


def closing_body(symbol: str, held: Decimal, quantity: Decimal) -> OrderBody:
    """Return the order that closes `quantity` shares of what is held (signed)."""
    return OrderBody(
        symbol=symbol,
        side="sell" if held > 0 else "buy",
        quantity=quantity,
        order_type="market",
        time_in_force="day",
    )


def close_all(state: VenueState, *, cancel_orders: bool) -> list[dict[str, Any]]:
    """Close every position, after asking for the cancel of every order where wanted; one answer each.

    A cancel that was asked for and is not done yet still holds its shares: such a position answers 403, as the real
    broker's does at times.
    """
    if cancel_orders:
        cancel_all(state)
        state.agenda.run(state.moment())
    answers: list[dict[str, Any]] = []
    for symbol in sorted(state.ledger.holdings):
        try:
            order = close_position(state, symbol)
        except WireError as error:
            answers.append({"symbol": symbol, "status": error.status, "body": error.body()})
        else:
            answers.append({"symbol": symbol, "status": 200, "order_id": order.id, "body": order.answer()})
    return answers
