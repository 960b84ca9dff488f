"""Replace orders: a new order with a new id, which takes over when the old one has ended as replaced."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from execution.alpaca_wire.errors import INTERNAL, WireError, not_unique, unprocessable
from execution.alpaca_wire.orders import OrderBody, ReplaceBody
from execution.emulator.faults import FaultKind
from execution.emulator.venue.admission import (
    refuse_form,
    refuse_power,
    refuse_shares_of_replacement,
    refuse_wash_trade,
)
from execution.emulator.venue.entry import described, expiry, first_status, new_order, working_order
from execution.emulator.venue.life import become_new, carry, force_fill, plan_late_fill, refuse_replacement, step_group
from execution.emulator.venue.orders import VenueOrder
from execution.emulator.venue.state import VenueState, span
from execution.emulator.venue.values import Need, need_of
from execution.matching.groups import after_replace

ZERO = Decimal(0)
REPLACEABLE = frozenset({"new", "accepted", "partially_filled", "pending_new", "done_for_day", "held"})


def replace_order(state: VenueState, old: VenueOrder, body: ReplaceBody) -> VenueOrder:
    """Ask for an order's replacement and return the new order, which does not work yet.

    The new quantity counts what the old order had executed. Both orders hold buying power, the larger of both.
    :raises WireError: 422 or 403, nothing is replaced; 500 where the plan of faults says so, and it is replaced
    """
    if old.status not in REPLACEABLE or old.waits_for is not None:
        raise unprocessable(f'order cannot be replaced in "{old.status}" state', order_id=old.id)
    if body.client_order_id and state.orders.knows(body.client_order_id):
        raise not_unique()
    at = state.moment()
    wanted = wanted_body(old, body)
    need = judge_replacement(state, old, wanted, at)
    new = new_order(state, wanted, at, reserve_price=need.price)
    new.replaces, new.waits_for, new.group, old.replacement = old.id, old.id, old.group, new
    new.parent_id, new.leg_ids = old.parent_id, list(old.leg_ids)
    carry(old, new)
    new.status = first_status(new, at)
    new.taken = new.answer()
    state.note("submitted", new, at, replaces=old.id, **described(wanted))
    old.before_pending, old.status, old.updated_at = old.status, "pending_replace", at
    state.note("pending_replace", old, at, by=new.id)
    state.tell("pending_replace", old, at)
    plan(state, old, new, at)
    if state.take_fault(FaultKind.REPLACE_THEN_ERROR, order=old) is not None:
        raise WireError(500, INTERNAL, "internal server error occurred")
    return new


def wanted_body(old: VenueOrder, body: ReplaceBody) -> OrderBody:
    """Return what the new order asks for: the old one with what was given."""
    given = {
        "quantity": body.quantity,
        "limit_price": body.limit_price,
        "stop_price": body.stop_price,
        "time_in_force": body.time_in_force,
    }
    changed = {name: value for name, value in given.items() if value is not None}
    if not changed:
        raise unprocessable("nothing to replace: give qty, limit_price, stop_price or time_in_force")
    return replace(old.body, client_order_id=body.client_order_id, **changed)  # type: ignore[arg-type]


def judge_replacement(state: VenueState, old: VenueOrder, wanted: OrderBody, at: datetime) -> Need:
    """Return what the replacement holds.

    :raises WireError: 422 or 403
    """
    done = old.carried + old.filled_quantity
    if wanted.quantity <= done:
        raise unprocessable(f"qty must be above the filled quantity {done}", order_id=old.id)
    if old.is_exit and wanted.quantity != old.body.quantity:
        raise unprocessable("qty of an exit order cannot be replaced", order_id=old.id)
    refuse_form(wanted, at)
    refuse_wash_trade(state, wanted)
    leaves = replace(wanted, quantity=wanted.quantity - done)
    if not old.reserve_price:
        refuse_shares_of_replacement(state, old, leaves.quantity)
        return Need()
    need = need_of(state, leaves)
    refuse_power(state, need, released=old.reserved)
    return need


def plan(state: VenueState, old: VenueOrder, new: VenueOrder, at: datetime) -> None:
    """Put the replacement on the agenda."""
    stuck = state.take_fault(FaultKind.STUCK_PENDING_REPLACE, order=old)
    seconds = state.settings.replace_delay_seconds if stuck is None else stuck.seconds()
    if seconds is not None:
        due = at + span(seconds)
        state.agenda.add(due, lambda now: finish(state, old, new, now))


def finish(state: VenueState, old: VenueOrder, new: VenueOrder, now: datetime) -> None:
    """Let the new order take over, unless it was rejected because the old one has ended."""
    if old.replacement is not new:
        return
    at = state.moment(now)
    fill = state.take_fault(FaultKind.FILL_WHILE_REPLACING, order=old)
    if fill is not None:
        force_fill(state, old, fill.quantity(), at)
        at = state.moment(now)
    if old.replacement is not new:
        return
    if old.is_exit:  # an exit is for what is left to exit by now
        new.body = replace(new.body, quantity=old.body.quantity)
    if not new.is_live or new.body.quantity <= old.carried + old.filled_quantity:
        refuse_replacement(state, old, new, at)
        return
    carry(old, new)
    end_as_replaced(state, old, new, at)
    take_over(state, old, new, at)
    plan_late_fill(state, old, FaultKind.LATE_FILL_ON_REPLACED, at)


def end_as_replaced(state: VenueState, old: VenueOrder, new: VenueOrder, at: datetime) -> None:
    """End the old order; the event carries it, with the id of the new one."""
    old.status, old.updated_at, old.replaced_at, old.replaced_by = "replaced", at, at, new.id
    state.note("replaced", old, at, by=new.id)
    state.tell("replaced", old, at)


def take_over(state: VenueState, old: VenueOrder, new: VenueOrder, at: datetime) -> None:
    """Let the new order work, or wait as the old one did."""
    new.waits_for = old.replacement = None
    fresh = working_order(new.body, sequence=new.sequence, at=at)
    new.working = replace(fresh, quantity=new.working.quantity, filled_quantity=new.filled_quantity)
    new.expires_at = expiry(new.body, at)
    status = "held" if old.before_pending == "held" else first_status(new, at)
    if new.status == "pending_cancel":
        new.before_pending = status
    elif status == "pending_new":
        become_new(state, new, at)
    else:
        new.status, new.updated_at = status, at
        state.note(status, new, at)
        state.tell(status, new, at)
    if new.group is not None:
        step_group(state, new, after_replace(new.group.state, old.sequence, new.sequence, new.body.quantity), at)
