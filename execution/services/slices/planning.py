"""Plan the rest of a locked parent anew, when what is planned is not what is left."""

from datetime import datetime, timedelta
from decimal import Decimal

from execution.models import ParentOrder, Slice
from execution.parent_orders import progress
from execution.services.slices.history import step
from execution.slicing.draws import Draws
from execution.slicing.replan import Rest, Slot, late_slot, replan
from execution.slicing.states import ParentStep, SliceStatus

ZERO = Decimal(0)
MISSED = "missed: it was not sent before the next was due"
TAKEN_OVER = "nothing is left for it"


def plan_rest(parent: ParentOrder, *, market_at: datetime, wall_now: datetime) -> None:
    """Bring the unsent slices of a locked parent to what is left; what was missed is spread, never sent in one burst.

    A slice that is being sent keeps its quantity. Writes nothing when the plan is right as it is.
    """
    slots = _slots(parent)
    stored = parent.children.values("slice_number")
    claimed = parent.slices.filter(status=SliceStatus.CLAIMED).exclude(number__in=stored).first()
    left = progress(parent).left(parent.quantity) - (claimed.quantity if claimed else ZERO)
    overdue = sum(slot.due_at <= market_at for slot in slots)
    if overdue <= 1 and sum((slot.quantity for slot in slots), ZERO) == left:
        return
    draws = Draws(parent.seed, f"plan {parent.plan + 1}")
    rest = replan(
        left=left, slots=slots, at=market_at, ends_at=parent.ends_at, lot_size=parent.instrument.lot_size, draws=draws
    )
    late = None if rest.slots or claimed else _late_slot(parent, rest.unplanned, market_at)
    if _same(slots, rest) and late is None:
        return
    _write(parent, rest, late)
    unplanned = rest.unplanned - (late.quantity if late else ZERO)
    step(
        parent,
        ParentStep.PLANNED,
        market_at=market_at,
        wall_now=wall_now,
        detail={
            "plan": parent.plan,
            "left": f"{left.normalize():f}",
            "missed": len(rest.missed),
            "slices": len(rest.slots) + (late is not None),
            "unplanned": f"{unplanned.normalize():f}",
        },
    )


def _slots(parent: ParentOrder) -> list[Slot]:
    rows = parent.slices.filter(status=SliceStatus.PLANNED).order_by("due_at", "number")
    return [Slot(row.number, row.due_at, row.quantity, row.max_quantity) for row in rows]


def _late_slot(parent: ParentOrder, left: Decimal, market_at: datetime) -> Slot | None:
    last = parent.slices.order_by("-number").first()
    if last is None:
        return None
    planned = parent.slices.filter(plan=1).count()
    part = (parent.ends_at - parent.starts_at) / max(planned, 1)
    whole_lots = left // parent.instrument.lot_size * parent.instrument.lot_size
    return late_slot(
        left=whole_lots or left,
        like=Slot(last.number, last.due_at, last.quantity, last.max_quantity),
        number=last.number + 1,
        part=timedelta(seconds=part // timedelta(seconds=1)),
        at=market_at,
        ends_at=parent.ends_at,
    )


def _same(before: list[Slot], rest: Rest) -> bool:
    return not rest.missed and tuple(before) == rest.slots


def _write(parent: ParentOrder, rest: Rest, late: Slot | None) -> None:
    parent.plan += 1
    rows = {row.number: row for row in parent.slices.filter(status=SliceStatus.PLANNED)}
    changed = []
    for slot in rest.missed:
        changed.append(rows[slot.number])
        rows[slot.number].status, rows[slot.number].reason = SliceStatus.SKIPPED, MISSED
    for slot in rest.slots:
        row = rows[slot.number]
        if slot.quantity == row.quantity:
            continue
        changed.append(row)
        if slot.quantity > 0:
            row.quantity, row.plan = slot.quantity, parent.plan
        else:
            row.status, row.reason = SliceStatus.SKIPPED, TAKEN_OVER
    Slice.objects.bulk_update(changed, ["quantity", "plan", "status", "reason"])
    if late is not None:
        Slice.objects.create(
            parent=parent,
            number=late.number,
            plan=parent.plan,
            due_at=late.due_at,
            quantity=late.quantity,
            max_quantity=late.max_quantity,
        )
