"""One connection at a time, however it ends: what it is called, how long the next one waits, when it is believed."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from execution.brokers.alpaca import AlpacaConfiguration, listener, stream
from execution.brokers.alpaca.listener import Listener
from execution.brokers.alpaca.stream import StreamLost, StreamRefused, listening
from execution.services.hearing import MOST_OWED, PATIENCE, Hearing
from marketdata.clock import wall_now

SECOND = timedelta(seconds=1)
GREETING = {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}
HEARING = {"stream": "listening", "data": {"streams": ["trade_updates"]}}
Script = Callable[[ServerConnection], Awaitable[None]]


@pytest.fixture(autouse=True)
def paces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds become milliseconds."""
    monkeypatch.setattr(listener, "LOOK_EVERY", timedelta(milliseconds=10))
    monkeypatch.setattr(listener, "SILENCE", timedelta(milliseconds=300))
    monkeypatch.setattr(listener, "GRACE", timedelta(0))
    monkeypatch.setattr("execution.services.hearing.PATIENCE", timedelta(milliseconds=50))
    monkeypatch.setattr(listener, "reconnect_delay", lambda failures, first, longest: failures * 0.001)
    monkeypatch.setattr(stream, "PING_EVERY", timedelta(milliseconds=50))
    monkeypatch.setattr(stream, "ANSWER_WAIT", timedelta(milliseconds=300))


async def greet(socket: ServerConnection) -> None:
    """Be Alpaca until the client listens."""
    assert json.loads(await socket.recv())["data"] == {"key_id": "PKX", "secret_key": "hush"}
    await socket.send(json.dumps(GREETING).encode())
    assert json.loads(await socket.recv())["action"] == "listen"
    await socket.send(json.dumps(HEARING).encode())


@asynccontextmanager
async def served(script: Script) -> AsyncIterator[AlpacaConfiguration]:
    """Serve a script to each connection."""
    async with serve(script, "127.0.0.1", 0, ping_interval=None, close_timeout=0.1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield configuration(f"ws://127.0.0.1:{port}/stream")


def configuration(url: str) -> AlpacaConfiguration:
    return AlpacaConfiguration(
        mode="alpaca_paper", key_id="PKX", secret_key="hush", base_url="http://127.0.0.1:1", stream_url=url
    )


@asynccontextmanager
async def running(where: AlpacaConfiguration) -> AsyncIterator[Listener]:
    """Run a listener to the end of the block."""
    line = Listener(lambda heard: listening(where, heard=heard), wall=wall_now, on_listening=lambda: None)
    task = asyncio.ensure_future(line.listen_for_ever())
    try:
        async with asyncio.timeout(10):
            yield line
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def becomes(line: Listener, state: str, said: str = "") -> None:
    while line.state.state != state or said not in line.state.problem:  # noqa: ASYNC110 - states come without an event
        await asyncio.sleep(0.002)


def run(script: Script, test: Callable[[Listener], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with served(script) as where, running(where) as line:
            return await test(line)

    return asyncio.run(main())


def test_frames_come_as_they_were_sent_also_those_that_overtook_the_answer() -> None:
    async def script(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(json.dumps(GREETING))
        await socket.send('{"early": 1}')
        await socket.recv()
        await socket.send(json.dumps(HEARING))
        await socket.send(b"\xff no json")
        await socket.wait_closed()

    async def test(line: Listener) -> list[Any]:
        return [await line.frames.get(), await line.frames.get()]

    assert run(script, test) == ['{"early": 1}', b"\xff no json"]


def test_a_peer_that_neither_speaks_nor_answers_pings_is_dead() -> None:
    async def script(socket: ServerConnection) -> None:
        await greet(socket)
        socket.transport.pause_reading()
        await asyncio.sleep(1)

    run(script, lambda line: becomes(line, "down", "no frame and no answer to a ping"))


def test_a_quiet_peer_that_answers_pings_is_alive() -> None:
    async def script(socket: ServerConnection) -> None:
        await greet(socket)
        await socket.wait_closed()

    async def test(line: Listener) -> tuple[str, bool]:
        await becomes(line, "live")
        began = line.state.heard_at
        await asyncio.sleep(0.5)  # longer than the silence that would be death
        return line.state.state, bool(began and line.state.heard_at and line.state.heard_at > began)

    assert run(script, test) == ("live", True)


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        (
            {"stream": "authorization", "data": {"status": "unauthorized"}},
            "refused",
            "refuses the log-in: unauthorized",
        ),
        ({"hello": "world"}, "down", "not Alpaca's"),
        ([], "down", "not Alpaca's"),
        (None, "down", "no answer to the log-in"),
    ],
)
def test_a_log_in_that_fails_says_how(answer: Any, state: str, said: str) -> None:
    async def script(socket: ServerConnection) -> None:
        await socket.recv()
        if answer is not None:
            await socket.send(json.dumps(answer))
        await socket.wait_closed()

    run(script, lambda line: becomes(line, state, said))


def test_a_broker_that_lets_us_listen_to_nothing_refuses() -> None:
    async def script(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(json.dumps(GREETING))
        await socket.recv()
        await socket.send(json.dumps({"stream": "listening", "data": {"streams": []}}))
        await socket.wait_closed()

    run(script, lambda line: becomes(line, "refused", "does not let us listen"))


def test_a_host_that_is_not_there_is_down() -> None:
    async def main() -> None:
        async with running(configuration("ws://127.0.0.1:9/stream")) as line:
            await becomes(line, "down", "no connection")

    asyncio.run(main())


def test_an_address_that_is_none_is_down_and_ends_nothing() -> None:
    async def main() -> None:
        async with running(configuration("http://127.0.0.1:9/stream")) as line:
            await becomes(line, "down", "no connection")

    asyncio.run(main())


def test_a_cancel_that_comes_while_the_socket_closes_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        outer = asyncio.current_task()
        assert outer is not None

        class Socket:
            transport = SimpleNamespace(abort=lambda: None)

            async def close(self) -> None:
                outer.cancel()

        async def connected(url: str) -> Socket:
            return Socket()

        async def greeted(socket: Socket, where: AlpacaConfiguration) -> list[str]:
            return []

        monkeypatch.setattr(stream, "_connected", connected)
        monkeypatch.setattr(stream, "_greeted", greeted)

        async def listen_shortly() -> None:
            async with listening(configuration("ws://127.0.0.1:9/stream"), heard=lambda: None):
                pass
            await asyncio.sleep(0)

        with pytest.raises(asyncio.CancelledError):
            await listen_shortly()
        outer.uncancel()

    asyncio.run(main())


def test_there_is_never_a_second_connection() -> None:
    open_now, most = 0, 0

    async def script(socket: ServerConnection) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        try:
            await greet(socket)
            await asyncio.sleep(0.02)  # long enough to be seen live
        finally:
            open_now -= 1

    async def test(line: Listener) -> None:
        for _ in range(5):
            await becomes(line, "down")
            await becomes(line, "live")

    run(script, test)
    assert most == 1


def test_pauses_grow_with_failures_in_a_row_and_only_a_lasting_connection_forgets_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures: list[int] = []
    monkeypatch.setattr(listener, "LASTED", timedelta(milliseconds=200))

    def note(count: int, _first: int, _longest: int) -> float:
        failures.append(count)
        return 0.001

    monkeypatch.setattr(listener, "reconnect_delay", note)

    async def script(socket: ServerConnection) -> None:
        await greet(socket)
        await asyncio.sleep(0.25 if len(failures) == 4 else 0)

    async def test(line: Listener) -> None:
        while len(failures) < 6:  # noqa: ASYNC110 - the listener tells nobody
            await asyncio.sleep(0.002)

    run(script, test)
    assert failures[:6] == [1, 2, 3, 4, 1, 2]


def mute_script() -> Script:
    async def script(socket: ServerConnection) -> None:
        await greet(socket)
        await socket.wait_closed()

    return script


def test_what_rest_tells_and_the_stream_does_not_makes_it_mute_and_connects_anew() -> None:
    async def test(line: Listener) -> None:
        await becomes(line, "live")
        line.rest_told(["a"], asked_at=listener.loop_time())
        await becomes(line, "mute", "1 fact came by REST alone")
        await becomes(line, "mute", "connected anew")

    run(mute_script(), test)


def test_a_stream_that_told_in_time_is_not_mute_in_whatever_order_both_were_noted() -> None:
    async def test(line: Listener) -> str:
        await becomes(line, "live")
        line.stream_told(["a"])
        line.rest_told(["a", "b"], asked_at=listener.loop_time())
        line.stream_told(["b"])
        await asyncio.sleep(0.15)
        return line.state.state

    assert run(mute_script(), test) == "live"


def test_a_mute_stream_is_believed_when_it_tells_something() -> None:
    async def test(line: Listener) -> None:
        await becomes(line, "live")
        line.rest_told(["a"], asked_at=listener.loop_time())
        await becomes(line, "mute", "connected anew")
        line.stream_told(["b"])
        assert line.is_live

    run(mute_script(), test)


def test_a_mute_stream_is_believed_after_a_while_without_disproof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "TRUSTED_AGAIN", timedelta(milliseconds=100))

    async def test(line: Listener) -> None:
        await becomes(line, "live")
        line.rest_told(["a"], asked_at=listener.loop_time())
        await becomes(line, "mute", "connected anew")
        await becomes(line, "live")

    run(mute_script(), test)


def test_what_happened_before_the_connection_is_nothing_it_owes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "GRACE", timedelta(seconds=5))

    async def test(line: Listener) -> str:
        await becomes(line, "live")
        line.rest_told(["a"], asked_at=listener.loop_time())
        await asyncio.sleep(0.15)
        return line.state.state

    assert run(mute_script(), test) == "live"


def test_a_frame_too_large_ends_the_connection_and_not_the_listener() -> None:
    async def script(socket: ServerConnection) -> None:
        await greet(socket)
        await socket.send("x" * (stream.LARGEST_FRAME + 1))
        await socket.wait_closed()

    async def test(line: Listener) -> None:
        await becomes(line, "down", "the connection ended")
        await becomes(line, "live")

    run(script, test)


def test_refusals_are_losses_too() -> None:
    assert issubclass(StreamRefused, StreamLost)


def test_hearing_owes_only_for_so_long_and_only_so_much() -> None:
    hearing = Hearing()
    hearing.rest_told(["a"], at=SECOND)
    assert hearing.overdue(at=SECOND) == 0
    assert hearing.overdue(at=SECOND + PATIENCE) == 1
    hearing.rest_told(["a"], at=SECOND * 9)
    assert hearing.overdue(at=SECOND + PATIENCE) == 1
    hearing.rest_told((str(number) for number in range(MOST_OWED * 2)), at=SECOND)
    assert hearing.overdue(at=SECOND * 9) == MOST_OWED
    hearing.forgive()
    assert hearing.overdue(at=SECOND * 99) == 0
