"""A broker's log that says exactly what the book says, to be bent by hand."""

from decimal import Decimal
from typing import Any

from execution.emulator.log import EventLog
from execution.ledger import rounded
from execution.models import Account, Fill, Order
from tests.factories import MARKET_AT


def described(order: Order, **changed: Any) -> dict[str, Any]:
    """Return what the log says of an order when it is taken."""
    named = ("side", "quantity", "order_type", "time_in_force", "limit_price", "stop_price", "order_class")
    return {name: getattr(order, name) for name in named} | names(order) | {"status": "pending_new"} | changed


def names(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.broker_order_id,
        "client_order_id": order.client_order_id,
        "symbol": order.instrument.symbol,
    }


def mirror(account: Account) -> EventLog:
    """Return the log of a broker at which all of it has happened in the order of our rows."""
    log = EventLog()
    log.add("opened", at=MARKET_AT, account_number="PA", starting_cash=account.starting_cash)
    for order in Order.objects.filter(account=account).exclude(broker_order_id="").order_by("pk"):
        log.add("submitted", at=MARKET_AT, **described(order))
        for fill in order.fills.order_by("pk"):
            tell_fill(log, fill)
        if not order.is_open:
            log.add(order.status, at=MARKET_AT, **names(order), status=order.status)
    return log


def tell_fill(log: EventLog, fill: Fill, **changed: Any) -> None:
    """Add a fill."""
    signed = fill.quantity if fill.side == "buy" else -fill.quantity
    told = {
        **names(fill.order),
        "status": "partially_filled",
        "execution_id": fill.broker_execution_id,
        "side": fill.side,
        "quantity": fill.quantity,
        "price": fill.price,
        "fee": Decimal(0),
        "cash": -rounded(signed * fill.price),
    }
    log.add("fill", at=MARKET_AT, **told | changed)


def without(log: EventLog, *kinds: str) -> EventLog:
    """Return the log without entries of these kinds."""
    return EventLog.of(entry for entry in log.entries() if entry.kind not in kinds)
