"""Bracket, OCO and OTO orders at the emulated broker."""

from decimal import Decimal

import pytest

from execution.alpaca_wire.errors import WireError
from execution.emulator.venue import OrderQuery
from tests.execution.emulator.venue_cases import CLOSE, NEXT_OPEN, Desk

EXITS = {"take_profit": {"limit_price": "110"}, "stop_loss": {"stop_price": "95"}}


def bracket(desk: Desk, **fields):
    """Send a bracket and return the entry, the take-profit and the stop-loss."""
    entry = desk.send(order_class="bracket", limit_price="99", **{**EXITS, **fields})
    return entry, *desk.now(entry, nested=True)["legs"]


def test_the_exits_of_a_bracket_are_held_and_not_in_the_open_list():
    desk = Desk()
    entry, profit, stop = bracket(desk)
    desk.look()
    assert [desk.status(order) for order in (entry, profit, stop)] == ["new", "held", "held"]
    assert (profit["side"], profit["limit_price"], stop["side"], stop["stop_price"]) == ("sell", "110", "sell", "95")
    assert desk.open_ids() == [entry["id"]]
    (nested,) = desk.venue.orders(OrderQuery(nested=True))
    assert [leg["id"] for leg in nested["legs"]] == [profit["id"], stop["id"]]
    assert desk.events(profit) == ["held"]


def test_a_filled_entry_activates_the_exits_and_one_cancels_the_other():
    desk = Desk()
    entry, profit, stop = bracket(desk)
    desk.look()
    desk.price("98")
    assert [desk.status(order) for order in (entry, profit, stop)] == ["filled", "new", "new"]
    desk.price("111")
    assert [desk.status(order) for order in (profit, stop)] == ["filled", "canceled"]
    assert desk.venue.positions() == []


def test_the_stop_loss_of_a_bracket_sells_in_a_fall():
    desk = Desk()
    _, profit, stop = bracket(desk)
    desk.look()
    desk.price("98")
    desk.price("94")
    assert desk.now(stop)["filled_avg_price"] == "93.99"
    assert desk.status(profit) == "canceled"


def test_an_exit_filled_in_part_leaves_the_other_the_rest():
    desk = Desk()
    _, profit, stop = bracket(desk)
    desk.look()
    desk.price("98")
    desk.price("111", volume=Decimal(4))
    assert desk.now(stop)["qty"] == "6"
    assert "restated" in desk.events(stop)
    desk.price("90")
    assert desk.now(stop)["filled_qty"] == "6"
    assert desk.status(profit) == "canceled"
    assert desk.venue.positions() == []


def test_an_entry_filled_in_part_leaves_the_exits_held():
    desk = Desk()
    entry, profit, _ = bracket(desk)
    desk.look()
    desk.price("98", volume=Decimal(4))
    assert (desk.status(entry), desk.status(profit)) == ("partially_filled", "held")


def test_a_canceled_entry_cancels_its_exits():
    desk = Desk()
    entry, profit, stop = bracket(desk)
    desk.look()
    desk.venue.cancel(entry["id"])
    desk.look()
    assert [desk.status(order) for order in (entry, profit, stop)] == ["canceled"] * 3


def test_a_canceled_exit_cancels_the_other():
    desk = Desk()
    _, profit, stop = bracket(desk)
    desk.look()
    desk.price("98")
    desk.venue.cancel(profit["id"])
    desk.look()
    assert (desk.status(profit), desk.status(stop)) == ("canceled", "canceled")
    assert desk.venue.position("AAPL")["qty"] == "10"


def test_both_exits_hold_the_same_shares():
    desk = Desk()
    bracket(desk)
    desk.look()
    desk.price("98")
    assert desk.venue.position("AAPL")["qty_available"] == "0"
    with pytest.raises(WireError) as refused:
        desk.send(side="sell", qty="1")
    assert refused.value.extra["held_for_orders"] == "10"


def test_a_replaced_entry_and_a_replaced_exit_stay_in_their_group():
    desk = Desk()
    entry, _, stop = bracket(desk)
    desk.look()
    bigger = desk.change(entry, qty="20")
    desk.look()
    assert desk.now(stop)["qty"] == "20"
    desk.price("98")
    _, stop_leg = desk.now(bigger, nested=True)["legs"]
    tighter = desk.change(stop_leg, stop_price="97")
    desk.look()
    profit_leg, newest = desk.now(bigger, nested=True)["legs"]
    assert newest["id"] == tighter["id"]
    desk.price("96")
    assert (desk.now(tighter)["filled_qty"], desk.status(profit_leg)) == ("20", "canceled")


def test_the_quantity_of_an_exit_cannot_be_replaced():
    desk = Desk()
    _, profit, _ = bracket(desk)
    desk.look()
    desk.price("98")
    with pytest.raises(WireError, match="exit"):
        desk.change(profit, qty="5")


def test_a_held_exit_can_be_replaced_and_stays_held():
    desk = Desk()
    _, profit, _ = bracket(desk)
    desk.look()
    higher = desk.change(profit, limit_price="120")
    desk.look()
    assert desk.status(higher) == "held"
    desk.price("98")
    assert desk.status(higher) == "new"
    desk.price("111")
    assert desk.status(higher) == "new"
    desk.price("121")
    assert desk.status(higher) == "filled"


def test_exits_good_till_canceled_work_on_the_next_day():
    desk = Desk()
    _, profit, stop = bracket(desk, time_in_force="gtc")
    desk.look()
    desk.price("98")
    desk.look(CLOSE)
    assert desk.status(profit) == "done_for_day"
    desk.look(NEXT_OPEN)
    desk.price("111")
    assert (desk.status(profit), desk.status(stop)) == ("filled", "canceled")


def test_exits_good_for_the_day_expire_and_leave_the_position():
    desk = Desk()
    _, profit, stop = bracket(desk)
    desk.look()
    desk.price("98")
    desk.look(CLOSE)
    assert (desk.status(profit), desk.status(stop)) == ("expired", "expired")
    assert desk.venue.position("AAPL")["qty"] == "10"


def test_the_two_orders_of_an_oco_work_at_once():
    desk = Desk()
    desk.hold("10")
    profit = desk.send(side="sell", order_class="oco", **EXITS)
    (stop,) = profit["legs"]
    desk.look()
    assert (desk.status(profit), desk.status(stop)) == ("new", "new")
    desk.price("94")
    assert (desk.status(profit), desk.status(stop)) == ("canceled", "filled")
    assert desk.venue.positions() == []


def test_an_oco_needs_a_position():
    desk = Desk()
    with pytest.raises(WireError, match="position"):
        desk.send(side="sell", order_class="oco", **EXITS)


def test_an_oto_has_one_exit():
    desk = Desk()
    entry = desk.send(order_class="oto", limit_price="99", stop_loss={"stop_price": "95", "limit_price": "94"})
    (stop,) = entry["legs"]
    assert (stop["type"], stop["limit_price"]) == ("stop_limit", "94")
    desk.look()
    desk.price("98")
    assert desk.status(stop) == "new"


def test_a_short_bracket_exits_by_buying():
    desk = Desk()
    entry = desk.send(
        side="sell",
        order_class="bracket",
        limit_price="101",
        take_profit={"limit_price": "95"},
        stop_loss={"stop_price": "105"},
    )
    profit, stop = entry["legs"]
    desk.look()
    desk.price("102")
    desk.price("106")
    assert desk.now(stop)["filled_avg_price"] == "106.01"
    assert desk.status(profit) == "canceled"
    assert desk.venue.positions() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"time_in_force": "ioc"},
        {"qty": "1.5"},
        {"take_profit": {"limit_price": "90"}},
        {"stop_loss": {"stop_price": "99"}},
        {"take_profit": {"limit_price": "110.001"}},
    ],
)
def test_a_bracket_that_makes_no_sense_is_refused(fields):
    desk = Desk()
    with pytest.raises(WireError) as refused:
        bracket(desk, **fields)
    assert refused.value.status == 422
    assert len(desk.venue.state.orders) == 0


def test_one_look_never_fills_both_exits():
    desk = Desk()
    _, profit, stop = bracket(desk)
    desk.look()
    desk.price("98")
    desk.price("94", bid="111", ask="112")
    assert (desk.status(profit), desk.status(stop)) == ("canceled", "filled")
    assert desk.venue.positions() == []
