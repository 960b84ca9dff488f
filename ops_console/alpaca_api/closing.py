"""Close positions through the gate: one, a part of one, or all.

A broker knows one position a symbol, our book one line a strategy. Each line is closed by an order of its own strategy.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Any
from uuid import uuid4

from django.db.models import Q

from execution.alpaca_wire.errors import WireError, forbidden, malformed, position_not_found, unprocessable
from execution.models import Account, Order
from execution.selectors import PositionView
from execution.services.cancels import cancel_open_orders
from execution.services.orders import submit_order
from execution.states import OPEN
from ops_console.alpaca_api.failures import refused
from ops_console.alpaca_api.holdings import Holding, holding, holdings
from ops_console.alpaca_api.identity import ORDER, uuid_of
from ops_console.alpaca_api.orders import order_told
from ops_console.api.authentication import Caller
from ops_console.api.order_input import source_of
from ops_console.services.closing import NothingToClose, closing_intent
from risk.types import Origin

HUNDRED = Decimal(100)
ONE_SHARE = Decimal(1)
LOOK_SECONDS, PATIENCE_LOOKS = 0.05, 100  # five seconds for the broker to confirm the cancels
REASON = "all positions are to be closed (Alpaca-compatible API)"


def close_one(
    *,
    account: Account,
    symbol: str,
    quantity: Decimal | None,
    percentage: Decimal | None,
    caller: Caller,
    wall_now: datetime,
) -> Order:
    """Place the order that closes a position, so many shares of it, or a percentage of it (whole shares).

    Of several strategies that hold the symbol it is the caller's own.
    :raises WireError: 404 nothing is held, 403 open orders close the shares or the gate denied, 422 it is not clear
    """
    held = holding(account, wall_now, symbol)
    line = _line(held, caller)
    if percentage is not None:
        quantity = _part(line, percentage)
    return _close_line(account, held, line, quantity=quantity, caller=caller, wall_now=wall_now)


def cancel_before(*, account: Account, caller: Caller, wall_now: datetime) -> None:
    """Ask for the cancel of every open order, and wait at most five seconds for the broker to confirm.

    What is not confirmed by then still holds its shares, and closing its position will be refused.
    """
    _, asked, keys = cancel_open_orders(
        orders=Q(), account=account, operator=caller.username, wall_now=wall_now, reason=REASON
    )
    if asked:
        _wait_for_end(keys)


def close_all(*, account: Account, caller: Caller, wall_now: datetime) -> list[dict[str, Any]]:
    """Close every line of every strategy; one answer a line, with its own status."""
    return [
        _answer(account, held, line, caller=caller, wall_now=wall_now)
        for held in holdings(account, wall_now)
        for line in _held_lines(held)
    ]


def _answer(
    account: Account, held: Holding, line: PositionView, *, caller: Caller, wall_now: datetime
) -> dict[str, Any]:
    try:
        order = _close_line(account, held, line, quantity=None, caller=caller, wall_now=wall_now)
    except WireError as error:
        return {"symbol": held.symbol, "status": error.status, "body": error.body()}
    told = order_told(account, order)
    return {"symbol": held.symbol, "status": 200, "order_id": uuid_of(account, ORDER, order.pk), "body": told}


def _close_line(
    account: Account,
    held: Holding,
    line: PositionView,
    *,
    quantity: Decimal | None,
    caller: Caller,
    wall_now: datetime,
) -> Order:
    under_way = line.open_sell_quantity if line.quantity > 0 else line.open_buy_quantity
    available = max(abs(line.quantity) - under_way, Decimal(0))
    if not available or (quantity is not None and quantity > available):
        raise _insufficient(line, wanted=quantity or abs(line.quantity), available=available, held=under_way)
    try:
        intent = closing_intent(
            account=account,
            symbol=held.symbol,
            origin=Origin.ALPACA_API,
            source_ref=source_of(caller),
            strategy=line.strategy,
            quantity=quantity,
        )
    except NothingToClose:  # a fill was faster than this request
        raise position_not_found(held.symbol) from None
    result = submit_order(intent=replace(intent, client_order_id=str(uuid4())), account=account, wall_now=wall_now)
    order = result.order
    if result.denials or order is None:
        raise refused(result.denials, decision_id=result.decision_id, client_order_id=None)
    return order


def _line(held: Holding, caller: Caller) -> PositionView:
    lines = _held_lines(held)
    own = [line for line in lines if line.strategy == (caller.strategy or "manual")]
    if len(lines) > 1 and not own:
        names = ", ".join(line.strategy for line in lines)
        raise unprocessable(
            f"{held.symbol} is held by {names}: close it with a token of one of them, or by /api/v1 naming the strategy"
        )
    return own[0] if own else lines[0]


def _held_lines(held: Holding) -> list[PositionView]:
    return [line for line in held.lines if line.quantity]


def _part(line: PositionView, percentage: Decimal) -> Decimal:
    held = abs(line.quantity)
    if percentage == HUNDRED:
        return held
    part = (held * percentage / HUNDRED).quantize(ONE_SHARE, rounding=ROUND_FLOOR)
    if part <= 0:
        raise malformed("percentage", str(percentage), f"so much that it is a whole share of {held.normalize():f}")
    return part


def _insufficient(line: PositionView, *, wanted: Decimal, available: Decimal, held: Decimal) -> WireError:
    asked, free = f"{wanted.normalize():f}", f"{available.normalize() + 0:f}"
    return forbidden(
        f"insufficient qty available for order (requested: {asked}, available: {free})",
        symbol=line.symbol,
        available=free,
        existing_qty=f"{abs(line.quantity).normalize():f}",
        held_for_orders=f"{held.normalize() + 0:f}",
    )


def _wait_for_end(keys: Sequence[int]) -> None:
    for _ in range(PATIENCE_LOOKS):
        if not Order.objects.filter(pk__in=keys, status__in=sorted(OPEN)).exists():
            return
        time.sleep(LOOK_SECONDS)
