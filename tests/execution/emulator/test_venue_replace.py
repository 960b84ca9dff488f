"""PATCH at the emulated broker: a new order takes over, or is rejected because the old one was faster."""

from decimal import Decimal

import pytest

from execution.alpaca_wire.errors import WireError
from tests.execution.emulator.venue_cases import CLOSE, EVENING, NEXT_OPEN, Desk


def test_a_replacement_has_a_new_id_and_takes_over_at_the_next_look():
    desk = Desk()
    old = desk.send(limit_price="90", client_order_id="old")
    desk.look()
    new = desk.change(old, limit_price="91", client_order_id="new")
    assert (new["replaces"], new["client_order_id"], new["limit_price"]) == (old["id"], "new", "91")
    assert desk.status(old) == "pending_replace"
    desk.look()
    assert desk.events(old) == ["pending_new", "new", "pending_replace", "replaced"]
    assert desk.events(new) == ["new"]
    replaced = desk.last("replaced")["order"]
    assert (replaced["id"], replaced["replaced_by"], replaced["status"]) == (old["id"], new["id"], "replaced")
    desk.price("90.50")
    assert desk.status(new) == "filled"
    assert desk.now(old)["filled_qty"] == "0"


def test_the_new_quantity_counts_what_was_filled_before():
    desk = Desk()
    old = desk.send(limit_price="99", qty="10")
    desk.look()
    desk.price("98", volume=Decimal(4))
    new = desk.change(old, qty="12")
    desk.look()
    assert (desk.now(new)["qty"], desk.now(new)["filled_qty"], desk.status(new)) == ("12", "0", "new")
    desk.price("98")
    assert (desk.now(new)["filled_qty"], desk.status(new)) == ("8", "filled")
    assert desk.venue.position("AAPL")["qty"] == "12"


def test_what_fills_while_the_replacement_is_pending_is_not_bought_twice():
    desk = Desk(replace_delay_seconds=Decimal(5))
    old = desk.send(limit_price="99", qty="10")
    desk.look()
    new = desk.change(old, qty="12")
    desk.price("98", volume=Decimal(4))
    assert desk.status(old) == "pending_replace"
    desk.clock.advance(Decimal(6))
    desk.look()
    desk.price("97")
    assert (desk.now(old)["filled_qty"], desk.now(new)["filled_qty"]) == ("4", "8")
    assert desk.venue.position("AAPL")["qty"] == "12"


def test_replacements_in_a_row_keep_the_total():
    desk = Desk()
    first = desk.send(limit_price="99", qty="10")
    desk.look()
    desk.price("98", volume=Decimal(2))
    second = desk.change(first, qty="20")
    desk.look()
    desk.price("98", volume=Decimal(3))
    third = desk.change(second, limit_price="98.50")
    desk.look()
    desk.price("98")
    assert [desk.now(order)["filled_qty"] for order in (first, second, third)] == ["2", "3", "15"]
    assert desk.venue.position("AAPL")["qty"] == "20"


def test_a_replacement_is_rejected_when_the_original_fills_first():
    desk = Desk(replace_delay_seconds=Decimal(5))
    old = desk.send(limit_price="99")
    desk.look()
    new = desk.change(old, limit_price="95")
    desk.price("98")
    desk.clock.advance(Decimal(6))
    desk.look()
    assert desk.events(old)[-2:] == ["fill", "order_replace_rejected"]
    assert desk.events(new) == ["rejected"]
    assert (desk.status(old), desk.status(new)) == ("filled", "rejected")


def test_an_order_that_is_being_replaced_cannot_be_canceled_and_its_replacement_can():
    desk = Desk()
    old = desk.send(limit_price="90")
    desk.look()
    new = desk.change(old, limit_price="91")
    with pytest.raises(WireError) as refused:
        desk.venue.cancel(old["id"])
    assert refused.value.status == 422
    desk.venue.cancel(new["id"])
    desk.look()
    desk.look()
    assert (desk.status(old), desk.status(new)) == ("replaced", "canceled")


def test_both_orders_hold_the_larger_buying_power_until_the_replacement_is_done():
    desk = Desk(multiplier=Decimal(1))
    old = desk.send(limit_price="90")
    assert desk.venue.account()["buying_power"] == "99100.00"
    desk.change(old, limit_price="80")
    assert desk.venue.account()["buying_power"] == "99100.00"
    desk.look()
    assert desk.venue.account()["buying_power"] == "99200.00"


def test_a_replacement_that_cannot_be_paid_is_refused():
    desk = Desk(starting_cash=Decimal(1000), multiplier=Decimal(1))
    old = desk.send(limit_price="90")
    desk.look()
    with pytest.raises(WireError) as refused:
        desk.change(old, qty="12")
    assert refused.value.status == 403
    assert desk.status(old) == "new"
    desk.change(old, qty="11")


def test_a_closing_order_cannot_be_replaced_by_one_for_more_than_is_held():
    desk = Desk()
    desk.hold("10")
    old = desk.send(side="sell", limit_price="110")
    desk.look()
    with pytest.raises(WireError) as refused:
        desk.change(old, qty="11")
    assert refused.value.status == 403
    desk.change(old, qty="9")


@pytest.mark.parametrize("fields", [{}, {"limit_price": "90.001"}, {"qty": "0.5"}, {"client_order_id": "old"}])
def test_nonsense_is_refused_and_the_order_works_on(fields):
    desk = Desk()
    old = desk.send(limit_price="90", client_order_id="old")
    desk.look()
    with pytest.raises(WireError) as refused:
        desk.change(old, **fields)
    assert refused.value.status == 422
    assert desk.status(old) == "new"


def test_an_ended_order_and_one_that_is_being_replaced_are_refused():
    desk = Desk()
    old = desk.send(limit_price="90")
    desk.look()
    new = desk.change(old, limit_price="91")
    for order in (old, new):
        with pytest.raises(WireError):
            desk.change(order, limit_price="92")
    desk.look()
    with pytest.raises(WireError):
        desk.change(old, limit_price="92")


def test_a_quantity_that_is_filled_already_is_refused():
    desk = Desk()
    old = desk.send(limit_price="99", qty="10")
    desk.look()
    desk.price("98", volume=Decimal(4))
    with pytest.raises(WireError, match="above the filled quantity"):
        desk.change(old, qty="4")


def test_a_replacement_overnight_waits_for_the_open():
    desk = Desk()
    old = desk.send(limit_price="90", time_in_force="gtc")
    desk.look(CLOSE)
    desk.look(EVENING)
    new = desk.change(old, limit_price="91")
    desk.look()
    assert (desk.status(old), desk.status(new)) == ("replaced", "accepted")
    desk.look(NEXT_OPEN)
    assert desk.events(new) == ["accepted", "new"]


def test_a_day_order_that_expires_takes_its_replacement_with_it():
    desk = Desk(replace_delay_seconds=Decimal(600))
    old = desk.send(limit_price="90")
    desk.look(CLOSE.replace(hour=19, minute=55))
    new = desk.change(old, limit_price="91")
    desk.look(CLOSE)
    desk.look(EVENING)
    assert (desk.status(old), desk.status(new)) == ("expired", "rejected")
