"""Orders through alpaca-py's own client, over a real socket."""

from uuid import UUID

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, OrderStatus, PositionIntent, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    GetOrderByIdRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
)

from execution.models import Account, Order
from execution.states import OrderStatus as OurStatus
from ops_console.alpaca_api.identity import FILL, ORDER, key_of, uuid_of
from ops_console.scopes import Scope
from risk.services import kill_switch
from tests.execution.cases import dispatch, recorded
from tests.execution.fake_broker import FakeBroker
from tests.factories import MARKET_AT, WALL_NOW, allow, make_account, make_instrument, make_quote, make_strategy
from tests.ops_console.alpaca_api.conftest import KeysOf, LiveServer

NOBODY = "00000000-0000-4000-8000-000000000000"


def market_order(**fields):
    values = {"symbol": "AAPL", "qty": 10, "side": OrderSide.BUY, "time_in_force": TimeInForce.DAY} | fields
    return MarketOrderRequest(**values)


def limit_order(price=99, **fields):
    values = {"symbol": "AAPL", "qty": 10, "side": OrderSide.BUY, "time_in_force": TimeInForce.DAY} | fields
    return LimitOrderRequest(limit_price=price, **values)


def refusal_of(ask) -> APIError:
    with pytest.raises(APIError) as caught:
        ask()
    return caught.value


def ids(orders) -> list[str]:
    return [order.client_order_id for order in orders]


def test_submitted_order_is_in_the_book(client: TradingClient, account: Account):
    told = client.submit_order(market_order(client_order_id="mine-1"))
    stored = Order.objects.get(client_order_id="mine-1")
    assert (stored.strategy.name, stored.origin, stored.source_ref) == ("manual", "alpaca_api", "trade-user")
    assert told.status == OrderStatus.ACCEPTED
    assert (told.qty, told.filled_qty, told.submitted_at) == ("10", "0", MARKET_AT)
    assert client.get_order_by_id(told.id) == told
    assert client.get_order_by_client_id("mine-1") == told


def test_same_order_twice_without_an_id_is_two_orders(client: TradingClient):
    first, second = (client.submit_order(market_order()) for _ in range(2))
    assert first.id != second.id
    assert Order.objects.count() == 2


def test_id_that_was_used_is_refused_even_with_the_same_body(client: TradingClient):
    client.submit_order(market_order(client_order_id="mine"))
    refused = refusal_of(lambda: client.submit_order(market_order(client_order_id="mine")))
    assert (refused.status_code, refused.code) == (422, 40010001)
    assert refused.message == "client_order_id must be unique"
    assert Order.objects.count() == 1


def test_order_goes_to_the_strategy_of_the_token(server: LiveServer, account: Account, keys_of: KeysOf):
    make_strategy("momentum")
    keys = keys_of(strategy="momentum")
    TradingClient(keys.key_id, keys.secret, url_override=server.url).submit_order(market_order())
    assert Order.objects.get().strategy.name == "momentum"


def test_denied_order_says_every_rule(client: TradingClient):
    allow(max_position_quantity=5, max_order_quantity=5)
    refused = refusal_of(lambda: client.submit_order(market_order(client_order_id="big")))
    assert (refused.status_code, refused.code) == (403, 40310000)
    assert "POSITION_LIMIT: " in refused.message
    assert "FAT_FINGER_QUANTITY: " in refused.message
    body = refused._http_error.response.json()
    assert {denial["code"] for denial in body["denials"]} == {"POSITION_LIMIT", "FAT_FINGER_QUANTITY"}
    assert body["client_order_id"] == "big"
    assert client.get_order_by_client_id("big").status == OrderStatus.REJECTED
    assert client.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL)) == []


@pytest.mark.parametrize(
    ("order", "status", "code"),
    [
        (market_order(symbol="NOSUCH"), 422, 40010001),
        (limit_order(99.005), 422, 42210000),
        (market_order(qty=1.5), 422, 42210000),
        (market_order(qty=None, notional=100), 422, 42210000),
        (limit_order(50), 403, 40310000),
    ],
)
def test_refusals_look_like_alpacas(client: TradingClient, order, status: int, code: int):
    refused = refusal_of(lambda: client.submit_order(order))
    assert (refused.status_code, refused.code) == (status, code)
    assert not Order.objects.exclude(status=OurStatus.DENIED).exists()


def test_kill_switch_speaks_as_alpacas_suspension(client: TradingClient, account: Account):
    kill_switch.engage(scope="global", operator="test", reason="seen on two screens", source="api", now=WALL_NOW)
    refused = refusal_of(lambda: client.submit_order(market_order()))
    assert (refused.status_code, refused.code) == (403, 40310000)
    assert refused.message.startswith("new orders are rejected by user request: KILL_SWITCH: ")
    assert client.get_account().trade_suspended_by_user


def test_closing_intent_only_reduces(client: TradingClient):
    refused = refusal_of(
        lambda: client.submit_order(market_order(side=OrderSide.SELL, position_intent=PositionIntent.SELL_TO_CLOSE))
    )
    assert "REDUCE_ONLY" in refused.message


def test_list_has_filters(client: TradingClient, account: Account):
    make_instrument("IBM")
    make_quote(account.feed, "IBM")
    client.submit_order(limit_order(client_order_id="a"))
    client.submit_order(limit_order(client_order_id="b", symbol="IBM"))
    client.submit_order(limit_order(101, client_order_id="c", side=OrderSide.SELL))
    client.cancel_order_by_id(client.get_order_by_client_id("b").id)

    def listed(**fields):
        return ids(client.get_orders(GetOrdersRequest(**fields)))

    assert listed() == ["c", "a"]
    assert listed(status=QueryOrderStatus.CLOSED) == ["b"]
    assert listed(status=QueryOrderStatus.ALL, direction="asc") == ["a", "b", "c"]
    assert listed(status=QueryOrderStatus.ALL, limit=2) == ["c", "b"]
    assert listed(status=QueryOrderStatus.ALL, symbols=["IBM"]) == ["b"]
    assert listed(side=OrderSide.SELL) == ["c"]
    assert listed(status=QueryOrderStatus.ALL, after=MARKET_AT) == []
    assert listed(status=QueryOrderStatus.ALL, until=MARKET_AT) == []
    assert len(listed(status=QueryOrderStatus.ALL, after="1970-01-01", until="2200-01-01T00:00:00Z")) == 3


@pytest.mark.parametrize("query", ["status=new", "limit=501", "limit=0", "direction=up", "after=noon", "nested=maybe"])
def test_unreadable_query_is_refused_by_name(client: TradingClient, query: str):
    name, _, value = query.partition("=")
    refused = refusal_of(lambda: client.get("/orders", {name: value}))
    assert (refused.status_code, refused.code) == (422, 40010001)
    assert refused.message.startswith(name)


def test_cancel_of_an_unsent_order_is_done_at_once(client: TradingClient):
    told = client.submit_order(limit_order())
    client.cancel_order_by_id(told.id)
    canceled = client.get_order_by_id(told.id)
    assert (canceled.status, canceled.canceled_at) == (OrderStatus.CANCELED, MARKET_AT)
    refused = refusal_of(lambda: client.cancel_order_by_id(told.id))
    assert (refused.status_code, refused.message) == (422, 'order is already in "canceled" state')


def test_cancel_all_asks_for_every_order(client: TradingClient, account: Account):
    broker = FakeBroker()
    told = [client.submit_order(limit_order(98 + number)) for number in range(3)]
    dispatch(account, broker)
    answers = client.cancel_orders()
    assert {(str(answer.id), answer.status) for answer in answers} == {(str(order.id), 200) for order in told}
    dispatch(account, broker)
    recorded(account, broker)
    assert ids(client.get_orders()) == []
    assert client.cancel_orders() == []


def test_unsent_order_is_replaced_at_once(client: TradingClient):
    first = client.submit_order(limit_order(client_order_id="mine"))
    second = client.replace_order_by_id(first.id, ReplaceOrderRequest(qty=12, limit_price=98.5))
    assert (second.qty, second.limit_price, second.replaces) == ("12", "98.5", first.id)
    replaced = client.get_order_by_id(first.id)
    assert (replaced.status, replaced.replaced_by) == (OrderStatus.REPLACED, second.id)
    refused = refusal_of(lambda: client.replace_order_by_id(first.id, ReplaceOrderRequest(limit_price=97)))
    assert (refused.status_code, refused.code) == (422, 42210000)


def test_bracket_is_stored_with_its_legs(client: TradingClient):
    told = client.submit_order(
        market_order(
            client_order_id="mine",
            order_class=OrderClass.BRACKET,
            take_profit=TakeProfitRequest(limit_price=103),
            stop_loss=StopLossRequest(stop_price=97),
        )
    )
    assert told.order_class == OrderClass.BRACKET
    assert [(leg.limit_price, leg.stop_price, leg.status) for leg in told.legs] == [
        ("103", None, OrderStatus.HELD),
        (None, "97", OrderStatus.HELD),
    ]
    assert ids(client.get_orders()) == ["mine"]
    nested = client.get_orders(GetOrdersRequest(nested=True))
    assert [len(order.legs) for order in nested] == [2]
    assert client.get_order_by_id(told.id, GetOrderByIdRequest(nested=True)).legs == told.legs
    assert len(client.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL))) == 3


def test_legs_that_make_no_group_are_refused(client: TradingClient):
    refused = refusal_of(
        lambda: client.post(
            "/orders",
            {
                "symbol": "AAPL",
                "qty": "10",
                "side": "sell",
                "type": "limit",
                "time_in_force": "day",
                "order_class": "oco",
                "take_profit": {"limit_price": "101"},
            },
        )
    )
    assert (refused.status_code, refused.code) == (422, 42210000)


@pytest.mark.parametrize("order_id", [NOBODY, "0f5e3a1c-2b4d-4c6e-8f70-91a2b3c4d5e6", "no-uuid"])
def test_order_of_nobody_is_not_found(client: TradingClient, order_id: str):
    refused = refusal_of(lambda: client.get(f"/orders/{order_id}"))
    assert (refused.status_code, refused.code) == (404, 40410000)


def test_ids_are_found_again_and_belong_to_one_account(db: None):
    ours, others = make_account(), make_account()
    for key in (0, 1, 2**40, 2**62 - 1):
        text = uuid_of(ours, ORDER, key)
        assert UUID(text).version == 8
        assert key_of(ours, ORDER, text) == key
        assert key_of(ours, ORDER, text.upper()) == key
        assert key_of(others, ORDER, text) is None
        assert key_of(ours, FILL, text) is None


def test_order_of_another_account_is_not_found(client: TradingClient):
    other = make_account(name="another")
    foreign = uuid_of(other, ORDER, 1)
    assert refusal_of(lambda: client.get_order_by_id(foreign)).status_code == 404


@pytest.mark.parametrize("scope", [Scope.READ])
def test_reader_may_not_trade(server: LiveServer, keys_of: KeysOf, scope: Scope):
    keys = keys_of(scope)
    reader = TradingClient(keys.key_id, keys.secret, url_override=server.url)
    assert reader.get_orders() == []
    for ask in (lambda: reader.submit_order(market_order()), reader.cancel_orders, reader.close_all_positions):
        refused = refusal_of(ask)
        assert (refused.status_code, refused.code) == (403, 40310000)


def test_wrong_key_is_not_let_in(server: LiveServer, keys_of: KeysOf):
    keys = keys_of()
    refused = refusal_of(TradingClient(keys.key_id, "0" * 43, url_override=server.url).get_account)
    assert (refused.status_code, refused.code) == (401, 40110000)
    assert refused.message.startswith("access key verification failed")


def test_bearer_and_basic_open_as_well(server: LiveServer, keys_of: KeysOf):
    keys = keys_of()
    assert TradingClient(oauth_token=keys.whole, url_override=server.url).get_orders() == []
    basic = TradingClient(keys.key_id, keys.secret, url_override=server.url)
    basic._use_basic_auth = True
    assert basic.get_orders() == []


def test_stop_order_keeps_its_price(client: TradingClient):
    order = StopOrderRequest(symbol="AAPL", qty=5, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, stop_price=103.25)
    told = client.submit_order(order)
    assert (told.stop_price, told.order_type.value, told.expires_at) == ("103.25", "stop", None)
