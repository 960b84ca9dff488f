"""Pause, resume, cancel: nothing goes on by itself, nothing that is open is forgotten."""

from typing import Any

import pytest

from execution.errors import OrderNotOpen, PlanRefused
from execution.models import Order
from execution.services.slices import cancel_parent, pause_parent, pause_parents, resume_parent
from execution.services.slices.ending import end_if_over
from execution.slicing.states import PARENT_OVER
from risk.services import kill_switch
from tests.execution.slicing.desk import MINUTE, D, SlicingDesk, next_due, open_children, slices_of, steps_of
from tests.factories import make_account, make_instrument, make_quote, make_strategy

pytestmark = pytest.mark.django_db


def working(**fields: Any) -> tuple[SlicingDesk, Any]:
    """Make a parent with a first slice that works and does not fill."""
    desk = SlicingDesk()
    parent = desk.parent(limit_price=D(99), **fields)
    due = next_due(parent)
    assert due is not None
    desk.go(due)
    assert desk.round() == 1
    return desk, parent


def test_a_pause_cancels_what_is_open_and_sends_nothing_more() -> None:
    desk, parent = working()
    paused = pause_parent(parent=parent, operator="ann", wall_now=desk.wall)
    assert (paused.status, paused.reason) == ("paused", "paused by ann")
    assert open_children(parent)[0].status == "pending_cancel"
    desk.send()
    desk.go(parent.starts_at + 30 * MINUTE)
    assert desk.round() == 0
    assert Order.objects.count() == 1
    events = steps_of(parent)
    pause_parent(parent=parent, operator="bob", wall_now=desk.wall)
    assert steps_of(parent) == events


def test_a_resumed_parent_plans_the_rest_over_the_time_that_is_left() -> None:
    desk, parent = working()
    pause_parent(parent=parent, operator="ann", wall_now=desk.wall)
    desk.send()
    desk.go(parent.starts_at + 31 * MINUTE)
    desk.work()
    resumed, denials = resume_parent(parent=parent, operator="ann", wall_now=desk.wall)
    assert (resumed.status, resumed.reason, denials) == ("active", "", [])
    planned = [row for row in slices_of(parent) if row.status == "planned"]
    assert sum(row.quantity for row in planned) == 100
    assert all(row.quantity <= 20 for row in planned)
    again, _ = resume_parent(parent=parent, operator="ann", wall_now=desk.wall)
    assert again.status == "active"
    assert steps_of(parent)[-2:] == ["resumed", "planned"]


def test_145_nothing_is_resumed_while_the_kill_switch_is_engaged() -> None:
    desk, parent = working()
    pause_parent(parent=parent, operator="ann", wall_now=desk.wall)
    kill_switch.engage(scope="global", operator="ann", reason="something is wrong", source="test", now=desk.wall)
    same, denials = resume_parent(parent=parent, operator="bob", wall_now=desk.wall)
    assert (same.status, [denial.code for denial in denials]) == ("paused", ["KILL_SWITCH"])


def test_145_nothing_is_resumed_under_the_kill_switch_with_no_slice_left_in_the_plan() -> None:
    desk, parent = working(slices=1)
    pause_parent(parent=parent, operator="ann", wall_now=desk.wall)
    desk.send()
    desk.work()
    assert next_due(parent) is None
    kill_switch.engage(scope="global", operator="ann", reason="something is wrong", source="test", now=desk.wall)
    same, denials = resume_parent(parent=parent, operator="bob", wall_now=desk.wall)
    assert (same.status, [denial.code for denial in denials]) == ("paused", ["KILL_SWITCH"])


def test_after_the_window_nothing_is_resumed() -> None:
    desk, parent = working()
    pause_parent(parent=parent, operator="ann", wall_now=desk.wall)
    desk.go(parent.ends_at)
    with pytest.raises(PlanRefused, match="window was over"):
        resume_parent(parent=parent, operator="ann", wall_now=desk.wall)


def test_a_paused_parent_expires_with_its_window() -> None:
    desk, parent = working()
    pause_parent(parent=parent, operator="ann", wall_now=desk.wall)
    desk.send()
    desk.go(parent.ends_at)
    desk.work()
    assert desk.checked(parent).filled == 0
    assert parent.status == "expired"


def test_148_a_cancel_takes_the_open_orders_with_it() -> None:
    desk, parent = working()
    canceled = cancel_parent(parent=parent, operator="ann", wall_now=desk.wall, reason="changed my mind")
    assert (canceled.status, open_children(parent)[0].status) == ("canceling", "pending_cancel")
    assert cancel_parent(parent=parent, operator="ann", wall_now=desk.wall).status == "canceling"
    desk.send()
    desk.work()
    desk.checked(parent)
    assert (parent.status, parent.reason) == ("canceled", "changed my mind")
    assert {row.status for row in slices_of(parent)} == {"returned", "skipped"}


def test_a_cancel_before_the_first_slice_is_over_at_once() -> None:
    desk = SlicingDesk()
    parent = desk.parent()
    assert cancel_parent(parent=parent, operator="ann", wall_now=desk.wall).status == "canceled"
    end_if_over(parent.pk, wall_now=desk.wall)
    assert steps_of(parent) == ["created", "cancel_asked", "ended"]


@pytest.mark.parametrize("status", sorted(PARENT_OVER))
def test_what_is_over_is_not_steered(status: str) -> None:
    desk = SlicingDesk()
    parent = desk.parent()
    parent.__class__.objects.filter(pk=parent.pk).update(status=status, closed_at=desk.wall)
    for steer in (pause_parent, resume_parent, cancel_parent):
        with pytest.raises(OrderNotOpen, match=status):
            steer(parent=parent, operator="ann", wall_now=desk.wall)


def test_what_is_being_canceled_is_neither_paused_nor_resumed() -> None:
    desk, parent = working()
    cancel_parent(parent=parent, operator="ann", wall_now=desk.wall)
    for steer in (pause_parent, resume_parent):
        with pytest.raises(OrderNotOpen, match="canceling"):
            steer(parent=parent, operator="ann", wall_now=desk.wall)


def test_a_halt_pauses_the_parents_in_its_scope_and_no_others() -> None:
    desk = SlicingDesk()
    make_strategy("other")
    make_instrument("IBM")
    make_quote(desk.account.feed, "IBM")
    elsewhere = SlicingDesk(account=make_account())
    parents = {
        "mine": desk.parent(),
        "other strategy": desk.parent(strategy="other"),
        "other name": desk.parent(symbol="IBM"),
        "other account": elsewhere.parent(),
    }
    names = {parent.pk: name for name, parent in parents.items()}

    def paused(scope: str) -> set[str]:
        found = pause_parents(scope=scope, operator="ann", reason="halt", wall_now=desk.wall)
        for parent in parents.values():
            parent.__class__.objects.filter(pk=parent.pk).update(status="active")
        return {names[pk] for pk in found}

    assert paused("symbol:IBM") == {"other name"}
    assert paused("strategy:other") == {"other strategy"}
    assert paused(f"account:{elsewhere.account.name}") == {"other account"}
    assert paused("global") == set(parents)
    with pytest.raises(ValueError, match="desk:1"):
        paused("desk:1")


def test_a_halt_pauses_what_is_active_only() -> None:
    desk = SlicingDesk()
    parent = desk.parent()
    cancel_parent(parent=parent, operator="ann", wall_now=desk.wall)
    assert pause_parents(scope="global", operator="ann", reason="halt", wall_now=desk.wall) == ()
