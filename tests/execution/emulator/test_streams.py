"""The trade updates as Alpaca's client gets them, and what can go wrong with them."""

import asyncio
import json

import pytest
import websockets.exceptions
from alpaca.trading.stream import TradingStream
from websockets.sync.client import connect

from execution.emulator.faults import FaultKind
from execution.emulator.sockets import Connection, Telling
from tests.execution.emulator.clients import PATIENCE, Received, await_true, fault, limit, market, trade_updates
from tests.execution.emulator.clients import running as run_stream


def login(emulator, socket, secret=None):
    keys = {"key_id": emulator.keys.key_id, "secret_key": secret or emulator.keys.secret}
    socket.send(json.dumps({"action": "authenticate", "data": keys}))
    return json.loads(socket.recv(PATIENCE))["data"]["status"]


def listening(emulator) -> int:
    return emulator.surface.updates.listeners


def test_an_order_is_told_from_its_entry_to_its_fill(emulator, client):
    with trade_updates(emulator) as updates:
        client.submit_order(market(client_order_id="a-1"))
        told = [updates.next()["data"]]
        while told[-1]["event"] != "fill":
            told.append(updates.next()["data"])
    fill = told[-1]
    assert (fill["qty"], fill["price"], fill["position_qty"]) == ("10", "100.01", "10")
    assert fill["order"]["status"] == "filled"
    assert {each["order"]["client_order_id"] for each in told} == {"a-1"}


def test_the_clients_own_model_accepts_every_update(emulator, client):
    stream = TradingStream(emulator.keys.key_id, emulator.keys.secret, url_override=emulator.stream_url)
    updates = Received(stream)
    stream.subscribe_trade_updates(updates.take)
    with run_stream(stream, lambda: emulator.call(emulator.surface.updates.disconnect)):
        await_true(emulator, lambda: listening(emulator))
        order = client.submit_order(limit("90"))
        client.cancel_order_by_id(order.id)
        update = updates.next()
        while update.event != "canceled":
            update = updates.next()
    assert update.order.id == order.id


def test_updates_are_json_in_binary_frames(emulator, client):
    with connect(emulator.stream_url) as socket:
        assert login(emulator, socket) == "authorized"
        socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates", "account_updates"]}}))
        answer = socket.recv(PATIENCE)
        assert json.loads(answer) == {"stream": "listening", "data": {"streams": ["trade_updates"]}}
        client.submit_order(limit("90"))
        frame = socket.recv(PATIENCE)
    assert isinstance(frame, bytes)
    assert json.loads(frame)["stream"] == "trade_updates"


def test_who_listens_to_nothing_is_told_nothing(emulator, client):
    with connect(emulator.stream_url) as socket:
        login(emulator, socket)
        for streams in (["trade_updates"], []):
            socket.send(json.dumps({"action": "listen", "data": {"streams": streams}}))
            socket.recv(PATIENCE)
        client.submit_order(limit("90"))
        with pytest.raises(TimeoutError):
            socket.recv(0.1)


def test_wrong_keys_are_told_and_the_connection_is_closed(emulator):
    with connect(emulator.stream_url) as socket:
        assert login(emulator, socket, secret="wrong") == "unauthorized"
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            socket.recv(PATIENCE)


def test_nobody_listens_without_keys(emulator):
    with connect(emulator.stream_url) as socket:
        socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        assert json.loads(socket.recv(PATIENCE))["data"]["status"] == "unauthorized"
    assert listening(emulator) == 0


def test_a_message_that_is_no_object_does_not_end_the_connection(emulator):
    with connect(emulator.stream_url) as socket:
        for nonsense in ("{", "[]", b"\xff\x00"):
            socket.send(nonsense)
            assert json.loads(socket.recv(PATIENCE))["data"]["status"] == "unauthorized"
        assert login(emulator, socket) == "authorized"


# faults of events


def resting(client, *names):
    for name in names:
        client.submit_order(limit("90", client_order_id=name))


def heard(updates, event="new"):
    """Return the client id of the next update of this kind."""
    while True:
        data = updates.next()["data"]
        if data["event"] == event:
            return data["order"]["client_order_id"]


def test_an_event_is_told_twice(emulator, client):
    emulator.faults.add(fault(FaultKind.DUPLICATE_EVENT, match={"event": "new"}))
    with trade_updates(emulator) as updates:
        resting(client, "a", "b")
        assert [heard(updates) for _ in range(3)] == ["a", "a", "b"]


def test_an_event_is_lost_for_ever(emulator, client):
    emulator.faults.add(fault(FaultKind.DROP_EVENT, match={"event": "new", "client_order_id": "a"}))
    with trade_updates(emulator) as updates:
        resting(client, "a", "b")
        assert heard(updates) == "b"


def test_an_event_comes_after_the_one_behind_it(emulator, client):
    emulator.faults.add(fault(FaultKind.REORDER_EVENT, match={"event": "new"}))
    with trade_updates(emulator) as updates:
        resting(client, "a", "b")
        told = [updates.next()["data"] for _ in range(4)]
    assert [(data["event"], data["order"]["client_order_id"]) for data in told] == [
        ("pending_new", "a"),
        ("pending_new", "b"),
        ("new", "a"),
        ("new", "b"),
    ]


def test_an_event_is_late(emulator, client):
    emulator.faults.add(fault(FaultKind.DELAY_EVENT, match={"event": "new", "client_order_id": "a"}, seconds="0.05"))
    with trade_updates(emulator) as updates:
        resting(client, "a", "b")
        assert [heard(updates), heard(updates)] == ["b", "a"]


def test_an_event_with_an_unknown_status(emulator, client):
    emulator.faults.add(fault(FaultKind.UNKNOWN_STATUS_EVENT, match={"event": "new"}, status="pondering"))
    with trade_updates(emulator) as updates:
        resting(client, "a")
        data = updates.next()["data"]
        while data["event"] != "new":
            data = updates.next()["data"]
        assert data["order"]["status"] == "pondering"
    assert client.get_order_by_client_id("a").status == "new"


@pytest.mark.parametrize("kind", [FaultKind.TEAR_EVENT, FaultKind.DISCONNECT_STREAM])
def test_a_client_that_was_cut_comes_back_and_has_missed_what_was_told(emulator, client, kind):
    with trade_updates(emulator) as updates:
        connection = next(iter(emulator.surface.updates._connections))
        emulator.faults.add(fault(kind))
        if kind == FaultKind.TEAR_EVENT:
            resting(client, "torn")
        await_true(emulator, lambda: connection not in emulator.surface.updates._connections)
        await_true(emulator, lambda: listening(emulator))
        resting(client, "after")
        assert heard(updates) == "after"


def test_an_event_that_is_no_json_does_not_end_the_clients_connection(emulator, client):
    emulator.faults.add(fault(FaultKind.MALFORMED_EVENT, match={"client_order_id": "bad", "event": "new"}))
    with trade_updates(emulator) as updates:
        resting(client, "bad", "good")
        assert heard(updates) == "good"


# faults of the stream


def test_a_mute_stream_is_connected_and_says_nothing(emulator, client):
    with trade_updates(emulator) as updates:
        emulator.faults.add(fault(FaultKind.MUTE_STREAM))
        await_true(emulator, lambda: not emulator.faults.waiting())
        resting(client, "unheard")
        assert listening(emulator) == 1
        with trade_updates(emulator, wait=False) as second:
            await_true(emulator, lambda: listening(emulator) == 2)
            resting(client, "heard")
            assert heard(second) == "heard"
        assert updates.empty()


def test_a_mute_stream_speaks_again_after_its_time_and_tells_nothing_of_it(emulator, client):
    with trade_updates(emulator) as updates:
        emulator.faults.add(fault(FaultKind.MUTE_STREAM, seconds="0.1"))
        await_true(emulator, lambda: not emulator.faults.waiting())
        connection = next(iter(emulator.surface.updates._connections))
        resting(client, "unheard")
        await_true(emulator, lambda: not connection.mute_at(emulator.loop.time() * 1000))
        resting(client, "heard")
        assert heard(updates) == "heard"


def test_a_refused_connection_is_a_429_and_the_client_comes_back(emulator, client):
    emulator.faults.add(fault(FaultKind.REFUSE_STREAM, times=2))
    with pytest.raises(websockets.exceptions.InvalidStatus) as caught:
        connect(emulator.stream_url)
    assert caught.value.response.status_code == 429
    with trade_updates(emulator) as updates:
        resting(client, "a")
        assert heard(updates) == "a"


def test_connections_are_refused_for_some_time(emulator):
    emulator.faults.add(fault(FaultKind.REFUSE_STREAM, seconds="0.2"))
    for _ in range(2):
        with pytest.raises(websockets.exceptions.InvalidStatus):
            connect(emulator.stream_url)
    with trade_updates(emulator):
        assert listening(emulator) == 1


def test_a_refused_login_is_tried_again_by_the_client(emulator, client):
    emulator.faults.add(fault(FaultKind.REFUSE_STREAM_LOGIN))
    with trade_updates(emulator) as updates:
        resting(client, "a")
        assert heard(updates) == "a"
    assert [entry.data["fault"] for entry in emulator.log.entries(kind="fault")] == ["refuse_stream_login"]


def test_a_fill_can_be_told_before_its_order_is_answered(emulator, client):
    emulator.faults.add(fault(FaultKind.FILL_BEFORE_ANSWER, match={"client_order_id": "early"}))
    emulator.faults.add(fault(FaultKind.SLOW, match={"method": "POST"}, seconds="0.3"))
    with trade_updates(emulator) as updates:
        answered = client.submit_order(market(client_order_id="early"))
        events = []
        while not updates.empty():
            events.append(updates.next()["data"]["event"])
    assert "fill" in events
    assert answered.client_order_id == "early"


class FakeCable:
    cut = False

    def abort(self):
        self.cut = True


def test_a_client_that_does_not_read_is_cut_off():
    cable = FakeCable()

    async def told() -> None:
        connection = Connection(cable, queue=asyncio.Queue(1))
        connection.tell(Telling(b"first"), at=0)
        assert not cable.cut
        connection.tell(Telling(b"second"), at=0)

    asyncio.run(told())
    assert cable.cut


def test_a_connection_that_does_not_log_in_is_cut(emulator):
    emulator.surface.updates.login_wait *= 0.01
    with connect(emulator.stream_url) as socket, pytest.raises(websockets.exceptions.ConnectionClosed):
        socket.recv(PATIENCE)


def test_what_nobody_hears_uses_no_fault_up(emulator, client):
    emulator.faults.add(fault(FaultKind.DROP_EVENT, match={"event": "new"}))
    resting(client, "unheard")
    with trade_updates(emulator) as updates:
        resting(client, "dropped", "heard")
        assert heard(updates) == "heard"
