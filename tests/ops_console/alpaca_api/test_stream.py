"""The trading stream through alpaca-py's own client, over a real socket."""

import json

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderStatus
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from execution.models import Account
from marketdata.clock import wall_now
from ops_console.models import ApiToken
from ops_console.services.tokens import revoke_token
from tests.execution.cases import dispatch, recorded
from tests.execution.fake_broker import FakeBroker
from tests.ops_console.alpaca_api.conftest import KeysOf, LiveServer
from tests.ops_console.alpaca_api.test_orders import limit_order, market_order
from tests.scenarios.listening import Ears

WAIT_SECONDS = 10


@pytest.fixture
def ears(server: LiveServer, keys_of: KeysOf):
    keys = keys_of()
    with Ears(keys.key_id, keys.secret, server.stream_url) as listening:
        yield listening


def test_life_of_an_order_is_told_in_its_order(client: TradingClient, account: Account, ears: Ears):
    broker = FakeBroker()
    client.submit_order(market_order(client_order_id="mine"))
    dispatch(account, broker)
    recorded(account, broker)
    broker.fill("mine", 4, "100.5")
    recorded(account, broker)
    broker.fill("mine", 6, "101")
    recorded(account, broker)
    last = ears.wait_for("fill", "mine")
    assert ears.events_of("mine") == ["accepted", "pending_new", "new", "partial_fill", "fill"]
    assert (last.qty, last.price, last.position_qty) == (6, 101, 10)
    assert (last.order.status, last.order.filled_qty, last.order.filled_avg_price) == (
        OrderStatus.FILLED,
        "10",
        "100.8",
    )
    part = ears.wait_for("partial_fill", "mine")
    assert (part.qty, part.price, part.position_qty) == (4, 100.5, 4)
    assert (part.order.status, part.order.filled_qty) == (OrderStatus.PARTIALLY_FILLED, "4")
    assert part.order.filled_at is None
    assert part.execution_id != last.execution_id


def test_cancel_is_told(client: TradingClient, account: Account, ears: Ears):
    broker = FakeBroker()
    told = client.submit_order(limit_order(client_order_id="mine"))
    dispatch(account, broker)
    client.cancel_order_by_id(told.id)
    dispatch(account, broker)
    recorded(account, broker)
    ears.wait_for("canceled", "mine")
    assert ears.events_of("mine") == ["accepted", "pending_new", "new", "pending_cancel", "canceled"]


def test_frames_are_binary_json_as_alpacas(server: LiveServer, keys_of: KeysOf):
    keys = keys_of()
    with connect(server.stream_url) as socket:
        key = {"key_id": keys.key_id, "secret_key": keys.secret}
        socket.send(json.dumps({"action": "authenticate", "data": key}))
        answer = socket.recv(WAIT_SECONDS)
        assert isinstance(answer, bytes)
        assert json.loads(answer)["data"] == {"status": "authorized", "action": "authenticate"}


@pytest.mark.parametrize("wrong", ["key_id", "secret_key"])
def test_wrong_key_is_told_and_turned_away(server: LiveServer, keys_of: KeysOf, wrong: str):
    keys = keys_of()
    key = {"key_id": keys.key_id, "secret_key": keys.secret} | {wrong: "0" * 16}
    with connect(server.stream_url) as socket:
        socket.send(json.dumps({"action": "authenticate", "data": key}))
        assert json.loads(socket.recv(WAIT_SECONDS))["data"]["status"] == "unauthorized"
        with pytest.raises(ConnectionClosed):
            socket.recv(WAIT_SECONDS)


def test_nobody_listens_without_a_key(server: LiveServer):
    with connect(server.stream_url) as socket:
        socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        assert json.loads(socket.recv(WAIT_SECONDS))["data"]["status"] == "unauthorized"
        with pytest.raises(ConnectionClosed):
            socket.recv(WAIT_SECONDS)


def test_revoked_token_loses_the_stream(server: LiveServer, keys_of: KeysOf):
    keys = keys_of()
    with connect(server.stream_url) as socket:
        key = {"key_id": keys.key_id, "secret_key": keys.secret}
        socket.send(json.dumps({"action": "authenticate", "data": key}))
        socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        socket.recv(WAIT_SECONDS)
        assert json.loads(socket.recv(WAIT_SECONDS))["data"] == {"streams": ["trade_updates"]}
        revoke_token(token=ApiToken.objects.get(token_id=keys.key_id), now=wall_now())
        with pytest.raises(ConnectionClosed):
            socket.recv(WAIT_SECONDS)
