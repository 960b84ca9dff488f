"""Groups at the exchange: their legs are entered held, and what happens to one order is carried out on the others.

The rules are those of `execution.matching.groups`. A row keeps the quantity that was entered; of two exits each works
for what the other has left it, and ends as canceled when the other has executed the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from django.db.models import Q

from execution.brokers.base import BrokerRejected, DuplicateClientOrderId, LegRequest, OrderRequest
from execution.matching.admission import Entry, find_refusal
from execution.matching.engine import Outcome
from execution.matching.events import SessionHours
from execution.matching.groups import GroupState, Instruction, Member, Role, Stage, after_outcome, one_exit_an_event
from execution.matching.orders import WorkingOrder
from execution.models.orders import OrderClass
from execution.models.paper import PaperOrder, PaperReport, PaperVenue
from risk.types import OrderType, Side, TimeInForce

ZERO = Decimal(0)
GROUP_TIMES = (TimeInForce.DAY.value, TimeInForce.GTC.value)
ROLES = {
    OrderClass.BRACKET.value: [{Role.TAKE_PROFIT.value, Role.STOP_LOSS.value}],
    OrderClass.OCO.value: [{Role.STOP_LOSS.value}],
    OrderClass.OTO.value: [{Role.TAKE_PROFIT.value}, {Role.STOP_LOSS.value}],
}
STAGES = {
    PaperOrder.Status.HELD.value: Stage.HELD,
    PaperOrder.Status.ACCEPTED.value: Stage.WORKING,
    PaperOrder.Status.PARTIALLY_FILLED.value: Stage.WORKING,
    PaperOrder.Status.FILLED.value: Stage.FILLED,
}
OF_GROUP = "one order of its group has ended"
REST_ELSEWHERE = "the other exit of its group has executed the rest"
MEMBER_COLUMNS = ("id", "broker_order_id", "order_class", "entry_id", "leg_role", "status")
ORDER_COLUMNS = tuple(column.name for column in fields(WorkingOrder))


def side_of_leg(request: OrderRequest) -> Side:
    """Return the side of the legs: an OCO's leg leaves as its first order does, every other leg undoes its entry."""
    side = Side(request.side)
    if request.order_class == OrderClass.OCO:
        return side
    return Side.SELL if side == Side.BUY else Side.BUY


def type_of_leg(leg: LegRequest) -> OrderType:
    """Return the order type that a leg's role and prices mean."""
    if leg.role == Role.TAKE_PROFIT:
        return OrderType.LIMIT
    return OrderType.STOP if leg.limit_price is None else OrderType.STOP_LIMIT


def refuse_legs(
    request: OrderRequest, *, taken: Collection[str], hours: SessionHours, at: datetime
) -> BrokerRejected | None:
    """Return why an order's legs are not taken, and the order not with them; None to take them."""
    roles = [leg.role for leg in request.legs]
    if len(set(roles)) != len(roles) or set(roles) not in ROLES.get(request.order_class, []):
        reason = f"order_class {request.order_class!r} with legs {', '.join(roles) or 'none'}: bracket, oco or oto"
        return BrokerRejected(reason, code="malformed")
    if request.time_in_force not in GROUP_TIMES or request.extended_hours:
        return BrokerRejected("a group is day or gtc, in regular hours", code="invalid_time_in_force")
    for leg in request.legs:
        if leg.client_order_id in taken or leg.client_order_id == request.client_order_id:
            return DuplicateClientOrderId(leg.client_order_id)
        refusal = find_refusal(_at_the_door(request, leg), hours=hours, at=at)
        if refusal is not None:
            return BrokerRejected(f"{leg.role}: {refusal.reason}", code=refusal.code)
    return None


def _at_the_door(request: OrderRequest, leg: LegRequest) -> Entry:
    return Entry(
        side=side_of_leg(request),
        order_type=type_of_leg(leg),
        time_in_force=TimeInForce(request.time_in_force),
        quantity=request.quantity,
        limit_price=leg.limit_price,
        stop_price=leg.stop_price,
        extended_hours=False,
    )


def enter_legs(venue: PaperVenue, taken: Sequence[tuple[OrderRequest, PaperOrder]], *, identity: UUID) -> None:
    """Store the legs of entries that were stored a moment ago: held, or working beside the first order of an OCO.

    The venue must be locked. Its counters move on, and a leg that works is reported as accepted.
    """
    groups = {order.sequence: (request, order) for request, order in taken if request.legs}
    if not groups:
        return
    legs: list[PaperOrder] = []
    for pk, sequence in (
        venue.orders.filter(sequence__in=list(groups)).order_by("sequence").values_list("pk", "sequence")
    ):
        request, order = groups[sequence]
        order.pk, order.order_class = pk, request.order_class
        legs += [_new_leg(venue, request, leg, order, identity) for leg in request.legs]
    for order_class in {request.order_class for request, _ in groups.values()}:
        of_class = [order.pk for request, order in groups.values() if request.order_class == order_class]
        venue.orders.filter(pk__in=of_class).update(order_class=order_class)
    PaperOrder.objects.bulk_create(legs)
    _report_accepted(venue, [leg for leg in legs if leg.status == PaperOrder.Status.ACCEPTED])
    venue.save(update_fields=["order_count", "report_count"])


def _new_leg(
    venue: PaperVenue, request: OrderRequest, leg: LegRequest, entry: PaperOrder, identity: UUID
) -> PaperOrder:
    venue.order_count += 1
    works = request.order_class == OrderClass.OCO
    return PaperOrder(
        venue=venue,
        sequence=venue.order_count,
        client_order_id=leg.client_order_id,
        broker_order_id=uuid5(identity, f"{venue.account_name}\n{leg.client_order_id}"),
        symbol=request.symbol,
        side=side_of_leg(request),
        order_type=type_of_leg(leg),
        time_in_force=request.time_in_force,
        quantity=request.quantity,
        limit_price=leg.limit_price,
        stop_price=leg.stop_price,
        order_class=request.order_class,
        leg_role=leg.role,
        entry=entry,
        session_date=entry.session_date,
        entered_at=entry.entered_at,
        status=PaperOrder.Status.ACCEPTED if works else PaperOrder.Status.HELD,
        active_after=entry.active_after,
        updated_at=entry.updated_at,
    )


def _report_accepted(venue: PaperVenue, orders: Sequence[PaperOrder]) -> None:
    reports = []
    for order in orders:
        venue.report_count += 1
        reports.append(
            PaperReport(
                venue=venue,
                sequence=venue.report_count,
                order=order,
                kind=PaperReport.Kind.ACCEPTED,
                at=order.entered_at,
                cumulative_quantity=ZERO,
            )
        )
    PaperReport.objects.bulk_create(reports)


@dataclass(slots=True)
class VenueGroups:
    """The groups of the orders that a book has read: who belongs together, and who is held."""

    identities: dict[int, tuple[int, UUID]] = field(default_factory=dict)
    held: dict[int, WorkingOrder] = field(default_factory=dict)
    _states: dict[int, GroupState] = field(default_factory=dict)
    _group: dict[int, int] = field(default_factory=dict)
    _entered: dict[int, Decimal] = field(default_factory=dict)

    @classmethod
    def read(cls, venue: PaperVenue, entries: Collection[int]) -> VenueGroups:
        """Read every member of the groups with these entries (ids), also those that have ended."""
        groups = cls()
        members: dict[int, list[Member]] = {}
        found = venue.orders.filter(Q(pk__in=entries) | Q(entry_id__in=entries)).order_by("sequence")
        for row in found.values_list(*MEMBER_COLUMNS, *ORDER_COLUMNS):
            key, broker_order_id, order_class, entry, role, status, *columns = row
            order = _working(columns)
            root = entry or key
            groups.identities[order.sequence] = key, broker_order_id
            groups._group[order.sequence] = root
            groups._entered[order.sequence] = order.quantity
            if status == PaperOrder.Status.HELD:
                groups.held[order.sequence] = order
            members.setdefault(root, []).append(_member(order, order_class, role, status))
        groups._states = {root: _shared(GroupState(tuple(group))) for root, group in members.items()}
        return groups

    def state_of(self, sequence: int) -> GroupState | None:
        """Return the group of an order, None when it belongs to none."""
        return self._states.get(self._group.get(sequence, 0))

    def limited(self, order: WorkingOrder) -> WorkingOrder:
        """Return a working order for the shares that its group has left it."""
        state = self.state_of(order.sequence)
        member = None if state is None else state.member(order.sequence)
        if member is None or member.quantity == order.quantity:
            return order
        return replace(order, quantity=member.quantity)

    def at_most_one_exit(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Let one event reach one exit of a group."""
        return one_exit_an_event(outcomes, self.state_of)

    def consequences(self, outcome: Outcome, current: Callable[[int], WorkingOrder | None]) -> list[Outcome]:
        """Return the outcome as it is recorded, and those of the other members that follow from it.

        `current` finds a working order. An outcome of a member that its group has ended meanwhile is none.
        """
        sequence = outcome.order.sequence
        state = self.state_of(sequence)
        if state is None:
            return [outcome]
        member = state.member(sequence)
        if member is None or not member.is_live:
            return []
        entered = replace(outcome.order, quantity=self._entered[sequence])
        happened = [replace(outcome, order=entered)]
        if outcome.kind == "fill" and not outcome.order.leaves_quantity and entered.leaves_quantity:
            happened.append(Outcome(kind="canceled", order=entered, at=outcome.at, reason=REST_ELSEWHERE))
        step = after_outcome(state, outcome)
        self._states[self._group[sequence]] = step.state
        self.held.pop(sequence, None)
        for instruction in step.instructions:
            happened += self._carry_out(instruction, current, outcome.at)
        return happened

    def _carry_out(
        self, instruction: Instruction, current: Callable[[int], WorkingOrder | None], at: datetime
    ) -> list[Outcome]:
        sequence = instruction.sequence
        order = self.held.get(sequence) or current(sequence)
        if order is None or instruction.kind == "resize":
            return []  # a working order is limited to its share whenever it is looked at
        self.held.pop(sequence, None)
        order = replace(order, quantity=self._entered[sequence])
        if instruction.kind == "activate":
            return [Outcome(kind="activated", order=replace(order, active_after=at), at=at)]
        return [Outcome(kind="canceled", order=order, at=at, reason=OF_GROUP)]


def _working(columns: Sequence[Any]) -> WorkingOrder:
    sequence, symbol, side, kind, good, *rest = columns
    return WorkingOrder(sequence, symbol, Side(side), OrderType(kind), TimeInForce(good), *rest)


def _member(order: WorkingOrder, order_class: str, role: str, status: str) -> Member:
    first = Role.TAKE_PROFIT if order_class == OrderClass.OCO else Role.ENTRY
    return Member(
        sequence=order.sequence,
        role=Role(role) if role else first,
        quantity=order.quantity,
        stage=STAGES.get(status, Stage.ENDED),
        filled=order.filled_quantity,
    )


def _shared(state: GroupState) -> GroupState:
    """Return the state with each exit for what the others of its kind have left it."""
    exits = [member for member in state.members if member.role != Role.ENTRY]
    for member in exits:
        others = sum((other.filled for other in exits if other is not member), ZERO)
        if others:
            state = state.changed(member, quantity=member.quantity - others)
    return state
