"""Order-level faults: the wrong thing happens once, is told, and the log says the truth."""

from decimal import Decimal

import pytest

from execution.alpaca_wire.errors import WireError
from execution.emulator.venue import ActivityQuery, OrderQuery
from tests.execution.emulator.venue_cases import Desk


def working(desk: Desk, **fields):
    """Return an order that works at 90."""
    order = desk.send(limit_price="90", **fields)
    desk.look()
    return order


def test_a_fill_is_told_before_the_answer():
    desk = Desk()
    desk.fault("fill_before_answer")
    order = desk.send()
    assert desk.events(order) == ["pending_new", "new", "fill"]
    assert (order["status"], order["filled_qty"]) == ("pending_new", "0")
    assert desk.status(order) == "filled"
    desk.look()
    assert desk.events(order) == ["pending_new", "new", "fill"]


def test_an_order_is_rejected_after_it_was_taken():
    desk = Desk()
    desk.fault("reject_later")
    order = desk.send()
    assert order["status"] == "pending_new"
    desk.look()
    assert desk.events(order) == ["pending_new", "rejected"]
    assert desk.now(order)["failed_at"]


def test_more_is_filled_than_was_ordered():
    desk = Desk()
    desk.fault("overfill", parameters={"quantity": 3})
    order = desk.send()
    desk.look()
    assert (desk.now(order)["filled_qty"], desk.status(order)) == ("13", "filled")
    assert desk.venue.position("AAPL")["qty"] == "13"


def test_an_order_is_not_found_for_a_while():
    desk = Desk()
    desk.fault("hide_order", match={"client_order_id": "hid"}, parameters={"seconds": 5})
    order = desk.send(client_order_id="hidden", limit_price="90")
    for look_up in (lambda: desk.now(order), lambda: desk.venue.order_by_client_id("hidden")):
        with pytest.raises(WireError) as refused:
            look_up()
        assert refused.value.status == 404
    assert desk.venue.orders(OrderQuery(status="all")) == []
    desk.clock.advance(Decimal(6))
    assert desk.status(order) == "new"


def test_a_cancel_stays_pending_for_so_long():
    desk = Desk()
    desk.fault("stuck_pending_cancel", parameters={"seconds": 30})
    order = working(desk)
    desk.venue.cancel(order["id"])
    desk.look()
    assert desk.status(order) == "pending_cancel"
    desk.clock.advance(Decimal(31))
    desk.look()
    assert desk.status(order) == "canceled"


def test_a_cancel_stays_pending_for_ever_and_the_order_may_still_fill():
    desk = Desk()
    desk.fault("stuck_pending_cancel")
    order = working(desk)
    desk.venue.cancel(order["id"])
    desk.clock.advance(Decimal(3600))
    desk.look()
    assert desk.status(order) == "pending_cancel"
    desk.price("89")
    assert desk.status(order) == "filled"


@pytest.mark.parametrize(("quantity", "status", "filled"), [(None, "filled", "10"), (4, "canceled", "4")])
def test_an_order_fills_while_it_is_being_canceled(quantity, status, filled):
    desk = Desk()
    desk.fault("fill_while_canceling", parameters={} if quantity is None else {"quantity": quantity})
    order = working(desk)
    desk.venue.cancel(order["id"])
    desk.look()
    assert (desk.status(order), desk.now(order)["filled_qty"]) == (status, filled)


def test_an_order_fills_after_it_was_canceled():
    desk = Desk()
    desk.fault("late_fill", parameters={"quantity": 4})
    order = working(desk)
    desk.venue.cancel(order["id"])
    desk.look()
    desk.look()
    assert desk.events(order)[-2:] == ["canceled", "partial_fill"]
    assert (desk.status(order), desk.now(order)["filled_qty"]) == ("canceled", "4")
    assert desk.venue.position("AAPL")["qty"] == "4"


def test_a_cancel_is_refused_later_and_the_order_lives_on():
    desk = Desk()
    desk.fault("cancel_rejected")
    order = working(desk)
    desk.venue.cancel(order["id"])
    desk.look()
    assert desk.events(order)[-1] == "order_cancel_rejected"
    assert desk.status(order) == "new"
    desk.price("89")
    assert desk.status(order) == "filled"


def test_the_original_fills_while_it_is_being_replaced():
    desk = Desk()
    desk.fault("fill_while_replacing")
    old = working(desk)
    new = desk.change(old, limit_price="91")
    desk.look()
    assert (desk.status(old), desk.status(new)) == ("filled", "rejected")
    assert desk.events(old)[-2:] == ["fill", "order_replace_rejected"]


def test_a_part_fills_while_it_is_being_replaced():
    desk = Desk()
    desk.fault("fill_while_replacing", parameters={"quantity": 4})
    old = working(desk)
    new = desk.change(old, limit_price="91")
    desk.look()
    assert (desk.status(old), desk.now(old)["filled_qty"], desk.status(new)) == ("replaced", "4", "new")
    desk.price("90.50")
    assert desk.now(new)["filled_qty"] == "6"


def test_an_order_is_replaced_and_the_answer_is_500():
    desk = Desk()
    desk.fault("replace_then_error")
    old = working(desk)
    with pytest.raises(WireError) as failed:
        desk.change(old, limit_price="91", client_order_id="next")
    assert failed.value.status == 500
    desk.look()
    assert desk.status(old) == "replaced"
    assert desk.venue.order_by_client_id("next")["status"] == "new"


def test_a_replacement_stays_pending():
    desk = Desk()
    desk.fault("stuck_pending_replace", parameters={"seconds": 30})
    old = working(desk)
    new = desk.change(old, limit_price="91")
    desk.look()
    assert desk.status(old) == "pending_replace"
    desk.clock.advance(Decimal(31))
    desk.look()
    assert (desk.status(old), desk.status(new)) == ("replaced", "new")


def test_the_original_fills_after_it_was_replaced():
    desk = Desk()
    desk.fault("late_fill_on_replaced", parameters={"quantity": 4})
    old = working(desk)
    new = desk.change(old, limit_price="91")
    desk.look()
    desk.look()
    assert desk.events(old)[-2:] == ["replaced", "partial_fill"]
    assert (desk.status(old), desk.now(old)["filled_qty"], desk.status(new)) == ("replaced", "4", "new")


def test_the_average_price_is_zero_in_an_answer():
    desk = Desk()
    order = desk.send()
    desk.look()
    desk.fault("zero_average_price")
    assert desk.now(order)["filled_avg_price"] == "0"
    assert desk.now(order)["filled_avg_price"] == "100.01"


def test_an_item_of_cancel_all_answers_500():
    desk = Desk()
    first, second = working(desk), working(desk)
    desk.fault("legs_do_not_cancel")
    assert [item["status"] for item in desk.venue.cancel_all()] == [500, 200]
    desk.look()
    assert (desk.status(first), desk.status(second)) == ("new", "canceled")


def test_positions_are_of_the_past():
    desk = Desk()
    desk.send()
    desk.look()
    desk.clock.advance(Decimal(5))
    desk.fault("positions_lag", parameters={"seconds": 10})
    assert desk.venue.positions() == []
    assert desk.venue.positions()[0]["qty"] == "10"


def test_positions_fail():
    desk = Desk()
    desk.fault("positions_fail", parameters={"status": 503})
    with pytest.raises(WireError) as failed:
        desk.venue.positions()
    assert failed.value.status == 503


def test_fills_show_up_late_in_the_activities():
    desk = Desk()
    desk.send()
    desk.look()
    desk.fault("activities_lag", parameters={"seconds": 10}, times=None)
    assert desk.venue.activities() == []
    desk.clock.advance(Decimal(11))
    assert len(desk.venue.activities()) == 1


def test_fills_of_a_millisecond_come_in_any_order_and_none_is_lost():
    desk = Desk()
    for _ in range(12):
        desk.send(qty="1")
    desk.look()
    true = [line["id"] for line in desk.venue.activities(ActivityQuery(direction="asc"))]
    desk.fault("activities_shuffled", times=None)
    first = desk.venue.activities(ActivityQuery(direction="asc", page_size=5))
    rest = desk.venue.activities(ActivityQuery(direction="asc", page_token=first[-1]["id"]))
    told = [line["id"] for line in [*first, *rest]]
    assert told != true
    assert sorted(told) == sorted(true)


def test_the_clock_is_wrong():
    desk = Desk()
    desk.fault("clock_skew", parameters={"seconds": 90})
    assert desk.venue.clock()["timestamp"] == "2012-06-14T12:01:30-04:00"
    assert desk.venue.clock()["timestamp"] == "2012-06-14T12:00:00-04:00"


def test_a_fault_is_in_the_log_where_it_happened():
    desk = Desk()
    desk.fault("overfill", match={"symbol": "IBM"})
    desk.fault("reject_later", match={"client_order_id": "bad-"})
    order = desk.send(client_order_id="bad-1")
    desk.look()
    (entry,) = desk.log.entries(kind="fault")
    assert (entry.data["fault"], entry.data["client_order_id"]) == ("reject_later", "bad-1")
    assert desk.log.orders()[order["id"]] == "rejected"
    assert len(desk.faults.waiting()) == 1
