"""Groups of orders: what happens to one member says what becomes of the others."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.matching.groups import (
    GroupState,
    Instruction,
    Role,
    Stage,
    after_end,
    after_fill,
    after_outcome,
    after_replace,
    one_exit_an_event,
    open_group,
)
from tests.execution.matching_cases import make_order, run, tick

HUNDRED = Decimal(100)


def bracket() -> GroupState:
    """Make an entry (1) with take-profit (2) and stop-loss (3) for 100 shares."""
    return open_group(quantity=HUNDRED, entry=1, take_profit=2, stop_loss=3)


def filled_bracket() -> GroupState:
    """Make a bracket whose entry is filled."""
    return after_fill(bracket(), 1, HUNDRED).state


def stages(state: GroupState) -> dict[int, str]:
    """Tell where each member stands."""
    return {member.sequence: member.stage.value for member in state.members}


def test_exits_are_held_behind_an_entry():
    assert stages(bracket()) == {1: "working", 2: "held", 3: "held"}


def test_exits_without_an_entry_work_at_once():
    assert stages(open_group(quantity=HUNDRED, take_profit=1, stop_loss=2)) == {1: "working", 2: "working"}


def test_a_group_of_one_is_refused():
    with pytest.raises(ValueError, match="two members"):
        open_group(quantity=HUNDRED, entry=1)


def test_an_entry_filled_in_part_activates_nothing():
    step = after_fill(bracket(), 1, Decimal(99))
    assert step.instructions == ()
    assert stages(step.state) == {1: "working", 2: "held", 3: "held"}


def test_a_filled_entry_activates_both_exits_for_what_it_got():
    step = after_fill(after_fill(bracket(), 1, Decimal(60)).state, 1, Decimal(45))
    assert step.instructions == (
        Instruction("activate", 2, Decimal(105)),
        Instruction("activate", 3, Decimal(105)),
    )
    assert stages(step.state) == {1: "filled", 2: "working", 3: "working"}


def test_a_filled_exit_cancels_the_other():
    for exit_, other in ((2, 3), (3, 2)):
        step = after_fill(filled_bracket(), exit_, HUNDRED)
        assert step.instructions == (Instruction("cancel", other),)
        assert step.state.is_over


def test_an_exit_filled_in_part_reduces_the_other():
    step = after_fill(filled_bracket(), 2, Decimal(30))
    assert step.instructions == (Instruction("resize", 3, Decimal(70)),)
    again = after_fill(step.state, 3, Decimal(20))
    assert again.instructions == (Instruction("resize", 2, Decimal(80)),)
    last = after_fill(again.state, 2, Decimal(50))
    assert last.instructions == (Instruction("cancel", 3),)


def test_a_canceled_entry_takes_its_held_exits_with_it():
    step = after_end(bracket(), 1)
    assert step.instructions == (Instruction("cancel", 2), Instruction("cancel", 3))
    assert step.state.is_over


def test_an_entry_canceled_after_a_part_leaves_no_exit():
    assert after_end(after_fill(bracket(), 1, Decimal(40)).state, 1).state.is_over


def test_a_canceled_exit_cancels_the_other():
    assert after_end(filled_bracket(), 2).instructions == (Instruction("cancel", 3),)


def test_a_canceled_held_exit_cancels_the_whole_group():
    assert after_end(bracket(), 2).instructions == (Instruction("cancel", 1), Instruction("cancel", 3))


def test_an_expired_entry_cancels_its_held_exits_and_an_expired_exit_nothing():
    assert after_end(bracket(), 1, expired=True).instructions == (Instruction("cancel", 2), Instruction("cancel", 3))
    assert after_end(filled_bracket(), 2, expired=True).instructions == ()


def test_the_end_of_an_order_that_was_filled_changes_nothing():
    state = filled_bracket()
    assert after_end(state, 1).state == state


def test_a_replaced_exit_still_cancels_the_other():
    state = after_replace(filled_bracket(), 2, 7, HUNDRED).state
    assert after_fill(state, 7, HUNDRED).instructions == (Instruction("cancel", 3),)
    assert after_fill(filled_bracket(), 3, HUNDRED).state.is_over


def test_the_exits_of_a_replaced_entry_are_for_its_new_quantity():
    step = after_replace(bracket(), 1, 7, Decimal(150))
    assert step.instructions == (Instruction("resize", 2, Decimal(150)), Instruction("resize", 3, Decimal(150)))
    assert after_fill(step.state, 7, HUNDRED).instructions == ()
    assert [i.kind for i in after_fill(step.state, 7, Decimal(150)).instructions] == ["activate", "activate"]


def test_an_entry_replaced_by_what_it_has_filled_activates_the_exits():
    step = after_replace(after_fill(bracket(), 1, Decimal(40)).state, 1, 7, Decimal(40))
    assert step.instructions == (Instruction("activate", 2, Decimal(40)), Instruction("activate", 3, Decimal(40)))


def test_an_order_that_is_no_member_changes_nothing():
    state = bracket()
    for step in (after_fill(state, 9, HUNDRED), after_end(state, 9), after_replace(state, 9, 10, HUNDRED)):
        assert step.state == state
        assert step.instructions == ()


def test_one_event_that_reaches_both_exits_fills_the_stop_only():
    take_profit = make_order(sequence=2, side="sell", order_type="limit", limit_price="110")
    stop_loss = make_order(sequence=3, side="sell", order_type="stop", stop_price="90")
    outcomes = run(take_profit, stop_loss, event=tick("89", bid="111", ask="112"))
    assert {outcome.order.sequence for outcome in outcomes} == {2, 3}
    kept = one_exit_an_event(outcomes, lambda sequence: filled_bracket())
    assert {outcome.order.sequence for outcome in kept} == {3}


def test_the_engines_outcomes_are_understood():
    (outcome,) = run(make_order(sequence=1), event=tick())
    assert [i.kind for i in after_outcome(bracket(), outcome).instructions] == ["activate", "activate"]


def test_the_engines_ends_are_understood_and_a_trigger_changes_nothing():
    (end,) = run(make_order(sequence=1, order_type="limit", limit_price="90", time_in_force="ioc"), event=tick())
    assert [i.kind for i in after_outcome(bracket(), end).instructions] == ["cancel", "cancel"]
    stop = make_order(sequence=3, side="sell", order_type="stop_limit", stop_price="100", limit_price="105")
    (trigger,) = run(stop, event=tick())
    assert after_outcome(filled_bracket(), trigger).instructions == ()


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("fill"), st.sampled_from([1, 2, 3]), st.integers(1, 100)),
            st.tuples(st.sampled_from(["cancel", "expire"]), st.sampled_from([1, 2, 3]), st.just(0)),
        ),
        max_size=20,
    )
)
def test_exits_never_get_more_than_the_entry_got(happenings):
    state = bracket()
    for kind, sequence, quantity in happenings:
        member = state.member(sequence)
        if kind == "fill" and member.stage == Stage.WORKING:
            state = after_fill(state, sequence, min(Decimal(quantity), member.leaves_quantity)).state
        elif kind != "fill":
            state = after_end(state, sequence, expired=kind == "expire").state
        entry, *exits = state.members
        assert sum(each.filled for each in exits) <= entry.filled
        open_exits = [each for each in exits if each.stage == Stage.WORKING]
        held_by_exits = max((each.leaves_quantity for each in open_exits), default=Decimal(0))
        assert held_by_exits + sum(each.filled for each in exits) <= entry.filled
        assert entry.role == Role.ENTRY
