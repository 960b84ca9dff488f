"""What happens to an order after its entry: it becomes new, executes, ends; and what that means for its group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from execution.emulator.faults import FaultKind
from execution.emulator.venue.ledger import Execution
from execution.emulator.venue.orders import PENDING, VenueOrder
from execution.emulator.venue.state import VenueState, span
from execution.matching.engine import Outcome
from execution.matching.groups import (
    GroupState,
    Instruction,
    Step,
    after_end,
    after_fill,
    one_exit_an_event,
)
from execution.matching.orders import ZERO, WorkingOrder
from execution.matching.pricing import execution_price
from execution.session_hours import hours_for_entry
from marketdata.calendar import market_phase
from risk.types import Side

UNROUTED = frozenset({"pending_new", "accepted", "done_for_day"})


def apply_outcomes(state: VenueState, outcomes: Sequence[Outcome]) -> None:
    """Carry out what an event did to the orders of a symbol, in order."""

    def group_of(sequence: int) -> GroupState | None:
        group = state.orders.by_sequence(sequence).group
        return None if group is None else group.state

    for outcome in one_exit_an_event(outcomes, group_of):
        order = state.orders.by_sequence(outcome.order.sequence)
        if not order.is_matchable:  # an order of its group has ended it in this event
            continue
        if outcome.kind == "triggered":
            order.working = outcome.order
            state.note("triggered", order, outcome.at)
        elif outcome.kind == "fill":
            extra = overfill(state, order, outcome.order)
            book_fill(state, order, quantity=outcome.quantity + extra, price=outcome.price, at=outcome.at)
            state.traded_at[order.symbol] = outcome.at
        else:
            order.working = outcome.order
            end_order(state, order, outcome.kind, outcome.at, reason=outcome.reason)


def overfill(state: VenueState, order: VenueOrder, after: WorkingOrder) -> Decimal:
    """Return how many shares more than ordered its last execution brings."""
    if after.leaves_quantity:
        return ZERO
    fault = state.take_fault(FaultKind.OVERFILL, order=order)
    return ZERO if fault is None else fault.quantity() or Decimal(1)


def become_new(state: VenueState, order: VenueOrder, at: datetime) -> None:
    """Let the order work at the exchange; one that executed on an earlier day goes on as partially filled."""
    order.status = "partially_filled" if order.filled_quantity else "new"
    order.updated_at = at
    state.note("new", order, at)
    state.tell("new", order, at)


def restore(state: VenueState, order: VenueOrder, at: datetime) -> None:
    """Let an order go on as before its cancel or replacement was asked for; what should have become new does now."""
    if order.before_pending in UNROUTED and market_phase(at) == "open":
        become_new(state, order, at)
        return
    order.status = "partially_filled" if order.filled_quantity else order.before_pending
    order.updated_at = at


def book_fill(state: VenueState, order: VenueOrder, *, quantity: Decimal, price: Decimal, at: datetime) -> None:
    """Execute `quantity` shares of an order, whatever its status: brokers tell of fills of orders that have ended."""
    before = order.working
    fee = state.settings.fees.of_execution(
        side=order.side,
        before_quantity=before.filled_quantity,
        before_notional=before.filled_notional,
        quantity=quantity,
        price=price,
    )
    order.working = before.after_fill(quantity=quantity, price=price, fee=fee, at=at)
    is_complete = order.working.leaves_quantity <= 0
    if order.is_live:
        if is_complete:
            order.status = "filled"
        elif order.status not in PENDING:
            order.status = "partially_filled"
    order.filled_at, order.updated_at = at, at
    execution = Execution(
        execution_id=execution_id_of(state, order),
        order_id=order.id,
        symbol=order.symbol,
        side=order.body.side,
        quantity=quantity,
        price=price,
        fee=fee,
        at=at,
        cumulative_quantity=order.filled_quantity,
        leaves_quantity=max(order.working.leaves_quantity, ZERO),
    )
    state.ledger.trade(execution)
    tell_fill(state, order, execution)
    settle_replacement(state, order, at)
    if order.group is not None:
        step_group(state, order, after_fill(order.group.state, order.sequence, quantity), at)


def execution_id_of(state: VenueState, order: VenueOrder) -> str:
    """Return the id of an order's next execution: a new one, or that of another order's where the plan says so."""
    if state.take_fault(FaultKind.SAME_EXECUTION_ID, order=order) is not None:
        others = [each.execution_id for each in state.ledger.executions.values() if each.order_id != order.id]
        if others:
            return others[-1]
    return state.new_id()


def tell_fill(state: VenueState, order: VenueOrder, execution: Execution) -> None:
    """Log an execution and tell the listeners."""
    state.note(
        "fill",
        order,
        execution.at,
        execution_id=execution.execution_id,
        side=execution.side,
        quantity=execution.quantity,
        price=execution.price,
        fee=execution.fee,
        cash=execution.cash,
        filled_quantity=order.filled_quantity,
    )
    state.tell(
        "partial_fill" if execution.leaves_quantity else "fill",
        order,
        execution.at,
        execution_id=execution.execution_id,
        quantity=execution.quantity,
        price=execution.price,
        position_quantity=state.ledger.held(order.symbol).quantity,
    )


def force_fill(
    state: VenueState, order: VenueOrder, quantity: Decimal | None, at: datetime, price: Decimal | None = None
) -> None:
    """Execute shares at the market as it stands, within the order's limit; without a number all that is open.

    Nothing happens where there is no price at all.
    """
    wanted = order.working.leaves_quantity if quantity is None else quantity
    if price is None:
        price = market_price(state, order)
    if wanted > 0 and price is not None:
        book_fill(state, order, quantity=wanted, price=price, at=at)


def market_price(state: VenueState, order: VenueOrder) -> Decimal | None:
    """Return what the order would get now, its limit at worst; None where neither market nor limit says a price."""
    limit = order.working.limit_in_force
    quote = state.market.quote(order.symbol, state.at)
    if quote is None:
        return limit
    reference = (quote.ask if order.side == Side.BUY else quote.bid) or quote.last
    if reference is None:
        return limit
    return execution_price(reference=reference, slippage=ZERO, side=order.side, limit=limit)


def end_order(state: VenueState, order: VenueOrder, kind: str, at: datetime, *, reason: str = "") -> None:
    """End an order as canceled, expired or rejected, and tell its group."""
    order.status, order.updated_at = kind, at
    if kind == "canceled":
        order.canceled_at = at
    elif kind == "expired":
        order.expired_at = at
    else:
        order.failed_at = at
    state.note(kind, order, at, reason=reason, filled_quantity=order.filled_quantity)
    state.tell(kind, order, at)
    settle_replacement(state, order, at)
    if order.group is not None:
        step_group(state, order, after_end(order.group.state, order.sequence, expired=kind == "expired"), at)
    if kind == "canceled":
        plan_late_fill(state, order, FaultKind.LATE_FILL, at)


def carry(old: VenueOrder, new: VenueOrder) -> None:
    """Let the new order be for what the old one has not executed."""
    new.carried = old.carried + old.filled_quantity
    new.working = replace(new.working, quantity=new.body.quantity - new.carried)


def settle_replacement(state: VenueState, old: VenueOrder, at: datetime) -> None:
    """Let a pending replacement follow what has happened to the order that it is to replace, or reject it."""
    new = old.replacement
    if new is None:
        return
    if old.is_live and new.body.quantity > old.carried + old.filled_quantity:
        carry(old, new)
        return
    refuse_replacement(state, old, new, at)


def refuse_replacement(state: VenueState, old: VenueOrder, new: VenueOrder, at: datetime) -> None:
    """Reject the new order; the old one stays what it is."""
    old.replacement = new.waits_for = new.group = None
    if old.status == "pending_replace":
        restore(state, old, at)
    state.note("order_replace_rejected", old, at, by=new.id)
    state.tell("order_replace_rejected", old, at)
    if new.is_live:
        end_order(state, new, "rejected", at, reason=f"the order it replaces is {old.status}")


def plan_late_fill(state: VenueState, order: VenueOrder, kind: FaultKind, at: datetime) -> None:
    """Let an order that has ended execute at a later look at the market, where the plan of faults says so."""
    fault = state.take_fault(kind, order=order)
    if fault is not None:
        due = at + span(fault.seconds())
        state.agenda.add(due, lambda now: force_fill(state, order, fault.quantity(), state.moment(now)))


def step_group(state: VenueState, order: VenueOrder, step: Step, at: datetime) -> None:
    """Keep the group's new state and carry out what it asks for."""
    assert order.group is not None
    order.group.state = step.state
    for instruction in step.instructions:
        carry_out(state, state.orders.by_sequence(instruction.sequence), instruction, at)


def carry_out(state: VenueState, order: VenueOrder, instruction: Instruction, at: datetime) -> None:
    """Do to an order what another one of its group has caused."""
    if not order.is_live:
        return
    if instruction.quantity is not None:
        resize(order, instruction.quantity, at)
    if instruction.kind == "cancel":
        end_order(state, order, "canceled", at, reason="an order of its group has ended it")
    elif instruction.kind == "activate":
        order.working = replace(order.working, active_after=at, session_date=hours_for_entry(at).date)
        if order.status in PENDING:
            order.before_pending = "new"
        else:
            become_new(state, order, at)
    else:
        order.updated_at = at
        state.note("resized", order, at, quantity=order.body.quantity)
        state.tell("restated", order, at)


def resize(order: VenueOrder, quantity: Decimal, at: datetime) -> None:
    """Let the order be for so many shares, those included that the orders it replaced have filled."""
    order.body = replace(order.body, quantity=quantity)
    order.working = replace(order.working, quantity=quantity - order.carried, active_after=at)
