"""What happens at the broker without the client: other people's orders, the broker's own measures, flags."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from execution.alpaca_wire.errors import NOT_FOUND, WireError, malformed, position_not_found
from execution.alpaca_wire.orders import OrderBody
from execution.emulator.venue.closing import closing_body
from execution.emulator.venue.corporate import apply_split
from execution.emulator.venue.entry import described, new_order, submit
from execution.emulator.venue.life import become_new, end_order, force_fill
from execution.emulator.venue.orders import VenueOrder
from execution.emulator.venue.state import VenueState
from execution.matching.events import MAX_PRICE
from execution.matching.holdings import Holding
from marketdata.clock import NEW_YORK

ZERO = Decimal(0)
CASH_KINDS = ("CSD", "CSW", "DIV", "FEE", "INT")


def external_order(state: VenueState, body: OrderBody) -> VenueOrder:
    """Enter an order as somebody else with the same account does; without a client order id the broker makes one.

    :raises WireError: as any order
    """
    return submit(state, body, external=True)


def set_position(state: VenueState, symbol: str, quantity: Decimal, price: Decimal) -> None:
    """Let the account hold so many shares (negative: short) at an average price, as by a transfer: no cash moves.

    :raises WireError: 422, numbers that no position has
    """
    if not quantity.is_finite():
        raise malformed("qty", str(quantity), "a finite number")
    if not price.is_finite() or not 0 < price <= MAX_PRICE:
        raise malformed("price", str(price), f"a price above 0 and at most {MAX_PRICE}")
    at = state.moment()
    state.ledger.hold(symbol, Holding(quantity, price))
    state.log.add("position", at=at, symbol=symbol, quantity=quantity, price=price)


def liquidate(state: VenueState, symbol: str) -> VenueOrder:
    """Do what a broker does on a margin call: cancel every order of a symbol and sell (buy back) all of it at once.

    :raises WireError: 404 nothing is held, 422 there is no price
    """
    held = state.ledger.held(symbol).quantity
    if not held:
        raise position_not_found(symbol)
    if state.last_price(symbol) is None:
        raise malformed("symbol", symbol, "a symbol with a price")
    for order in state.orders.live(symbol):
        if order.is_live:
            end_order(state, order, "canceled", state.moment(), reason="liquidation")
    at = state.moment()
    body = closing_body(symbol, held, abs(held))
    order = new_order(state, body, at)
    state.note("liquidation", order, at, **described(body))
    become_new(state, order, at)
    force_fill(state, order, None, state.moment())
    return order


def split(state: VenueState, symbol: str, ratio: Decimal) -> None:
    """Split a symbol now.

    :raises WireError: 422, a ratio that is no split
    """
    if not ratio.is_finite() or ratio <= 0 or ratio == 1:
        raise malformed("ratio", str(ratio), "new shares for an old one: above 0 and not 1")
    apply_split(state, symbol, ratio, state.moment())


def block(
    state: VenueState,
    *,
    trading_blocked: bool | None = None,
    account_blocked: bool | None = None,
    suspended: bool | None = None,
    shorting_enabled: bool | None = None,
) -> None:
    """Set what the account may do; None leaves a flag as it is."""
    at = state.moment()
    given = {
        "trading_blocked": trading_blocked,
        "account_blocked": account_blocked,
        "suspended": suspended,
        "shorting_enabled": shorting_enabled,
    }
    for name, value in given.items():
        if value is not None:
            setattr(state.flags, name, value)
            state.log.add("configured", at=at, name=name, value=value)


def bust(state: VenueState, execution_id: str) -> None:
    """Take an execution back, as an exchange does after an erroneous trade: shares, cash, and the order's fill.

    The order does not get those shares again: it stays ended, or goes on for what was open.
    :raises WireError: 404, no such execution
    """
    execution = state.ledger.executions.get(execution_id)
    if execution is None:
        raise WireError(404, NOT_FOUND, f"execution not found for {execution_id}")
    at = state.moment()
    state.ledger.bust(execution)
    order = state.orders.get(execution.order_id)
    order.working = replace(
        order.working,
        quantity=order.working.quantity - (execution.quantity if order.is_live else ZERO),
        filled_quantity=order.working.filled_quantity - execution.quantity,
        filled_notional=order.working.filled_notional + (execution.cash * (1 if execution.side == "buy" else -1)),
    )
    order.updated_at = at
    state.note(
        "bust",
        order,
        at,
        execution_id=execution_id,
        side=execution.side,
        quantity=execution.quantity,
        price=execution.price,
        cash=-execution.cash,
    )
    state.tell(
        "trade_bust",
        order,
        at,
        execution_id=execution_id,
        quantity=execution.quantity,
        price=execution.price,
        position_quantity=state.ledger.held(execution.symbol).quantity,
    )


def pay(state: VenueState, kind: str, amount: Decimal, *, symbol: str = "", tell: bool = True) -> None:
    """Let cash come in (negative: go out) without a trade; untold it is in no list of activities.

    :raises WireError: 422, numbers or words that no activity has
    """
    if not amount.is_finite() or not amount or abs(amount) > MAX_PRICE:
        raise malformed("amount", str(amount), f"an amount other than 0, at most {MAX_PRICE}")
    if kind not in CASH_KINDS:
        raise malformed("kind", kind, f"one of {', '.join(CASH_KINDS)}")
    at = state.moment()
    if tell:
        more = {"symbol": symbol} if symbol else {}
        day = at.astimezone(NEW_YORK).date()
        state.ledger.pay(kind, id=state.new_id(), at=at, day=day, amount=amount, description="by hand", **more)
    else:
        state.ledger.cash += amount
    state.log.add("paid", at=at, cash=amount, description=kind)


def halt(state: VenueState, symbol: str) -> None:
    """Stop all trading in a symbol; orders are taken and wait."""
    state.market.halted.add(symbol)
    state.log.add("halted", at=state.moment(), symbol=symbol)


def resume(state: VenueState, symbol: str) -> None:
    """Let a symbol trade again."""
    state.market.halted.discard(symbol)
    state.log.add("resumed", at=state.moment(), symbol=symbol)
