"""Alpaca's words and ours."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from alpaca.trading.enums import OrderStatus as AlpacaStatus

from execution.brokers.alpaca.words import instant, order_body, read_order, replace_body
from execution.brokers.base import LegRequest, ReplaceRequest
from tests.execution.brokers.alpaca.stub import ORDER_ID, order
from tests.execution.brokers.contract import make_bracket, make_request

D = Decimal
STATUSES = {
    "new": "accepted",
    "accepted": "accepted",
    "pending_new": "accepted",
    "accepted_for_bidding": "accepted",
    "stopped": "accepted",
    "suspended": "accepted",
    "calculated": "accepted",
    "pending_review": "accepted",
    "done_for_day": "accepted",
    "held": "held",
    "partially_filled": "partially_filled",
    "filled": "filled",
    "canceled": "canceled",
    "expired": "expired",
    "rejected": "rejected",
    "replaced": "replaced",
    "pending_cancel": "pending_cancel",
    "pending_replace": "pending_replace",
}


@pytest.mark.parametrize(("word", "status"), STATUSES.items())
def test_every_status_of_the_broker_has_one_of_ours(word: str, status: str) -> None:
    assert read_order(order(status=word)).status == status


def test_the_library_knows_no_status_that_is_not_mapped() -> None:
    assert {status.value for status in AlpacaStatus} <= set(STATUSES)


@pytest.mark.parametrize("word", ["brand_new_word", "", None, 7, "x" * 500])
def test_a_status_nobody_knows_counts_as_working_and_says_so(word: object) -> None:
    read = read_order(order(status=word, filled_qty="0"))
    assert read.status == "accepted"
    assert "not known" in read.reason
    assert len(read.reason) < 200
    assert read_order(order(status=word, filled_qty="3")).status == "partially_filled"


def test_usual_states_need_no_words_and_strange_ones_do() -> None:
    assert read_order(order(status="new")).reason == ""
    assert read_order(order(status="pending_review")).reason == "the broker says pending_review"


@pytest.mark.parametrize("average", ["0", None, "", "-1", "NaN", "Infinity", "1e999", [], True])
def test_an_average_that_makes_no_sense_is_none(average: object) -> None:
    assert read_order(order(filled_qty="5", filled_avg_price=average)).average_fill_price is None


def test_an_average_without_fills_is_none() -> None:
    assert read_order(order(filled_qty="0", filled_avg_price="100")).average_fill_price is None


def test_numbers_are_read_digit_by_digit() -> None:
    read = read_order(order(qty="10.000000001", filled_qty="0.1", filled_avg_price="189.30000001"))
    assert (read.quantity, read.filled_quantity) == (D("10.000000001"), D("0.1"))
    assert read.average_fill_price == D("189.30000001")


def test_an_order_by_amount_of_money_has_the_quantity_that_it_has_filled() -> None:
    assert read_order(order(qty=None, notional="500", filled_qty="2.5", status="filled")).quantity == D("2.5")


def test_nanoseconds_are_cut_and_a_missing_time_is_another_one() -> None:
    assert read_order(order()).updated_at == datetime(2012, 6, 14, 13, 5, 0, 123456, tzinfo=UTC)
    assert read_order(order(updated_at=None)).updated_at == datetime(2012, 6, 14, 13, 5, tzinfo=UTC)
    assert read_order({}).updated_at.year == 1970
    assert instant("2012-06-14T09:05:00-04:00") == datetime(2012, 6, 14, 13, 5, tzinfo=UTC)
    assert instant("yesterday") is None
    assert instant(None) is None


def test_nothing_is_too_strange_to_be_read() -> None:
    for strange in ({}, {"legs": "none", "qty": {}, "id": 5}, {"legs": [None, 3, {"type": None}]}):
        assert read_order(strange).status == "accepted"


def test_legs_are_known_by_their_type() -> None:
    legs = [order("a", type="limit", side="sell"), order("b", type="stop"), order("c", type="stop_limit")]
    read = read_order(order(order_class="bracket", legs=legs))
    assert [leg.role for leg in read.legs] == ["take_profit", "stop_loss", "stop_loss"]
    assert read.role == ""
    assert {leg.broker_order_id for leg in read.legs} == {ORDER_ID}


def test_prices_are_sent_as_text_digit_by_digit() -> None:
    body = order_body(make_request(order_type="stop_limit", limit_price=D("100.10"), stop_price=D("0.0001")))
    assert body == {
        "client_order_id": "one",
        "symbol": "AAPL",
        "side": "buy",
        "qty": "10",
        "type": "stop_limit",
        "time_in_force": "day",
        "limit_price": "100.1",
        "stop_price": "0.0001",
    }
    assert "extended_hours" not in body
    assert order_body(make_request(extended_hours=True))["extended_hours"] is True
    assert order_body(make_request(quantity=D("1E+3")))["qty"] == "1000"


def test_a_bracket_names_its_legs() -> None:
    body = order_body(make_bracket())
    assert body["order_class"] == "bracket"
    assert (body["take_profit"], body["stop_loss"]) == ({"limit_price": "200"}, {"stop_price": "50"})


def test_an_oco_says_its_own_limit_as_take_profit() -> None:
    leg = LegRequest(role="stop_loss", client_order_id="x", stop_price=D(50), limit_price=D(49))
    body = order_body(make_request(side="sell", order_type="limit", limit_price=D(120), order_class="oco", legs=(leg,)))
    assert body["take_profit"] == {"limit_price": "120"}
    assert body["stop_loss"] == {"stop_price": "50", "limit_price": "49"}
    assert "limit_price" not in body


def test_new_terms_say_everything() -> None:
    request = ReplaceRequest(
        client_order_id="one-R1",
        original_client_order_id="one",
        original_broker_order_id="",
        quantity=D(7),
        time_in_force="gtc",
        limit_price=D("9.50"),
    )
    assert replace_body(request) == {
        "client_order_id": "one-R1",
        "qty": "7",
        "time_in_force": "gtc",
        "limit_price": "9.5",
    }
