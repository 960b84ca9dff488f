"""Plan the rest anew: over the slices that are still to come, never in one burst."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal

from execution.slicing.draws import Draws
from execution.slicing.plan import SHORTEST_PART, apportion

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Slot:
    """A slice that has not been sent; quantities in shares."""

    number: int
    due_at: datetime
    quantity: Decimal
    max_quantity: Decimal


@dataclass(frozen=True, slots=True)
class Rest:
    """What is to come: slices with their new quantities, those that were missed, what fits into none of them."""

    slots: tuple[Slot, ...]
    missed: tuple[Slot, ...]
    unplanned: Decimal


def replan(
    *, left: Decimal, slots: Sequence[Slot], at: datetime, ends_at: datetime, lot_size: Decimal, draws: Draws
) -> Rest:
    """Spread what is left over the slots that are to come; the newest of those that are due stands for them.

    No slot grows beyond its `max_quantity`. What does not fit waits in `unplanned`: a later slot may be added for it.
    """
    due = [slot for slot in slots if slot.due_at <= at]
    missed = due[:-1]
    coming = [] if at >= ends_at else [*due[-1:], *(slot for slot in slots if slot.due_at > at)]
    if at >= ends_at:
        missed = list(slots)
    quantities = _fit(left, coming, lot_size, draws)
    kept = tuple(
        Slot(slot.number, slot.due_at, quantity, slot.max_quantity)
        for slot, quantity in zip(coming, quantities, strict=True)
    )
    return Rest(kept, tuple(missed), left - sum(quantities, ZERO))


def late_slot(
    *, left: Decimal, like: Slot, number: int, part: timedelta, at: datetime, ends_at: datetime
) -> Slot | None:
    """Return one more slot for what came back after the last one, when the window has the time for it.

    It comes one part of the window after now and is no larger than the last one could have been, so that the pace
    never doubles.
    """
    due_at = at.replace(microsecond=0) + max(part, SHORTEST_PART)
    if left <= 0 or due_at >= ends_at:
        return None
    return Slot(number, due_at, min(left, like.max_quantity), like.max_quantity)


def _fit(left: Decimal, slots: Sequence[Slot], lot_size: Decimal, draws: Draws) -> list[Decimal]:
    """Return each slot's quantity: by weight, none above its maximum, what is no whole lot in the last one."""
    room = [int((slot.max_quantity / lot_size).to_integral_value(ROUND_FLOOR)) for slot in slots]
    lots = int((left / lot_size).to_integral_value(ROUND_FLOOR))
    parts = [0] * len(slots)
    while (free := [index for index, most in enumerate(room) if parts[index] < most]) and sum(parts) < lots:
        more = apportion(lots - sum(parts), [slots[index].max_quantity for index in free], draws)
        for index, count in zip(free, more, strict=True):
            parts[index] += min(count, room[index] - parts[index])
    quantities = [part * lot_size for part in parts]
    odd = left - lots * lot_size
    if quantities and odd and quantities[-1] + odd <= slots[-1].max_quantity:
        quantities[-1] += odd
    return quantities
