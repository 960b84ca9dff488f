"""The trading stream through alpaca-py's own client, over a real socket."""

import asyncio
import json
from contextlib import contextmanager
from typing import Any

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderStatus
from django.db import OperationalError
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from execution.models import Account
from marketdata.clock import wall_now
from ops_console.alpaca_api import stream
from ops_console.alpaca_api.consumer import TradeUpdatesConsumer
from ops_console.alpaca_api.stream import QUEUE_LENGTH, Listener, UpdateHub
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


@contextmanager
def talk(server: LiveServer, keys, *messages):
    """Open a connection, say it all, and close it at the end."""
    key = {"key_id": keys.key_id, "secret_key": keys.secret}
    with connect(server.stream_url) as socket:
        for message in ({"action": "authenticate", "data": key}, *messages):
            socket.send(message if isinstance(message, str) else json.dumps(message))
        yield socket


LISTEN = {"action": "listen", "data": {"streams": ["trade_updates"]}}


@pytest.mark.parametrize("message", ["no json", "[]", '{"action": "dance"}', json.dumps({"action": "x" * 5_000})])
def test_what_is_not_understood_ends_the_talk(server: LiveServer, keys_of: KeysOf, message: str):
    with talk(server, keys_of(), message) as socket:
        assert json.loads(socket.recv(WAIT_SECONDS))["data"]["status"] == "authorized"
        with pytest.raises(ConnectionClosed):
            socket.recv(WAIT_SECONDS)


def test_streams_can_be_left_again(server: LiveServer, client: TradingClient, keys_of: KeysOf):
    nothing = {"action": "listen", "data": {"streams": []}}
    with talk(server, keys_of(), LISTEN, nothing) as socket:
        answers = [json.loads(socket.recv(WAIT_SECONDS))["data"] for _ in range(3)]
        assert [answer.get("streams") for answer in answers] == [None, ["trade_updates"], []]
        client.submit_order(market_order())
        with pytest.raises(TimeoutError):
            socket.recv(0.5)


def test_more_listeners_than_are_served_are_turned_away(
    server: LiveServer, keys_of: KeysOf, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stream, "MOST_LISTENERS", 1)
    keys = keys_of()
    with talk(server, keys, LISTEN) as first, talk(server, keys, LISTEN) as second:
        for socket in (first, second):
            assert json.loads(socket.recv(WAIT_SECONDS))["data"]["status"] == "authorized"
        assert json.loads(first.recv(WAIT_SECONDS))["stream"] == "listening"
        with pytest.raises(ConnectionClosed):
            second.recv(WAIT_SECONDS)


def test_client_that_does_not_keep_up_is_ended():
    async def fall_behind() -> bytes | None:
        listener = Listener("token")
        for _ in range(QUEUE_LENGTH + 1):
            listener.put(b"{}")
        return listener.queue.get_nowait()

    assert asyncio.run(fall_behind()) is None


@pytest.mark.parametrize("work", ["updates_told", "living_tokens"])
def test_reader_or_check_that_fails_ends_the_connections_and_starts_again(
    server: LiveServer, client: TradingClient, keys_of: KeysOf, monkeypatch: pytest.MonkeyPatch, work: str
):
    keys = keys_of()
    with talk(server, keys, LISTEN) as socket:
        for _ in range(2):
            socket.recv(WAIT_SECONDS)
        with monkeypatch.context() as broken:
            broken.setattr(stream, work, lambda *_, **__: 1 / 0)
            client.submit_order(market_order())
            with pytest.raises(ConnectionClosed):
                list(socket)  # with what was told before the end
    with Ears(keys.key_id, keys.secret, server.stream_url) as ears:
        client.submit_order(market_order(client_order_id="after"))
        ears.wait_for("accepted", "after")


def test_key_that_was_revoked_before_listening_does_not_listen(server: LiveServer, keys_of: KeysOf):
    keys = keys_of()
    with talk(server, keys) as socket:
        assert json.loads(socket.recv(WAIT_SECONDS))["data"]["status"] == "authorized"
        revoke_token(token=ApiToken.objects.get(token_id=keys.key_id), now=wall_now())
        socket.send(json.dumps(LISTEN))
        assert json.loads(socket.recv(WAIT_SECONDS))["data"]["status"] == "unauthorized"
        with pytest.raises(ConnectionClosed):
            socket.recv(WAIT_SECONDS)


def test_update_that_was_read_when_the_database_went_away_is_told_afterwards(
    server: LiveServer, client: TradingClient, keys_of: KeysOf, monkeypatch: pytest.MonkeyPatch
):
    told, failures = stream.updates_told, iter([OperationalError("gone"), OperationalError("gone")])

    def tell(*given):
        for failure in failures:
            raise failure
        return told(*given)

    monkeypatch.setattr(stream, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(stream, "updates_told", tell)
    keys = keys_of()
    with Ears(keys.key_id, keys.secret, server.stream_url) as ears:
        client.submit_order(market_order(client_order_id="mine"))
        ears.wait_for("accepted", "mine")
        assert ears.events_of("mine") == ["accepted"]


def test_client_that_is_gone_before_its_answer_leaves_its_place(
    server: LiveServer, keys_of: KeysOf, monkeypatch: pytest.MonkeyPatch
):
    say = TradeUpdatesConsumer._say

    async def be_gone(consumer: TradeUpdatesConsumer, message: dict[str, Any]) -> None:
        if message["stream"] == "listening":
            assert consumer.hub is not None
            assert consumer.hub.listeners
            hubs.append(consumer.hub)
            raise OSError("the client has gone")
        await say(consumer, message)

    hubs: list[UpdateHub] = []
    monkeypatch.setattr(TradeUpdatesConsumer, "_say", be_gone)
    with talk(server, keys_of(), LISTEN) as socket:
        socket.recv(WAIT_SECONDS)
        with pytest.raises(ConnectionClosed):
            socket.recv(WAIT_SECONDS)
    assert [hub.listeners for hub in hubs] == [set()]
