"""Take orders in: from the client, and from elsewhere (by hand at the broker, by the broker itself)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from execution.alpaca_wire.conversions import converted_stop_limit
from execution.alpaca_wire.errors import WireError
from execution.alpaca_wire.orders import OrderBody
from execution.emulator.faults import FaultKind
from execution.emulator.venue.admission import judge
from execution.emulator.venue.life import become_new, end_order, force_fill
from execution.emulator.venue.orders import Group, VenueOrder
from execution.emulator.venue.state import VenueState, span
from execution.matching.groups import open_group
from execution.matching.orders import WorkingOrder
from marketdata.calendar import POST_MARKET, latest_session, market_phase, session_close, trading_date
from risk.types import OrderType, Side, TimeInForce

ZERO = Decimal(0)

FOR_EVER = timedelta(days=36_500)


def submit(state: VenueState, body: OrderBody, *, external: bool = False) -> VenueOrder:
    """Take an order, with its legs.

    :raises WireError: 403 or 422, the order is not taken
    """
    at = state.moment()
    try:
        need = judge(state, body, at)
    except WireError as error:
        state.log.add(
            "refused",
            at=at,
            symbol=body.symbol,
            client_order_id=body.client_order_id,
            code=error.code,
            message=error.message,
        )
        raise
    order = new_order(state, body, at, reserve_price=need.price)
    order.status = first_status(order, at)
    state.note("external" if external else "submitted", order, at, **described(body))
    add_legs(state, order, at)
    legs = [leg.answer() for leg in state.orders.legs_of(order)]
    order.taken = order.answer(legs=legs or None)
    state.tell(order.status, order, at)
    for leg in state.orders.legs_of(order):
        state.tell(leg.status, leg, at)
    plan_entry_faults(state, order, at)
    return order


def described(body: OrderBody) -> dict[str, object]:
    """Return what the log says of an order."""
    return {
        "side": body.side,
        "quantity": body.quantity,
        "order_type": body.order_type,
        "time_in_force": body.time_in_force,
        "limit_price": body.limit_price,
        "stop_price": body.stop_price,
        "order_class": body.order_class,
    }


def new_order(state: VenueState, body: OrderBody, at: datetime, *, reserve_price: Decimal = ZERO) -> VenueOrder:
    """Add an order to the book, as pending_new; one without a client order id gets one."""
    order = VenueOrder(
        id=state.new_id(),
        client_order_id=body.client_order_id or state.new_id(),
        body=body,
        working=working_order(body, sequence=state.orders.next_sequence(), at=at),
        status="pending_new",
        created_at=at,
        submitted_at=at,
        updated_at=at,
        expires_at=expiry(body, at),
        reserve_price=reserve_price,
    )
    state.orders.add(order)
    return order


def working_order(body: OrderBody, *, sequence: int, at: datetime) -> WorkingOrder:
    """Return the order as it executes: a buy stop as the stop-limit that the broker makes of it."""
    order_type, limit_price = OrderType(body.order_type), body.limit_price
    if order_type == OrderType.STOP and body.side == "buy" and body.stop_price is not None:
        order_type, limit_price = OrderType.STOP_LIMIT, converted_stop_limit(body.stop_price)
    return WorkingOrder(
        sequence=sequence,
        symbol=body.symbol,
        side=Side(body.side),
        order_type=order_type,
        time_in_force=TimeInForce(body.time_in_force),
        quantity=body.quantity,
        session_date=session_of(body, at),
        active_after=at,
        limit_price=limit_price,
        stop_price=body.stop_price,
        extended_hours=body.extended_hours,
    )


def session_of(body: OrderBody, at: datetime) -> date:
    """Return the session that an order is for: today's until its close, with extended hours until their end."""
    if body.extended_hours and market_phase(at) == "post":
        return latest_session(at)
    return trading_date(at)


def expiry(body: OrderBody, at: datetime) -> datetime | None:
    """Return when the order ends by itself, None for good till canceled."""
    if body.time_in_force == "gtc":
        return None
    closes_at = session_close(session_of(body, at))
    return closes_at + POST_MARKET if body.extended_hours else closes_at


def first_status(order: VenueOrder, at: datetime) -> str:
    """Return pending_new while the order can work at once, accepted where it waits for its session."""
    phase = market_phase(at)
    if phase == "open" or (order.body.extended_hours and phase != "closed"):
        return "pending_new"
    return "accepted"


def add_legs(state: VenueState, parent: VenueOrder, at: datetime) -> None:
    """Add the exits of a bracket or OTO, held, and the stop-loss of an OCO, which works beside its limit order."""
    body = parent.body
    if not body.order_class:
        return
    is_oco = body.order_class == "oco"
    sequences: dict[str, int] = {"take_profit" if is_oco else "entry": parent.sequence}
    for name, leg_body in leg_bodies(body).items():
        leg = new_order(state, leg_body, at)
        leg.parent_id = parent.id
        leg.status = parent.status if is_oco else "held"
        sequences[name] = leg.sequence
        parent.leg_ids.append(leg.id)
        state.note("submitted", leg, at, parent_id=parent.id, **described(leg_body))
    group = Group(open_group(quantity=body.quantity, **sequences))
    for order in (parent, *state.orders.legs_of(parent)):
        order.group = group


def leg_bodies(body: OrderBody) -> dict[str, OrderBody]:
    """Return the exits that an order asks for, by role."""
    exit_side = body.side if body.order_class == "oco" else "sell" if body.side == "buy" else "buy"
    common = replace(
        body,
        side=exit_side,
        client_order_id="",
        limit_price=None,
        stop_price=None,
        take_profit_price=None,
        stop_loss_price=None,
        stop_loss_limit_price=None,
    )
    legs: dict[str, OrderBody] = {}
    if body.take_profit_price is not None:
        legs["take_profit"] = replace(common, order_type="limit", limit_price=body.take_profit_price)
    if body.stop_loss_price is not None:
        limit = body.stop_loss_limit_price
        kind = "stop" if limit is None else "stop_limit"
        legs["stop_loss"] = replace(common, order_type=kind, stop_price=body.stop_loss_price, limit_price=limit)
    return legs


def plan_entry_faults(state: VenueState, order: VenueOrder, at: datetime) -> None:
    """Let go wrong what is planned for an order that was just taken; otherwise it becomes new at the next look."""
    hidden = state.take_fault(FaultKind.HIDE_ORDER, order=order)
    if hidden is not None:
        seconds = hidden.seconds()
        order.hidden_until = at + (FOR_EVER if seconds is None else span(seconds))
    if state.take_fault(FaultKind.REJECT_LATER, order=order) is not None:
        state.agenda.add(at, lambda now: reject(state, order, state.moment(now)))
    elif state.take_fault(FaultKind.FILL_BEFORE_ANSWER, order=order) is not None:
        become_new(state, order, state.moment())
        force_fill(state, order, None, state.moment())
    for each in (order, *state.orders.legs_of(order)):
        if each.status == "pending_new":
            plan_route(state, each, at)


def plan_route(state: VenueState, order: VenueOrder, at: datetime) -> None:
    """Let the order become new at the next look at the market."""
    state.agenda.add(at, lambda now: route(state, order, state.moment(now)))


def route(state: VenueState, order: VenueOrder, at: datetime) -> None:
    """Let an order that was taken in market hours become new, unless something else has happened to it."""
    if order.status == "pending_new" and order.waits_for is None:
        become_new(state, order, at)


def reject(state: VenueState, order: VenueOrder, at: datetime) -> None:
    """Reject an order that had been taken."""
    if order.is_live:
        end_order(state, order, "rejected", at, reason="rejected by the exchange")
