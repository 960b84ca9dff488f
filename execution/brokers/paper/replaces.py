"""Replace an order at the exchange: the new one takes its place at once, for what is left of the new total."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from execution.brokers.base import (
    BrokerRejected,
    DuplicateClientOrderId,
    OrderNotFound,
    OrderNotReplaceable,
    OrderRequest,
    ReplaceRequest,
)
from execution.brokers.paper.book import VenueBook
from execution.brokers.paper.entry import enter_orders
from execution.models.paper import PaperOrder, PaperVenue

ZERO = Decimal(0)


def replace_order(*, venue: PaperVenue, request: ReplaceRequest, at: datetime) -> PaperOrder:
    """Store the new order and take the old one out of the book, with a report each; the venue must be locked.

    The new order is younger: it meets later events only, and others of its price come before it. A stop that was
    reached stays reached.
    :raises DuplicateClientOrderId, OrderNotFound, OrderNotReplaceable: nothing has changed
    :raises BrokerRejected: nothing is left of the new total, or the new terms are refused
    """
    if venue.orders.filter(client_order_id=request.client_order_id).exists():
        raise DuplicateClientOrderId(request.client_order_id)
    old = find_original(venue, request)
    filled = filled_in_chain(old)
    left = request.quantity - filled
    if not left.is_finite() or left <= ZERO:
        raise BrokerRejected(
            f"quantity {request.quantity} must be above the filled quantity {filled.normalize():f}",
            code="invalid_quantity",
        )
    answer = enter_orders(venue=venue, requests=[new_terms(old, request, left)], at=at)[0]
    if isinstance(answer, BrokerRejected):
        raise answer
    PaperOrder.objects.filter(venue=venue, sequence=answer.sequence).update(replaces=old, triggered=old.triggered)
    book = VenueBook(venue, symbols=[old.symbol])
    book.replace(symbol=old.symbol, sequence=old.sequence, at=at, reason=f"replaced by {answer.client_order_id}"[:200])
    book.save()
    return answer


def find_original(venue: PaperVenue, request: ReplaceRequest) -> PaperOrder:
    """Return the order that is to be replaced.

    :raises OrderNotFound: no such order, or not under that broker_order_id
    :raises OrderNotReplaceable: it is over or held, part of a group, or its stop price was reached and shall change
    """
    name = request.original_client_order_id
    old = venue.orders.filter(client_order_id=name).first()
    if old is None or request.original_broker_order_id not in ("", str(old.broker_order_id)):
        raise OrderNotFound(name)
    if old.status not in PaperOrder.WORKING:
        raise OrderNotReplaceable(name, old.status)
    if old.order_class:
        raise OrderNotReplaceable(name, f"part of a group ({old.order_class})")
    if old.triggered and request.stop_price != old.stop_price:
        raise OrderNotReplaceable(name, "triggered: its stop price cannot change any more")
    return old


def new_terms(old: PaperOrder, request: ReplaceRequest, left: Decimal) -> OrderRequest:
    """Return the new order as one that is entered."""
    return OrderRequest(
        client_order_id=request.client_order_id,
        symbol=old.symbol,
        side=old.side,
        quantity=left,
        order_type=old.order_type,
        time_in_force=request.time_in_force,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        extended_hours=old.extended_hours,
    )


def filled_in_chain(order: PaperOrder) -> Decimal:
    """Return what the order and all that it replaced have filled (shares): a total counts them all."""
    filled: Decimal = order.filled_quantity
    before = order.replaces
    while before is not None:
        filled, before = filled + before.filled_quantity, before.replaces
    return filled
