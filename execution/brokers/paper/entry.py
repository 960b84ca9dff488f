"""Take orders in: known words, refusals, identities."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid5

from execution.brokers.base import BrokerRejected, DuplicateClientOrderId, OrderRequest
from execution.brokers.paper.groups import enter_legs, refuse_legs
from execution.brokers.paper.statements import insert_entries
from execution.matching.admission import Entry, find_refusal
from execution.matching.events import SessionHours
from execution.models.paper import PaperOrder, PaperVenue
from execution.session_hours import hours_for_entry
from risk.types import OrderType, Side, TimeInForce

# Every identity at the exchange is derived, so that the same orders get the same ids in every run of an account.
IDENTITY = UUID("7d9b6a52-6c0e-5f2f-9c1b-3f6f4a8f1f21")
MAX_CLIENT_ID_LENGTH = 128
MAX_SYMBOL_LENGTH = 32


def enter_orders(
    *, venue: PaperVenue, requests: Sequence[OrderRequest], at: datetime
) -> list[PaperOrder | BrokerRejected]:
    """Store the orders that are taken, with a report each; the venue must be locked. One answer per request."""
    hours = hours_for_entry(at)
    taken = known_ids(venue, requests)
    answers: list[PaperOrder | BrokerRejected] = []
    for request in requests:
        answer = judge(request, venue=venue, taken=taken, hours=hours, at=at)
        if isinstance(answer, PaperOrder):
            taken.update(ids_of(request))
        answers.append(answer)
    entered = [answer for answer in answers if isinstance(answer, PaperOrder)]
    if entered:
        insert_entries(venue, entered)
        pairs = zip(requests, answers, strict=True)
        enter_legs(venue, [(each, row) for each, row in pairs if isinstance(row, PaperOrder)], identity=IDENTITY)
    return answers


def known_ids(venue: PaperVenue, requests: Sequence[OrderRequest]) -> set[str]:
    """Return which of the requests' ids were used before."""
    ids = [name for request in requests for name in ids_of(request)]
    return set(venue.orders.filter(client_order_id__in=ids).values_list("client_order_id", flat=True))


def ids_of(request: OrderRequest) -> list[str]:
    """Return the ids that a request uses up: its own and those of its legs."""
    return [request.client_order_id, *(leg.client_order_id for leg in request.legs)]


def judge(
    request: OrderRequest, *, venue: PaperVenue, taken: set[str], hours: SessionHours, at: datetime
) -> PaperOrder | BrokerRejected:
    """Return the new order's row, or why there is none. A used id is told first: the order may be fetched by it."""
    if request.client_order_id in taken:
        return DuplicateClientOrderId(request.client_order_id)
    try:
        entry = parse_entry(request)
    except ValueError as error:
        return BrokerRejected(str(error), code="malformed")
    refusal = find_refusal(entry, hours=hours, at=at)
    if refusal is not None:
        return BrokerRejected(refusal.reason, code=refusal.code)
    if request.legs or request.order_class:
        refused = refuse_legs(request, taken=taken, hours=hours, at=at)
        if refused is not None:
            return refused
    venue.order_count += 1
    return new_order(request, venue=venue, session=hours, at=at)


def parse_entry(request: OrderRequest) -> Entry:
    """Return the request in the exchange's words.

    :raises ValueError: an unknown word, an empty or overlong name
    """
    for name, text, limit in (
        ("client_order_id", request.client_order_id, MAX_CLIENT_ID_LENGTH),
        ("symbol", request.symbol, MAX_SYMBOL_LENGTH),
    ):
        if not 0 < len(text) <= limit:
            raise ValueError(f"{name} must have 1 to {limit} characters")
    return Entry(
        side=Side(request.side),
        order_type=OrderType(request.order_type),
        time_in_force=TimeInForce(request.time_in_force),
        quantity=request.quantity,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        extended_hours=request.extended_hours,
    )


def new_order(request: OrderRequest, *, venue: PaperVenue, session: SessionHours, at: datetime) -> PaperOrder:
    """Return the row of an order that was taken as the venue's newest."""
    return PaperOrder(
        venue=venue,
        sequence=venue.order_count,
        client_order_id=request.client_order_id,
        broker_order_id=uuid5(IDENTITY, f"{venue.account_name}\n{request.client_order_id}"),
        symbol=request.symbol,
        side=request.side,
        order_type=request.order_type,
        time_in_force=request.time_in_force,
        quantity=request.quantity,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        extended_hours=request.extended_hours,
        session_date=session.date,
        entered_at=at,
        active_after=at,
        updated_at=at,
    )
