"""Orders that belong together: bracket (entry, take-profit, stop-loss), OCO (two exits), OTO (entry and one exit).

Pure: the state of a group and what happened to one member come in, the new state and instructions for the other
members come out; whoever keeps the orders carries the instructions out. Orders are named by their `sequence`.

* Exits are held until the entry is filled completely, then work for what the entry got.
* One exit filled cancels the other; one exit filled in part leaves the other only the shares that are left.
* A member that is canceled or rejected takes every member with it that still waits or works. One that expired takes
  held exits with it; a working exit expires by its own time in force.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from execution.matching.engine import Outcome

ZERO = Decimal(0)
InstructionKind = Literal["activate", "cancel", "resize"]


class Role(StrEnum):
    """What an order is in its group."""

    ENTRY = "entry"
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"


class Stage(StrEnum):
    """Where a member stands; `ended` is every end but filled."""

    HELD = "held"
    WORKING = "working"
    FILLED = "filled"
    ENDED = "ended"


LIVE = frozenset({Stage.HELD, Stage.WORKING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One order of a group; `filled` counts over all orders that replaced each other in this role (shares)."""

    sequence: int
    role: Role
    quantity: Decimal
    stage: Stage
    filled: Decimal = ZERO

    @property
    def leaves_quantity(self) -> Decimal:
        """Shares still open, never negative: a broker may fill more than was ordered."""
        return max(self.quantity - self.filled, ZERO)

    @property
    def is_live(self) -> bool:
        """Whether it waits or works."""
        return self.stage in LIVE


@dataclass(frozen=True, slots=True)
class GroupState:
    """The members of a group, entry first."""

    members: tuple[Member, ...]

    def member(self, sequence: int) -> Member | None:
        """Return the member with this order, None when the order has been replaced or was never one."""
        return next((member for member in self.members if member.sequence == sequence), None)

    @property
    def is_over(self) -> bool:
        """Whether no member waits or works."""
        return not any(member.is_live for member in self.members)

    def changed(self, member: Member, **fields: object) -> GroupState:
        """Return the state with one member changed."""
        after = replace(member, **fields)  # type: ignore[arg-type]
        return GroupState(tuple(after if each is member else each for each in self.members))


@dataclass(frozen=True, slots=True)
class Instruction:
    """What to do with another member; `quantity` is its whole quantity from now on (shares), None where it stays.

    `activate`: a held order works from now on. `cancel`: it ends. `resize`: it goes on, or waits, for so many shares.
    """

    kind: InstructionKind
    sequence: int
    quantity: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """The group afterwards, and what is to be done with the others, in this order."""

    state: GroupState
    instructions: tuple[Instruction, ...] = ()


def open_group(
    *, quantity: Decimal, entry: int | None = None, take_profit: int | None = None, stop_loss: int | None = None
) -> GroupState:
    """Return a new group: exits are held behind an entry, and work at once where there is none (OCO).

    :raises ValueError: fewer than two members
    """
    given = ((Role.ENTRY, entry), (Role.TAKE_PROFIT, take_profit), (Role.STOP_LOSS, stop_loss))
    members = tuple(
        Member(
            sequence=sequence,
            role=role,
            quantity=quantity,
            stage=Stage.HELD if entry is not None and role != Role.ENTRY else Stage.WORKING,
        )
        for role, sequence in given
        if sequence is not None
    )
    if len(members) < 2:
        raise ValueError(f"a group needs two members at least, got {len(members)}")
    return GroupState(members)


def after_fill(state: GroupState, sequence: int, quantity: Decimal) -> Step:
    """Return what an execution of `quantity` shares means for the others."""
    member = state.member(sequence)
    if member is None:
        return Step(state)
    filled = member.filled + quantity
    stage = Stage.FILLED if filled >= member.quantity else member.stage
    state = state.changed(member, filled=filled, stage=stage)
    if member.role == Role.ENTRY:
        return activate_exits(state, filled) if stage == Stage.FILLED else Step(state)
    if stage == Stage.FILLED:
        return cancel_others(state, sequence)
    return reduce_sibling(state, sequence, member.quantity - filled)


def after_end(state: GroupState, sequence: int, *, expired: bool = False) -> Step:
    """Return what the end of a member without (the rest of) its fill means for the others."""
    member = state.member(sequence)
    if member is None or not member.is_live:
        return Step(state)
    state = state.changed(member, stage=Stage.ENDED)
    return cancel_others(state, sequence, only_held=expired)


def after_replace(state: GroupState, old: int, new: int, quantity: Decimal) -> Step:
    """Let the order `new` take the place of `old`; `quantity` is the new whole quantity, executions of `old` included.

    An entry that is complete by that activates the exits; the exits of a waiting entry are for its new quantity.
    """
    member = state.member(old)
    if member is None:
        return Step(state)
    done = bool(member.filled) and member.filled >= quantity
    state = state.changed(member, sequence=new, quantity=quantity, stage=Stage.FILLED if done else member.stage)
    if member.role != Role.ENTRY:
        return Step(state)
    if done:
        return activate_exits(state, member.filled)
    return resize_held(state, quantity)


def after_outcome(state: GroupState, outcome: Outcome) -> Step:
    """Return what an outcome of the engine means for the others."""
    if outcome.kind == "fill":
        return after_fill(state, outcome.order.sequence, outcome.quantity)
    if outcome.kind in ("canceled", "expired"):
        return after_end(state, outcome.order.sequence, expired=outcome.kind == "expired")
    return Step(state)


def one_exit_an_event(outcomes: Sequence[Outcome], group_of: Callable[[int], GroupState | None]) -> list[Outcome]:
    """Drop from one event's outcomes those of an exit whose sibling executes in the same event.

    One event that reaches both exits may not fill both. The stop-loss is the one that stays: the worse price is the
    one that nobody regrets to have assumed. The other exit is as it was before the event.
    """
    dropped: set[int] = set()
    for outcome in outcomes:
        group = group_of(outcome.order.sequence)
        member = None if group is None else group.member(outcome.order.sequence)
        if group is None or member is None or member.role != Role.STOP_LOSS or outcome.kind != "fill":
            continue
        dropped |= {each.sequence for each in group.members if each.role == Role.TAKE_PROFIT}
    return [outcome for outcome in outcomes if outcome.order.sequence not in dropped]


def activate_exits(state: GroupState, quantity: Decimal) -> Step:
    """Let the held exits work for `quantity` shares."""
    held = [member for member in state.members if member.stage == Stage.HELD]
    for member in held:
        state = state.changed(member, stage=Stage.WORKING, quantity=quantity)
    return Step(state, tuple(Instruction("activate", member.sequence, quantity) for member in held))


def resize_held(state: GroupState, quantity: Decimal) -> Step:
    """Let the held exits be for `quantity` shares."""
    held = [member for member in state.members if member.stage == Stage.HELD and member.quantity != quantity]
    for member in held:
        state = state.changed(member, quantity=quantity)
    return Step(state, tuple(Instruction("resize", member.sequence, quantity) for member in held))


def cancel_others(state: GroupState, sequence: int, *, only_held: bool = False) -> Step:
    """Cancel every other member that waits or works; with `only_held`, those that wait."""
    wanted = {Stage.HELD} if only_held else LIVE
    others = [member for member in state.members if member.stage in wanted and member.sequence != sequence]
    for member in others:
        state = state.changed(member, stage=Stage.ENDED)
    return Step(state, tuple(Instruction("cancel", member.sequence) for member in others))


def reduce_sibling(state: GroupState, sequence: int, leaves: Decimal) -> Step:
    """Leave the other exit the shares that this one has not got yet."""
    instructions: list[Instruction] = []
    for member in state.members:
        if member.role == Role.ENTRY or member.sequence == sequence or not member.is_live:
            continue
        quantity = member.filled + leaves
        if quantity < member.quantity:
            state = state.changed(member, quantity=quantity)
            instructions.append(Instruction("resize", member.sequence, quantity))
    return Step(state, tuple(instructions))
