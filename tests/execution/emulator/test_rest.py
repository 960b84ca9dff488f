"""The trading API as Alpaca's own client uses it."""

from base64 import b64encode
from datetime import date
from uuid import uuid4

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.enums import OrderSide, OrderStatus, QueryOrderStatus
from alpaca.trading.models import TradeAccount
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetOrdersRequest,
    GetPortfolioHistoryRequest,
    ReplaceOrderRequest,
)

from tests.execution.emulator.clients import headers, limit, market, timed, trading_client
from tests.execution.emulator.conftest import emulator_at


def refused(call, *arguments) -> APIError:
    with pytest.raises(APIError) as caught:
        call(*arguments)
    return caught.value


def get(emulator, path, **options):
    return requests.get(f"{emulator.url}{path}", headers=headers(emulator), timeout=1, **options)


# orders


def test_an_order_is_taken_filled_and_found_again(client):
    order = client.submit_order(market(client_order_id="first"))
    assert order.client_order_id == "first"
    filled = client.get_order_by_id(order.id)
    assert (filled.status, filled.filled_qty, filled.filled_avg_price) == (OrderStatus.FILLED, "10", "100.01")
    assert client.get_order_by_client_id("first").id == order.id


def test_orders_are_listed_open_closed_and_all(client):
    done = client.submit_order(market())
    resting = client.submit_order(limit("90"))
    assert [order.id for order in client.get_orders()] == [resting.id]
    for status, expected in ((QueryOrderStatus.CLOSED, {done.id}), (QueryOrderStatus.ALL, {done.id, resting.id})):
        assert {order.id for order in client.get_orders(GetOrdersRequest(status=status))} == expected


def test_orders_are_filtered_by_symbol_side_and_number(client):
    for price in ("90", "91", "92"):
        client.submit_order(limit(price))
    assert len(client.get_orders(GetOrdersRequest(limit=2))) == 2
    assert len(client.get_orders(GetOrdersRequest(symbols=["AAPL", "IBM"]))) == 3
    assert client.get_orders(GetOrdersRequest(symbols=["IBM"])) == []
    assert client.get_orders(GetOrdersRequest(side=OrderSide.SELL)) == []


@pytest.mark.parametrize(
    "query", ["limit=501", "limit=0", "limit=x", "status=odd", "direction=up", "nested=maybe", "after=yesterday"]
)
def test_a_query_that_cannot_be_read_is_refused_by_name(emulator, query):
    answer = get(emulator, f"/v2/orders?{query}")
    assert answer.status_code == 422
    assert answer.json()["message"].startswith(query.partition("=")[0])


def test_a_cancel_is_asked_for_and_done(client):
    order = client.submit_order(limit("90"))
    assert client.cancel_order_by_id(order.id) is None
    assert client.get_order_by_id(order.id).status == OrderStatus.CANCELED
    assert refused(client.cancel_order_by_id, order.id).status_code == 422


def test_a_replaced_order_has_a_new_id(client):
    order = client.submit_order(limit("90"))
    new = client.replace_order_by_id(order.id, ReplaceOrderRequest(qty=5, limit_price="91"))
    assert new.id != order.id
    assert new.replaces == order.id
    assert client.get_order_by_id(order.id).status == OrderStatus.REPLACED
    assert client.get_order_by_id(new.id).qty == "5"


def test_all_orders_are_canceled_with_an_answer_for_each(client):
    orders = {client.submit_order(limit(price)).id for price in ("90", "91")}
    answers = client.cancel_orders()
    assert {each.id for each in answers} == orders
    assert {each.status for each in answers} == {200}
    assert client.get_orders() == []


def test_an_order_that_is_not_there_is_a_404(client):
    assert refused(client.get_order_by_id, str(uuid4())).status_code == 404
    error = refused(client.get_order_by_client_id, "nobody")
    assert (error.status_code, error.code) == (404, 40410000)


def test_a_client_order_id_is_used_once(client):
    client.submit_order(limit("90", client_order_id="one"))
    error = refused(client.submit_order, limit("91", client_order_id="one"))
    assert (error.status_code, error.code) == (422, 40010001)


def test_buying_power_is_refused_with_403(client):
    error = refused(client.submit_order, market(quantity=1_000_000))
    assert (error.status_code, error.code) == (403, 40310000)


@pytest.mark.parametrize("body", ["{", "[]", '{"qty": NaN}'])
def test_a_body_that_is_no_object_is_refused(emulator, body):
    answer = requests.post(f"{emulator.url}/v2/orders", data=body, headers=headers(emulator), timeout=1)
    assert answer.status_code == 400
    assert answer.json()["code"] == 40010001


# positions


def test_a_position_is_held_and_closed(client):
    client.submit_order(market())
    (position,) = client.get_all_positions()
    assert (position.symbol, position.qty, position.qty_available) == ("AAPL", "10", "10")
    assert client.get_open_position("AAPL").avg_entry_price == "100.01"
    assert client.get_open_position(position.asset_id).qty == "10"
    closing = client.close_position("AAPL", ClosePositionRequest(qty="4"))
    assert (closing.side, closing.qty) == (OrderSide.SELL, "4")
    assert client.get_open_position("AAPL").qty == "6"


def test_all_positions_are_closed_and_orders_canceled(client):
    client.submit_order(market())
    client.submit_order(limit("90"))
    (answer,) = client.close_all_positions(cancel_orders=True)
    assert (answer.symbol, answer.status) == ("AAPL", 200)
    assert client.get_all_positions() == []


def test_a_position_that_is_not_there_is_a_404(client):
    error = refused(client.get_open_position, "AAPL")
    assert (error.status_code, error.message) == (404, "position does not exist")


@pytest.mark.parametrize("query", ["qty=0", "percentage=101", "qty=1&percentage=5", "qty=x"])
def test_a_part_of_a_position_that_makes_no_sense_is_refused(emulator, client, query):
    client.submit_order(market())
    answer = requests.delete(f"{emulator.url}/v2/positions/AAPL?{query}", headers=headers(emulator), timeout=1)
    assert answer.status_code == 422
    assert client.get_open_position("AAPL").qty == "10"


# account and market


def test_the_account_after_a_trade(client):
    account = client.get_account()
    assert isinstance(account, TradeAccount)
    assert (account.account_number, account.cash, account.status) == ("PA0EMULATOR", "100000.00", "ACTIVE")
    client.submit_order(market())
    assert client.get_account().cash == "98999.90"


def test_trading_is_suspended_by_the_configurations(client):
    configurations = client.get_account_configurations()
    configurations.suspend_trade = True
    assert client.set_account_configurations(configurations).suspend_trade is True
    assert client.get_account().trade_suspended_by_user is True
    assert refused(client.submit_order, market()).status_code == 403


def test_fills_are_activities_in_pages(client):
    for _ in range(3):
        client.submit_order(market())
    lines = client.get("/account/activities/FILL", {"page_size": 2, "direction": "asc"})
    assert [line["cum_qty"] for line in lines] == ["10", "10"]
    (last,) = client.get(
        "/account/activities/FILL", {"page_size": 2, "direction": "asc", "page_token": lines[-1]["id"]}
    )
    assert last["id"] not in {line["id"] for line in lines}
    assert client.get("/account/activities", {"activity_types": "FEE,DIV"}) == []
    assert len(client.get("/account/activities", {"date": "2012-06-14"})) == 3


def test_clock_and_calendar(client):
    clock = client.get_clock()
    assert clock.is_open is True
    assert clock.next_close.isoformat() == "2012-06-14T16:00:00-04:00"
    days = client.get_calendar(GetCalendarRequest(start=date(2012, 7, 2), end=date(2012, 7, 5)))
    assert [day.date.day for day in days] == [2, 3, 5]
    assert days[1].close.hour == 13
    assert len(client.get_calendar()) == 250


def test_assets(client):
    assert {asset.symbol for asset in client.get_all_assets()} >= {"AAPL", "IBM"}
    assert client.get_all_assets(GetAssetsRequest(status="inactive")) == []
    asset = client.get_asset("AAPL")
    assert client.get_asset(str(asset.id)).symbol == "AAPL"
    assert refused(client.get_asset, "NOBODY").status_code == 404


def test_portfolio_history(client):
    history = client.get_portfolio_history(GetPortfolioHistoryRequest())
    assert history.equity[-1] == 100_000
    assert history.timeframe == "1D"


# who may ask, and how often


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"APCA-API-KEY-ID": "PKEMULATOR"},
        {"APCA-API-KEY-ID": "PKEMULATOR", "APCA-API-SECRET-KEY": "wrong"},
        {"Authorization": "Basic !"},
        {"Authorization": "Bearer wrong"},
    ],
)
def test_without_the_right_keys_there_is_no_answer(emulator, given):
    answer = requests.get(f"{emulator.url}/v2/account", headers=given, timeout=1)
    assert answer.status_code == 401
    assert answer.json()["code"] == 40110000


def test_keys_come_in_any_of_the_clients_ways(emulator):
    credentials = b64encode(f"{emulator.keys.key_id}:{emulator.keys.secret}".encode()).decode()
    for given in (f"Basic {credentials}", f"Bearer {emulator.keys.secret}"):
        assert requests.get(f"{emulator.url}/v2/account", headers={"Authorization": given}, timeout=1).ok
    basic = trading_client(emulator)
    basic._use_basic_auth = True
    assert timed(basic).get_account().account_number == "PA0EMULATOR"


def test_the_window_is_used_up_after_so_many_requests():
    with emulator_at(rate_limit=3) as limited:
        answers = [get(limited, "/v2/clock") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"3"}
    assert len({answer.headers["X-Request-ID"] for answer in answers}) == 4


def test_what_is_not_there_is_told(emulator):
    answer = get(emulator, "/v2/nothing")
    assert (answer.status_code, answer.json()["message"]) == (404, "endpoint not found.")
    assert requests.put(f"{emulator.url}/v2/orders", headers=headers(emulator), timeout=1).status_code == 405
