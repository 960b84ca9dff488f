"""The life of an order at the emulated broker: entry, executions, cancel, end of the session."""

from decimal import Decimal

import pytest

from execution.alpaca_wire.errors import WireError
from tests.execution.emulator.venue_cases import CLOSE, EVENING, NEXT_OPEN, OPEN, Desk


def test_a_market_order_is_new_and_filled_at_the_next_look():
    desk = Desk()
    order = desk.send()
    assert (order["status"], order["filled_qty"]) == ("pending_new", "0")
    desk.look()
    assert desk.events(order) == ["pending_new", "new", "fill"]
    filled = desk.now(order)
    assert (filled["status"], filled["filled_qty"], filled["filled_avg_price"]) == ("filled", "10", "100.01")
    fill = desk.last("fill")
    assert (fill["qty"], fill["price"], fill["position_qty"]) == ("10", "100.01", "10")
    assert fill["execution_id"]
    assert desk.venue.position("AAPL")["qty"] == "10"
    assert desk.venue.account()["cash"] == "98999.90"


def test_a_limit_order_waits_for_its_price():
    desk = Desk()
    order = desk.send(limit_price="99")
    desk.look()
    assert desk.status(order) == "new"
    desk.price("98.90")
    assert desk.now(order)["filled_avg_price"] == "98.91"


def test_volume_limits_what_is_filled_and_each_execution_is_told():
    desk = Desk()
    order = desk.send(limit_price="99")
    desk.look()
    desk.price("98", volume=Decimal(4))
    assert desk.last("partial_fill")["order"]["filled_qty"] == "4"
    assert desk.status(order) == "partially_filled"
    desk.look()
    assert desk.now(order)["filled_qty"] == "4"
    desk.price("97", volume=Decimal(100))
    fill = desk.last("fill")
    assert (fill["qty"], fill["price"], fill["position_qty"]) == ("6", "97.01", "10")
    assert fill["order"]["filled_qty"] == "10"
    assert fill["order"]["filled_avg_price"] == "97.41"


def test_a_short_is_held_as_a_negative_position():
    desk = Desk()
    desk.send(side="sell")
    desk.look()
    position = desk.venue.position("AAPL")
    assert (position["qty"], position["side"], position["market_value"]) == ("-10", "short", "-1000.00")
    assert desk.last("fill")["position_qty"] == "-10"


def test_a_cancel_is_pending_until_the_next_look():
    desk = Desk()
    order = desk.send(limit_price="90")
    desk.look()
    desk.venue.cancel(order["id"])
    assert desk.status(order) == "pending_cancel"
    desk.venue.cancel(order["id"])
    desk.look()
    assert desk.events(order) == ["pending_new", "new", "pending_cancel", "canceled"]
    with pytest.raises(WireError) as refused:
        desk.venue.cancel(order["id"])
    assert (refused.value.status, refused.value.code) == (422, 42210000)


def test_a_delayed_cancel_loses_against_the_market():
    desk = Desk(cancel_delay_seconds=Decimal(5))
    order = desk.send(limit_price="90")
    desk.look()
    desk.venue.cancel(order["id"])
    desk.price("89")
    assert desk.status(order) == "filled"
    desk.clock.advance(Decimal(6))
    desk.look()
    assert desk.events(order)[-2:] == ["fill", "order_cancel_rejected"]


def test_an_order_sent_at_night_is_accepted_and_works_at_the_open():
    desk = Desk(at=EVENING)
    order = desk.send()
    assert order["status"] == "accepted"
    desk.look()
    assert desk.status(order) == "accepted"
    desk.look(NEXT_OPEN)
    assert desk.events(order) == ["accepted", "new", "fill"]
    assert desk.now(order)["filled_at"] == "2012-06-15T13:30:00.000000Z"


def test_a_day_order_expires_at_the_close():
    desk = Desk()
    order = desk.send(limit_price="90")
    desk.look(CLOSE)
    assert desk.events(order) == ["pending_new", "new", "expired"]
    assert desk.now(order)["expired_at"] == "2012-06-14T20:00:00.000000Z"


def test_what_is_good_till_canceled_is_done_for_the_day_and_comes_back():
    desk = Desk()
    order = desk.send(limit_price="90", time_in_force="gtc")
    desk.look(CLOSE)
    assert desk.status(order) == "done_for_day"
    assert desk.open_ids() == [order["id"]]
    desk.look(NEXT_OPEN)
    assert desk.events(order) == ["pending_new", "new", "done_for_day", "new"]
    desk.price("89")
    assert desk.status(order) == "filled"


def test_an_order_for_extended_hours_trades_after_the_close_and_ends_in_the_evening():
    desk = Desk(at=CLOSE)
    order = desk.send(limit_price="99", extended_hours=True)
    assert order["status"] == "pending_new"
    other = desk.send(limit_price="90", extended_hours=True)
    desk.price("98")
    assert desk.status(order) == "filled"
    assert other["expires_at"] == "2012-06-15T00:00:00.000000Z"
    desk.look(EVENING)
    assert desk.status(other) == "expired"


def test_an_auction_order_gets_the_auctions_price():
    desk = Desk(at=OPEN.replace(hour=12))
    desk.market.print_opening(OPEN.date(), "AAPL", Decimal("101.50"))
    order = desk.send(time_in_force="opg")
    desk.look(OPEN)
    assert desk.now(order)["filled_avg_price"] == "101.5"


def test_immediate_or_cancel_ends_at_its_first_event():
    desk = Desk()
    order = desk.send(limit_price="99", time_in_force="ioc")
    desk.look()
    assert desk.events(order)[-1] == "canceled"


def test_a_buy_stop_works_as_a_stop_limit():
    desk = Desk()
    order = desk.send(type="stop", stop_price="105")
    low = desk.send(type="stop", stop_price="110")
    desk.look()
    desk.price("110", ask="110.50")
    assert desk.status(order) == "new"
    assert desk.now(low)["filled_avg_price"] == "110.5"
    desk.price("107")
    assert desk.now(order)["filled_avg_price"] == "107.01"


def test_a_halted_symbol_does_not_trade():
    desk = Desk()
    desk.venue.halt("AAPL")
    order = desk.send()
    desk.look()
    assert desk.status(order) == "new"
    desk.venue.resume("AAPL")
    desk.look()
    assert desk.status(order) == "filled"


def test_cancel_all_answers_for_every_order():
    desk = Desk()
    orders = [desk.send(limit_price=price) for price in ("90", "91")]
    desk.look()
    answers = desk.venue.cancel_all()
    assert [(answer["id"], answer["status"]) for answer in answers] == [(order["id"], 200) for order in orders]
    desk.look()
    assert {desk.status(order) for order in orders} == {"canceled"}


def test_an_order_is_found_by_both_ids_and_nothing_else():
    desk = Desk()
    order = desk.send(client_order_id="mine-1")
    assert desk.venue.order_by_client_id("mine-1")["id"] == order["id"]
    for look_up in (desk.venue.order, desk.venue.order_by_client_id):
        with pytest.raises(WireError) as refused:
            look_up("nobody")
        assert (refused.value.status, refused.value.code) == (404, 40410000)


def test_the_open_list_is_cut_by_submission_time_side_and_symbol():
    desk = Desk()
    desk.price("50", symbol="IBM")
    first = desk.send(limit_price="90")
    second = desk.send(limit_price="40", symbol="IBM")
    assert desk.open_ids() == [second["id"], first["id"]]
    assert desk.open_ids(direction="asc", limit=1) == [first["id"]]
    assert desk.open_ids(symbols=("IBM",)) == [second["id"]]
    assert desk.open_ids(side="sell") == []
    assert desk.open_ids(status="closed") == []
