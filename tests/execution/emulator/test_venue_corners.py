"""Corners where two things of an order's life meet."""

from datetime import timedelta
from decimal import Decimal

import pytest

from execution.alpaca_wire.errors import WireError
from execution.emulator.venue import ActivityQuery, OrderQuery
from tests.execution.emulator.venue_cases import CLOSE, EVENING, NEXT_OPEN, OPEN, Desk

EXITS = {"take_profit": {"limit_price": "110"}, "stop_loss": {"stop_price": "95"}}


def test_an_order_whose_cancel_is_refused_before_it_was_new_becomes_new():
    desk = Desk()
    desk.fault("cancel_rejected")
    order = desk.send(limit_price="90")
    desk.venue.cancel(order["id"])
    desk.look()
    assert desk.events(order) == ["pending_new", "pending_cancel", "new", "order_cancel_rejected"]
    assert desk.status(order) == "new"


def test_an_order_is_canceled_before_it_was_new():
    desk = Desk()
    order = desk.send()
    desk.venue.cancel(order["id"])
    desk.look()
    assert desk.events(order) == ["pending_new", "pending_cancel", "canceled"]
    assert desk.venue.positions() == []


def test_an_order_is_replaced_before_it_was_new():
    desk = Desk()
    old = desk.send(limit_price="90")
    new = desk.change(old, limit_price="91")
    desk.look()
    assert desk.events(old) == ["pending_new", "pending_replace", "replaced"]
    assert desk.events(new) == ["new"]


def test_a_refused_replacement_of_an_order_in_part_leaves_it_partially_filled():
    desk = Desk()
    desk.fault("fill_while_replacing", parameters={"quantity": 6})
    old = desk.send(limit_price="90")
    desk.look()
    new = desk.change(old, qty="5")
    desk.look()
    assert (desk.status(old), desk.status(new)) == ("partially_filled", "rejected")
    desk.price("89")
    assert desk.now(old)["filled_qty"] == "10"


def test_an_exit_whose_cancel_is_pending_is_never_executed_while_it_is_held():
    desk = Desk()
    desk.fault("stuck_pending_cancel")
    entry = desk.send(order_class="bracket", limit_price="99", **EXITS)
    profit, _ = entry["legs"]
    desk.look()
    desk.venue.cancel(profit["id"])
    desk.price("111")
    assert desk.now(profit)["filled_qty"] == "0"
    desk.price("98")
    assert desk.status(profit) == "pending_cancel"
    desk.price("111")
    assert desk.status(profit) == "filled"


def test_an_exit_is_resized_while_its_replacement_is_pending():
    desk = Desk(replace_delay_seconds=Decimal(30))
    entry = desk.send(order_class="bracket", limit_price="99", **EXITS)
    _, stop = entry["legs"]
    desk.look()
    desk.price("98")
    tighter = desk.change(stop, stop_price="96")
    desk.price("111", volume=Decimal(4))
    assert desk.now(stop)["qty"] == "6"
    desk.clock.advance(Decimal(31))
    desk.look()
    assert (desk.status(stop), desk.now(tighter)["qty"], desk.status(tighter)) == ("replaced", "6", "new")
    desk.price("95")
    assert desk.venue.positions() == []


def test_an_exit_that_is_being_replaced_ends_with_its_sibling():
    desk = Desk(replace_delay_seconds=Decimal(30))
    entry = desk.send(order_class="bracket", limit_price="99", **EXITS)
    _, stop = entry["legs"]
    desk.look()
    desk.price("98")
    tighter = desk.change(stop, stop_price="96")
    desk.price("111")
    assert (desk.status(stop), desk.status(tighter)) == ("canceled", "rejected")
    assert desk.venue.positions() == []


def test_shares_that_an_entry_has_got_are_kept_for_its_exits():
    desk = Desk()
    desk.send(order_class="bracket", limit_price="99", **EXITS)
    desk.look()
    desk.price("98", volume=Decimal(4))
    with pytest.raises(WireError) as refused:
        desk.send(side="sell", qty="1", limit_price="105")
    assert refused.value.extra["held_for_orders"] == "4"


def test_a_bracket_may_not_close_a_position():
    desk = Desk()
    desk.hold("-10")
    with pytest.raises(WireError, match="must be entry orders"):
        desk.send(order_class="bracket", limit_price="99", **EXITS)


def test_a_late_fill_of_the_whole_order_is_told_as_a_fill_and_stays_canceled():
    desk = Desk()
    desk.fault("late_fill")
    order = desk.send(limit_price="90")
    desk.look()
    desk.venue.cancel(order["id"])
    desk.look()
    desk.look()
    told = desk.last("fill")
    assert (told["order"]["status"], told["order"]["filled_qty"], told["price"]) == ("canceled", "10", "90")


def test_what_is_not_worth_a_share_after_a_split_is_canceled():
    desk = Desk()
    order = desk.send(limit_price="90", time_in_force="gtc")
    desk.look()
    desk.venue.split("AAPL", Decimal("0.05"))
    assert desk.status(order) == "canceled"
    with pytest.raises(WireError):
        desk.venue.split("AAPL", Decimal(1))


def test_a_split_ends_a_pending_replacement():
    desk = Desk(replace_delay_seconds=Decimal(30))
    order = desk.send(limit_price="90", time_in_force="gtc")
    desk.look()
    new = desk.change(order, limit_price="91")
    desk.venue.split("AAPL", Decimal(2))
    assert (desk.status(order), desk.status(new)) == ("replaced", "rejected")
    adjusted = desk.venue.order(desk.now(order)["replaced_by"])
    assert (adjusted["qty"], adjusted["limit_price"], adjusted["status"]) == ("20", "45", "new")


def test_nothing_is_liquidated_without_a_price():
    desk = Desk()
    desk.hold("10", symbol="GOOG")
    with pytest.raises(WireError, match="price"):
        desk.venue.liquidate("GOOG")


@pytest.mark.parametrize(
    "fields", [{"quantity": 1, "percentage": 1}, {"percentage": 101}, {"quantity": 0}, {"percentage": 1}]
)
def test_a_part_of_a_position_that_is_none_is_refused(fields):
    desk = Desk()
    desk.hold("10")
    with pytest.raises(WireError) as refused:
        desk.venue.close_position("AAPL", **{name: Decimal(value) for name, value in fields.items()})
    assert refused.value.status == 422


@pytest.mark.parametrize("fields", [{"status": "what"}, {"direction": "up"}, {"limit": 0}, {"limit": 501}])
def test_a_list_that_cannot_be_is_refused(fields):
    with pytest.raises(WireError):
        OrderQuery(**fields)


@pytest.mark.parametrize("fields", [{"direction": "up"}, {"page_size": 0}, {"page_size": 101}])
def test_a_page_that_cannot_be_is_refused(fields):
    with pytest.raises(WireError):
        ActivityQuery(**fields)


def test_submission_times_exclude_their_bounds_and_are_all_different():
    desk = Desk()
    orders = [desk.send(limit_price="90") for _ in range(3)]
    times = [order["submitted_at"] for order in orders]
    assert len(set(times)) == 3
    middle = desk.venue.state.orders.get(orders[1]["id"]).submitted_at
    assert desk.open_ids(after=middle) == [orders[2]["id"]]
    assert desk.open_ids(until=middle) == [orders[0]["id"]]


def test_a_parent_is_listed_as_open_while_a_leg_lives():
    desk = Desk()
    entry = desk.send(order_class="bracket", limit_price="99", **EXITS)
    desk.look()
    desk.price("98")
    assert desk.open_ids(nested=True) == [entry["id"]]
    assert sorted(desk.open_ids()) == sorted(leg["id"] for leg in entry["legs"])


def test_an_order_sent_on_a_friday_evening_works_on_monday():
    desk = Desk(at=EVENING + timedelta(days=1, hours=1))
    order = desk.send()
    desk.look(NEXT_OPEN + timedelta(days=2))
    assert desk.status(order) == "accepted"
    desk.look(NEXT_OPEN + timedelta(days=3))
    assert desk.status(order) == "filled"


def test_a_day_order_ends_early_on_a_half_day():
    desk = Desk(at=OPEN.replace(month=7, day=3, hour=15))
    order = desk.send(limit_price="90")
    assert order["expires_at"] == "2012-07-03T17:00:00.000000Z"
    desk.look(CLOSE.replace(month=7, day=3, hour=17))
    assert desk.status(order) == "expired"


def test_the_close_executes_before_the_day_ends():
    desk = Desk()
    desk.market.print_closing(CLOSE.date(), "AAPL", Decimal("97.50"))
    limit = desk.send(limit_price="98")
    close = desk.send(time_in_force="cls")
    desk.look(CLOSE)
    assert [desk.now(order)["filled_avg_price"] for order in (limit, close)] == ["97.5", "97.5"]


def test_a_call_lets_the_market_catch_up_with_a_clock_that_has_moved_on():
    desk = Desk(at=EVENING)
    order = desk.send()
    desk.clock.set(NEXT_OPEN + timedelta(minutes=1))
    assert desk.status(order) == "filled"
