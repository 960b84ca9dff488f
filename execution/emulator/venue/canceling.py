"""Cancel orders: asked for now, done at the next look at the market, or refused by then."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from execution.alpaca_wire.errors import INTERNAL, WireError, unprocessable
from execution.emulator.faults import FaultKind
from execution.emulator.venue.life import end_order, force_fill, restore
from execution.emulator.venue.orders import VenueOrder
from execution.emulator.venue.state import VenueState, span


def cancel(state: VenueState, order: VenueOrder) -> None:
    """Ask for the order's cancel; asking again changes nothing.

    :raises WireError: 422, it has ended or is being replaced
    """
    if not order.is_live:
        raise unprocessable(f'order is already in "{order.status}" state', order_id=order.id)
    if order.status == "pending_replace":
        raise unprocessable("order is pending replacement and cannot be canceled", order_id=order.id)
    if order.status == "pending_cancel":
        return
    at = state.moment()
    order.before_pending, order.status, order.updated_at = order.status, "pending_cancel", at
    state.note("pending_cancel", order, at)
    state.tell("pending_cancel", order, at)
    stuck = state.take_fault(FaultKind.STUCK_PENDING_CANCEL, order=order)
    if stuck is not None and stuck.seconds() is None:
        return
    seconds = state.settings.cancel_delay_seconds if stuck is None else stuck.seconds()
    due = at + span(seconds)
    state.agenda.add(due, lambda now: finish(state, order, now))


def finish(state: VenueState, order: VenueOrder, now: datetime) -> None:
    """Cancel an order whose cancel was asked for, unless it has executed or its cancel is refused."""
    at = state.moment(now)
    if order.status != "pending_cancel":
        if order.status == "filled":
            refuse_cancel(state, order, at)
        return
    if order.waits_for is not None:  # the replacement that is to be canceled does not work yet
        state.agenda.add(at, lambda later: finish(state, order, later))
        return
    if state.take_fault(FaultKind.CANCEL_REJECTED, order=order) is not None:
        restore(state, order, at)
        refuse_cancel(state, order, at)
        return
    fill = state.take_fault(FaultKind.FILL_WHILE_CANCELING, order=order)
    if fill is not None:
        force_fill(state, order, fill.quantity(), at)
    if order.is_live:
        end_order(state, order, "canceled", state.moment(now), reason="by request")


def refuse_cancel(state: VenueState, order: VenueOrder, at: datetime) -> None:
    """Tell that a cancel was not done."""
    state.note("order_cancel_rejected", order, at)
    state.tell("order_cancel_rejected", order, at)


def cancel_all(state: VenueState) -> list[dict[str, Any]]:
    """Ask for the cancel of every open order; one answer each, held legs go with their entries."""
    answers: list[dict[str, Any]] = []
    for order in state.orders.live():
        if order.status in ("held", "pending_cancel"):
            continue
        if state.take_fault(FaultKind.LEGS_DO_NOT_CANCEL, order=order) is not None:
            error = WireError(500, INTERNAL, "failed to cancel order")
            answers.append({"id": order.id, "status": error.status, "body": error.body()})
            continue
        try:
            cancel(state, order)
        except WireError as error:
            answers.append({"id": order.id, "status": error.status, "body": error.body()})
        else:
            answers.append({"id": order.id, "status": 200, "body": order.answer()})
    return answers
