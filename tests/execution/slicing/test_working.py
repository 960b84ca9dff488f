"""A parent at work: slice by slice through the gate, what comes back is planned anew, never more than the whole."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from execution.errors import ReplaceRefused
from execution.models import Order, ParentEvent, ParentOrder, Slice
from execution.parent_orders import parents_due
from execution.services.cancels import request_cancel
from execution.services.replaces import request_replace
from execution.services.slices import cancel_parent, sending, working
from marketdata.services.feeds import set_market_time
from risk.models import Alert
from risk.services import breaker, kill_switch
from risk.types import Origin
from tests.execution.slicing.desk import (
    MINUTE,
    D,
    SlicingDesk,
    first_sent,
    next_due,
    open_children,
    slices_of,
    steps_of,
)
from tests.factories import allow, allow_bursts, make_instrument, make_quote, submit

pytestmark = pytest.mark.django_db


def test_nothing_is_sent_before_a_slice_is_due() -> None:
    desk = SlicingDesk()
    parent = desk.parent()
    due = next_due(parent)
    assert due is not None
    desk.go(due - timedelta(seconds=1))
    assert desk.work() == 0
    desk.go(due)
    assert desk.work() == 1
    assert desk.work() == 0
    order = Order.objects.get()
    assert (order.parent, order.slice_number, order.origin, order.quantity) == (parent, 1, Origin.SLICE, 10)
    assert order.client_order_id == f"{parent.client_order_id}-S1"
    assert slices_of(parent)[0].order == order


def test_152_each_slice_passes_the_gate_and_the_whole_is_filled_in_the_end() -> None:
    desk = SlicingDesk()
    parent = desk.parent()
    desk.play(parent)
    done = desk.checked(parent)
    assert (parent.status, done.filled, done.open) == ("completed", 100, 0)
    assert [row.status for row in slices_of(parent)] == ["done"] * 10
    assert Order.objects.filter(decision__outcome="accepted").count() == 10
    assert steps_of(parent) == ["created", *["sent"] * 10, "ended"]


def test_153_the_parent_is_in_no_book_of_its_own() -> None:
    desk = SlicingDesk()
    parent = first_sent(desk)
    desk.fill(open_children(parent)[0])
    done = desk.checked(parent)  # positions, cash and reservations are those of the orders alone
    assert (done.filled, done.average_price) == (10, 100)
    assert Order.objects.count() == 1


def test_147_a_slice_left_open_is_canceled_and_over_before_the_next_is_sent() -> None:
    desk = SlicingDesk()
    parent = first_sent(desk, limit_price=D(99))
    first = open_children(parent)[0]
    desk.fill(first, 4)
    due = next_due(parent)
    assert due is not None
    desk.go(due)
    assert desk.work() == 0
    first.refresh_from_db()
    assert (first.status, Order.objects.count()) == ("pending_cancel", 1)
    assert desk.work() == 0  # still not confirmed
    desk.send()
    assert desk.work() == 1
    first.refresh_from_db()
    assert (first.status, first.filled_quantity) == ("canceled", 4)
    done = desk.checked(parent)
    assert done.open <= 20
    assert slices_of(parent)[0].status == "returned"
    assert sum(row.quantity for row in slices_of(parent)[1:]) == 96


def test_146_a_rejected_slice_gives_its_quantity_back() -> None:
    desk = SlicingDesk()
    parent = first_sent(desk)
    desk.broker.end(open_children(parent)[0].client_order_id, "rejected", "not today")
    desk.send()
    desk.play(parent)
    done = desk.checked(parent)
    assert (parent.status, done.filled) == ("completed", 100)
    assert slices_of(parent)[0].status == "returned"
    assert "rejected: 10 of 10 went back" in slices_of(parent)[0].reason
    assert steps_of(parent).count("planned") == 1


def test_146_a_denied_slice_gives_its_quantity_back_and_says_why() -> None:
    desk = SlicingDesk()
    parent = desk.parent()
    allow(max_position_quantity=15)
    due = next_due(parent)
    assert due is not None
    desk.go(due)
    assert desk.work() == 1
    desk.send()
    desk.fill(open_children(parent)[0])
    desk.play(parent, fill=True)
    done = desk.checked(parent)
    assert (parent.status, done.filled) == ("expired", 10)
    assert "90 of 100 unfilled" in parent.reason
    denied = [row for row in slices_of(parent) if row.status == "returned"]
    assert denied
    assert all(row.order is not None and row.order.status == "denied" for row in denied)
    assert "shares held" in denied[0].reason


def test_144_after_a_gap_the_rest_is_planned_anew_and_no_slice_is_more_than_twice_the_plan() -> None:
    desk = SlicingDesk()
    parent = desk.parent()
    desk.go(parent.starts_at + 33 * MINUTE)  # five or six are due
    assert desk.round() == 1
    done = desk.checked(parent)
    assert done.open == Order.objects.get().quantity <= 20
    missed = [row for row in slices_of(parent) if row.status == "skipped"]
    assert len(missed) >= 4
    assert all("missed" in row.reason for row in missed)
    desk.fill(open_children(parent)[0])
    desk.play(parent)
    done = desk.checked(parent)
    assert max(order.quantity for order in Order.objects.all()) <= 20
    assert done.filled == 100


def test_144_what_cannot_be_caught_up_stays_unfilled_and_says_so() -> None:
    desk = SlicingDesk()
    parent = desk.parent()
    desk.go(parent.ends_at - 8 * MINUTE)
    desk.play(parent)
    done = desk.checked(parent)
    assert parent.status == "expired"
    assert 0 < done.filled < 100
    assert parent.reason.startswith(f"{(100 - done.filled).normalize():f} of 100 unfilled")
    assert max(order.quantity for order in Order.objects.all()) <= 20


def test_145_a_kill_switch_pauses_it_and_its_release_resumes_nothing() -> None:
    desk = SlicingDesk()
    parent = first_sent(desk)
    desk.fill(open_children(parent)[0])
    kill_switch.engage(scope="global", operator="ann", reason="something is wrong", source="test", now=desk.wall)
    due = next_due(parent)
    assert due is not None
    desk.go(due)
    desk.round()
    done = desk.checked(parent)
    assert (parent.status, done.open) == ("paused", 0)
    assert "kill switch" in parent.reason
    assert "resumes it" in parent.reason


def test_145_a_tripped_breaker_pauses_it_as_well() -> None:
    desk = SlicingDesk()
    parent = desk.parent()
    breaker.trip(scope=desk.account.scope, reason="something is wrong", operator="ann", now=desk.wall)
    due = next_due(parent)
    assert due is not None
    desk.go(due)
    desk.round()
    desk.checked(parent)
    assert (parent.status, Order.objects.get().status) == ("paused", "denied")


def test_145_what_the_dispatcher_stops_pauses_it() -> None:
    desk = SlicingDesk()
    parent = desk.parent()
    due = next_due(parent)
    assert due is not None
    desk.go(due)
    assert desk.work() == 1
    kill_switch.engage(scope="global", operator="ann", reason="something is wrong", source="test", now=desk.wall)
    desk.send()
    desk.work()
    desk.checked(parent)
    assert (parent.status, Order.objects.get().status) == ("paused", "denied")


def test_148_what_is_in_flight_when_the_parent_is_canceled_is_canceled_after_its_answer() -> None:
    desk = SlicingDesk()
    parent = desk.parent()
    due = next_due(parent)
    assert due is not None
    desk.go(due)
    desk.work()
    order = Order.objects.get()
    Order.objects.filter(pk=order.pk).update(status="submitted", submitted_at=desk.wall)
    canceled = cancel_parent(parent=parent, operator="ann", wall_now=desk.wall)
    order.refresh_from_db()
    assert (canceled.status, order.status) == ("canceling", "pending_cancel")
    assert desk.work() == 0
    Order.objects.filter(pk=order.pk).update(status="canceled", closed_at=desk.wall)
    desk.work()
    parent.refresh_from_db()
    assert parent.status == "canceled"


def test_155_a_halt_of_the_name_and_another_volume_are_seen_by_each_slice() -> None:
    desk = SlicingDesk()
    parent = first_sent(desk)
    desk.fill(open_children(parent)[0])
    make_instrument(average_daily_volume=D(150))  # 5% of it are 7 shares
    due = next_due(parent)
    assert due is not None
    desk.go(due)
    desk.round()
    assert slices_of(parent)[1].status == "returned"
    denied = slices_of(parent)[1].order
    assert denied is not None
    assert denied.error_code == "ADV_LIMIT"
    make_instrument()
    desk.play(parent)
    assert desk.checked(parent).filled == 100


def test_151_what_is_open_at_the_end_of_the_window_is_canceled_and_the_rest_expires() -> None:
    desk = SlicingDesk()
    parent = first_sent(desk, slices=1)
    order = open_children(parent)[0]
    desk.fill(order, 3)
    desk.go(parent.ends_at)
    desk.work()
    parent.refresh_from_db()
    order.refresh_from_db()
    assert (parent.status, order.status) == ("expiring", "pending_cancel")
    desk.send()
    desk.work()
    done = desk.checked(parent)
    assert (parent.status, done.filled) == ("expired", 3)
    assert parent.reason.startswith("97 of 100 unfilled")


def test_a_fill_that_comes_with_the_last_cancel_completes_it() -> None:
    desk = SlicingDesk()
    parent = first_sent(desk, slices=1)
    order = open_children(parent)[0]
    cancel_parent(parent=parent, operator="ann", wall_now=desk.wall)
    desk.fill(order)
    desk.work()
    desk.checked(parent)
    assert parent.status == "completed"


def test_what_comes_back_after_the_last_slice_is_tried_once_more_in_the_time_that_is_left() -> None:
    desk = SlicingDesk()
    parent = first_sent(desk, slices=2)
    desk.fill(open_children(parent)[0])
    due = next_due(parent)
    assert due is not None
    desk.go(due)
    desk.round()
    if due + 30 * MINUTE < parent.ends_at:
        pytest.fail("the seed of this wish leaves time for a third slice")
    desk.broker.end(open_children(parent)[0].client_order_id, "rejected")
    desk.send()
    desk.work()
    assert next_due(parent) is None  # half an hour, a part of its window, is not left
    desk.go(parent.ends_at)
    desk.work()
    assert desk.checked(parent).filled == 50


def test_a_late_slice_is_added_when_there_is_time_for_it() -> None:
    desk = SlicingDesk()
    parent = first_sent(desk, slices=10)
    desk.fill(open_children(parent)[0])
    while Slice.objects.filter(parent=parent, status="planned").count() > 0 and parent.slices.count() == 10:
        due = next_due(parent)
        assert due is not None
        desk.go(due)
        desk.round()
        desk.round()
        for order in open_children(parent):
            if order.slice_number == 10:
                desk.broker.end(order.client_order_id, "rejected")
                desk.send()
                desk.go(parent.ends_at - 7 * MINUTE) if parent.ends_at - 7 * MINUTE > desk.at else None
                desk.work()
            else:
                desk.fill(order)
    late = parent.slices.filter(number=11).first()
    if late is not None:
        assert (late.quantity, late.due_at < parent.ends_at) == (10, True)
    desk.play(parent)
    assert desk.checked(parent).filled in (90, 100)


def test_an_order_that_is_a_slice_takes_no_terms_of_its_own() -> None:
    desk = SlicingDesk()
    parent = first_sent(desk, limit_price=D(99))
    with pytest.raises(ReplaceRefused, match="is a slice"):
        request_replace(
            order=open_children(parent)[0],
            limit_price=D(98),
            operator="ann",
            origin=Origin.CONSOLE,
            wall_now=desk.wall,
        )


def test_a_slice_canceled_by_hand_goes_back_to_the_plan() -> None:
    desk = SlicingDesk()
    parent = first_sent(desk)
    request_cancel(order=open_children(parent)[0], operator="ann", wall_now=desk.wall)
    desk.send()
    desk.play(parent)
    assert desk.checked(parent).filled == 100


def test_a_limit_follows_the_price_of_the_moment() -> None:
    desk = SlicingDesk()
    parent = desk.parent(limit_offset_bps=D(10))
    due = next_due(parent)
    assert due is not None
    set_market_time(feed=desk.account.feed, at=due)
    make_quote(desk.account.feed, last="101", at=due)
    assert desk.work() == 1
    assert Order.objects.get().limit_price == D("101.10")


def test_in_a_dry_run_nothing_is_sent_and_it_says_so() -> None:
    desk = SlicingDesk()
    desk.broker.is_dry_run = True
    parent = desk.parent()
    desk.play(parent, fill=False)
    done = desk.checked(parent)
    assert (parent.status, parent.reason, done.imagined) == ("completed", "dry run: nothing was sent", 100)
    assert desk.broker.received == []


def test_the_id_of_another_order_is_no_slice_and_ends_the_parent() -> None:
    desk = SlicingDesk()
    parent = desk.parent(client_order_id="mine")
    submit(desk.account, client_order_id="mine-S1", quantity=D(1))
    due = next_due(parent)
    assert due is not None
    desk.go(due)
    assert desk.work() == 0
    desk.checked(parent)
    assert (parent.status, parent.reason) == ("failed", "slice 1: its id belongs to another order")


def test_an_id_that_is_taken_ends_no_parent_that_is_being_canceled() -> None:
    desk = SlicingDesk()
    parent = desk.parent(client_order_id="mine")
    submit(desk.account, client_order_id="mine-S1", quantity=D(1))
    due = next_due(parent)
    assert due is not None
    desk.go(due)
    look = working.look_at(parent.pk, wall_now=desk.wall)
    assert look.claimed is not None
    assert look.claim is not None
    ParentOrder.objects.filter(pk=parent.pk).update(status="canceling")
    assert not sending.send_slice(slice_id=look.claimed, claim=look.claim, wall_now=desk.wall)
    desk.work()
    parent.refresh_from_db()
    assert parent.status == "canceled"


def test_a_parent_that_cannot_be_worked_spares_the_others_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = SlicingDesk()
    allow_bursts()
    broken, other = desk.parent(client_order_id="broken"), desk.parent(client_order_id="other")
    desk.go(max(due for due in (next_due(broken), next_due(other)) if due is not None))
    asked_at = desk.wall
    ParentOrder.objects.update(asked_at=asked_at)
    look_at = working.look_at

    def fails(parent_id: int, **fields: Any) -> Any:
        if parent_id == broken.pk:
            raise ZeroDivisionError("no lot")
        return look_at(parent_id, **fields)

    with monkeypatch.context() as patch:
        patch.setattr(working, "look_at", fails)
        with pytest.raises(ZeroDivisionError):
            desk.work()
    assert Order.objects.get().parent == other
    assert dict(ParentOrder.objects.values_list("client_order_id", "asked_at")) == {"broken": asked_at, "other": None}
    alert = Alert.objects.get(code="parent_not_worked")
    assert (alert.subject, alert.state) == (f"{desk.account.scope} order:broken", "open")
    assert "ZeroDivisionError: no lot" in alert.message
    assert desk.work() == 1
    alert.refresh_from_db()
    assert alert.state == "resolved"


def test_only_parents_with_something_to_do_are_looked_at() -> None:
    desk = SlicingDesk()
    parent = desk.parent()

    def due() -> bool:
        return parents_due(account_id=desk.account.pk, market_at=desk.at, wall_now=desk.wall).exists()

    assert not due()
    first = next_due(parent)
    assert first is not None
    desk.go(first)
    assert due()
    desk.round()
    assert not due()
    desk.fill(open_children(parent)[0])
    assert due()
    desk.work()
    assert not due()


def test_what_happened_to_a_parent_cannot_be_changed() -> None:
    SlicingDesk().parent()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        ParentEvent.objects.update(step="ended")
