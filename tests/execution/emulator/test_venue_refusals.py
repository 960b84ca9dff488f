"""What the emulated broker refuses, with status, code and body."""

from datetime import timedelta
from decimal import Decimal

import pytest

from execution.alpaca_wire.errors import WireError
from execution.emulator.market import Listing
from tests.execution.emulator.venue_cases import CLOSE, MIDDAY, OPEN, Desk


def refusal(desk: Desk, **fields) -> WireError:
    """Return the error of an order that is refused, and see that it left nothing behind."""
    before = len(desk.messages)
    with pytest.raises(WireError) as refused:
        desk.send(**fields)
    assert len(desk.messages) == before
    assert desk.log.entries()[-1].kind == "refused"
    return refused.value


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"symbol": "NOPE"}, 40010001, "symbol"),
        ({"limit_price": "100.001"}, 42210000, "ticks"),
        ({"type": "limit"}, 40010001, "limit price"),
        ({"limit_price": "100", "type": "market"}, 42210000, "has no limit price"),
        ({"extended_hours": True}, 42210000, "extended hours"),
        ({"limit_price": "99", "extended_hours": True, "time_in_force": "gtc"}, 42210000, "extended hours"),
        ({"limit_price": "99", "qty": "1.5"}, 42210000, "part of a share"),
        ({"type": "stop", "stop_price": "105", "time_in_force": "ioc"}, 42210000, "stop order"),
        ({"time_in_force": "opg"}, 42210000, "opg orders"),
    ],
)
def test_nonsense_is_422(fields, code, words):
    error = refusal(Desk(), **fields)
    assert (error.status, error.code) == (422, code)
    assert words in error.message


def test_part_of_a_share_is_bought_with_a_market_day_order_only():
    desk = Desk()
    order = desk.send(qty="1.5")
    desk.look()
    assert desk.now(order)["filled_qty"] == "1.5"


def test_auction_orders_are_refused_after_their_cutoff_and_taken_again_in_the_evening():
    desk = Desk(at=OPEN - timedelta(minutes=3))
    assert desk.send(time_in_force="opg")["status"] == "accepted"
    desk.look(OPEN - timedelta(minutes=2))
    assert refusal(desk, time_in_force="opg").status == 422
    assert desk.send(time_in_force="cls")["status"] == "accepted"
    desk.look(CLOSE - timedelta(minutes=10))
    assert refusal(desk, time_in_force="cls").status == 422
    desk.look(CLOSE + timedelta(hours=3))
    assert desk.send(time_in_force="opg")["status"] == "accepted"
    assert desk.send(time_in_force="cls", side="buy")["status"] == "accepted"


def test_a_client_order_id_is_used_once_for_ever():
    desk = Desk()
    order = desk.send(client_order_id="once", limit_price="90")
    desk.look()
    desk.venue.cancel(order["id"])
    desk.look()
    error = refusal(desk, client_order_id="once")
    assert (error.status, error.code, error.message) == (422, 40010001, "client_order_id must be unique")


def test_more_than_the_buying_power_is_refused_with_numbers():
    desk = Desk(starting_cash=Decimal(1000), multiplier=Decimal(1))
    error = refusal(desk, qty="10", limit_price="100.01")
    assert (error.status, error.code, error.message) == (403, 40310000, "insufficient buying power")
    assert error.extra == {"buying_power": "1000", "cost_basis": "1000.1"}
    desk.send(qty="10", limit_price="100")
    assert desk.venue.account()["buying_power"] == "0.00"


def test_a_market_buy_counts_two_and_a_half_percent_above_the_ask():
    desk = Desk(starting_cash=Decimal(1000), multiplier=Decimal(1))
    desk.price("99.99")
    assert refusal(desk, qty="10").status == 403
    desk.send(qty="9")
    assert desk.venue.account()["buying_power"] == "77.50"


def test_a_short_counts_at_the_higher_of_its_limit_and_three_percent_above_the_ask():
    desk = Desk(multiplier=Decimal(1))
    desk.price("99.99")
    desk.send(side="sell", limit_price="90")
    assert desk.venue.account()["buying_power"] == "98970.00"
    desk.send(side="sell", limit_price="110")
    assert desk.venue.account()["buying_power"] == "97870.00"


def test_a_sale_gives_buying_power_back_only_when_it_is_executed():
    desk = Desk(starting_cash=Decimal(1000), multiplier=Decimal(1))
    desk.send(qty="9", limit_price="100.01")
    desk.look()
    before = desk.venue.account()["buying_power"]
    desk.send(side="sell", qty="9", limit_price="110")
    assert desk.venue.account()["buying_power"] == before
    desk.price("111")
    assert Decimal(desk.venue.account()["buying_power"]) == Decimal("1000") + 9 * (
        Decimal("110.99") - Decimal("100.01")
    )


def test_an_order_cannot_cross_zero():
    desk = Desk()
    desk.hold("10")
    error = refusal(desk, side="sell", qty="15")
    assert (error.status, error.code) == (403, 40310000)
    assert error.extra == {
        "symbol": "AAPL",
        "available": "10",
        "existing_qty": "10",
        "held_for_orders": "0",
        "related_orders": [],
    }


def test_shares_are_held_by_the_order_that_closes_them_until_its_cancel_is_done():
    desk = Desk()
    desk.hold("10")
    first = desk.send(side="sell", limit_price="110")
    desk.look()
    assert desk.venue.position("AAPL")["qty_available"] == "0"
    desk.venue.cancel(first["id"])
    error = refusal(desk, side="sell", qty="10")
    assert error.extra["related_orders"] == [first["id"]]
    assert error.extra["held_for_orders"] == "10"
    desk.look()
    desk.send(side="sell", qty="10")


def test_a_possible_wash_trade_is_refused():
    desk = Desk()
    desk.hold("10")
    sale = desk.send(side="sell", limit_price="110")
    error = refusal(desk, side="buy")
    assert (error.status, error.code) == (422, 42210000)
    assert error.message == "potential wash trade detected. use complex orders"
    assert error.extra["existing_order_id"] == sale["id"]
    assert refusal(desk, side="buy", limit_price="110").status == 422
    desk.send(side="buy", limit_price="109.99")


def test_opening_orders_of_both_sides_are_refused():
    desk = Desk()
    desk.send(side="sell", limit_price="110")
    assert "cannot open a long buy while a short sell order is open" in refusal(desk, limit_price="90").message
    other = Desk()
    other.send(limit_price="90")
    assert refusal(other, side="sell", limit_price="110").status == 403


def test_shorts_are_refused_where_they_are_not_allowed():
    desk = Desk()
    desk.market.add_listing(Listing(symbol="IBM", shortable=False))
    desk.price("50", symbol="IBM")
    assert "cannot be sold short" in refusal(desk, symbol="IBM", side="sell").message
    desk.venue.configure({"no_shorting": True})
    error = refusal(desk, side="sell")
    assert (error.status, error.message) == (403, "account is not allowed to short")
    assert desk.venue.account()["shorting_enabled"] is False


def test_an_untradable_security_is_refused():
    desk = Desk()
    desk.market.add_listing(Listing(symbol="IBM", tradable=False))
    assert "not tradable" in refusal(desk, symbol="IBM").message


def test_a_suspended_account_refuses_new_orders_and_still_cancels():
    desk = Desk()
    order = desk.send(limit_price="90")
    assert desk.venue.configure({"suspend_trade": True})["suspend_trade"] is True
    error = refusal(desk)
    assert (error.status, error.message) == (403, "new orders are rejected by user request")
    assert desk.venue.account()["trade_suspended_by_user"] is True
    desk.venue.cancel(order["id"])
    desk.look()
    assert desk.status(order) == "canceled"
    desk.venue.configure({"suspend_trade": False})
    desk.send()


def test_a_blocked_account_refuses_everything():
    desk = Desk()
    desk.venue.block(trading_blocked=True)
    assert refusal(desk).status == 403
    desk.venue.block(trading_blocked=False, account_blocked=True)
    assert "account is blocked" in refusal(desk).message
    assert desk.venue.account()["account_blocked"] is True


def test_unknown_configurations_change_nothing():
    desk = Desk()
    for wrong in ({"suspend_trade": True, "what": 1}, {"suspend_trade": "yes"}):
        with pytest.raises(WireError):
            desk.venue.configure(wrong)
    assert desk.venue.configurations()["suspend_trade"] is False


def test_a_market_order_without_any_price_is_refused():
    desk = Desk()
    assert "there is no price" in refusal(desk, symbol="GOOG").message


def test_a_refused_order_may_be_sent_again_under_its_id():
    desk = Desk(at=MIDDAY)
    refusal(desk, client_order_id="again", limit_price="100.001")
    desk.send(client_order_id="again", limit_price="100")
