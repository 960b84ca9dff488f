"""One connection to Alpaca's `trade_updates` stream: handshake, frames as they come, and whether the line is alive.

alpaca-py's `TradingStream` is not used: it decodes a frame before anybody sees it, so that one which is no JSON is
lost; it notices a dead peer after three minutes; and only its own loop may end its connection. The handshake and the
frames are the same.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from alpaca.common.utils import get_default_user_agent
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from execution.brokers.alpaca.configuration import AlpacaConfiguration
from execution.brokers.alpaca.events import TRADE_UPDATES, decode

OPEN_WAIT = timedelta(seconds=10)
ANSWER_WAIT = timedelta(seconds=10)
CLOSE_WAIT = timedelta(seconds=1)
PING_EVERY = timedelta(seconds=3)
LARGEST_FRAME = 1 << 20
LONGEST_QUEUE = 1_024
LONGEST_SAID = 120
BEFORE_LISTENING = 100
"""Frames that may come before the answer to `listen`; more is no Alpaca."""
UNWANTED = frozenset({401, 403, 406, 429})
"""HTTP answers to a connection that say: not you, or not so many."""


class StreamLost(Exception):
    """The connection could not be made or has ended; `reason` is one line for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StreamRefused(StreamLost):
    """The broker answers, and does not want this connection: wrong keys, or too many connections."""


class Connection:
    """An authorized, listening connection; `frames` ends with `StreamLost`."""

    def __init__(self, socket: ClientConnection, early: list[str | bytes], *, heard: Callable[[], None]) -> None:
        self._socket = socket
        self._early = early
        self._heard = heard

    async def frames(self) -> AsyncIterator[str | bytes]:
        """Yield every frame, text or binary.

        :raises StreamLost: the connection has ended
        """
        for frame in self._early:
            yield frame
        while True:
            try:
                frame = await self._socket.recv()
            except ConnectionClosed as end:
                raise StreamLost(f"the connection ended: {_why(end)}") from None
            self._heard()
            yield frame

    async def ping_for_ever(self) -> None:
        """Ask for a sign of life every few seconds; each answer counts as heard.

        :raises StreamLost: the connection has ended
        """
        while True:
            try:
                asyncio.ensure_future(await self._socket.ping()).add_done_callback(self._note_pong)
            except ConnectionClosed as end:
                raise StreamLost(f"the connection ended: {_why(end)}") from None
            await asyncio.sleep(PING_EVERY.total_seconds())

    def _note_pong(self, answered: asyncio.Future[Any]) -> None:
        if not answered.cancelled() and answered.exception() is None:
            self._heard()


@asynccontextmanager
async def listening(configuration: AlpacaConfiguration, *, heard: Callable[[], None]) -> AsyncIterator[Connection]:
    """Connect, log in, listen to trade updates; the socket is closed at the end, whatever happened.

    :raises StreamRefused: the broker does not want the connection
    :raises StreamLost: no connection, or none that speaks as Alpaca does
    """
    socket = await _connected(configuration.stream_url)
    try:
        early = await _greeted(socket, configuration)
        heard()
        yield Connection(socket, early, heard=heard)
    finally:
        # Not `wait_for`: before Python 3.12 it may swallow a cancel, and the listener would never end.
        with suppress(WebSocketException, OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_WAIT.total_seconds()):
                await socket.close()
        socket.transport.abort()


async def _connected(url: str) -> ClientConnection:
    try:
        return await connect(
            url,
            user_agent_header=get_default_user_agent(),
            open_timeout=OPEN_WAIT.total_seconds(),
            close_timeout=CLOSE_WAIT.total_seconds(),
            ping_interval=None,  # `ping_for_ever` pings, and the listener judges the silence
            max_size=LARGEST_FRAME,
            max_queue=LONGEST_QUEUE,
            proxy=None if _is_here(url) else True,
        )
    except InvalidStatus as answer:
        status = answer.response.status_code
        said = f"the broker answered the connection with HTTP {status}"
        raise (StreamRefused if status in UNWANTED else StreamLost)(said) from None
    except (OSError, TimeoutError, InvalidHandshake, WebSocketException, ValueError) as error:
        raise StreamLost(f"no connection: {_line(error)}") from None


async def _greeted(socket: ClientConnection, configuration: AlpacaConfiguration) -> list[str | bytes]:
    """Log in and ask for trade updates; returns updates that overtook the answer."""
    keys = {"key_id": configuration.key_id, "secret_key": configuration.secret_key}
    try:
        async with asyncio.timeout(ANSWER_WAIT.total_seconds()):
            await socket.send(json.dumps({"action": "authenticate", "data": keys}))
            answer = await socket.recv()
            _require_authorized(answer)
            await socket.send(json.dumps({"action": "listen", "data": {"streams": [TRADE_UPDATES]}}))
            return await _until_listening(socket)
    except TimeoutError:
        raise StreamLost(f"no answer to the log-in within {ANSWER_WAIT.seconds} s") from None
    except ConnectionClosed as end:
        raise StreamLost(f"the connection ended during the log-in: {_why(end)}") from None


def _require_authorized(answer: str | bytes) -> None:
    frame = decode(answer)
    data = frame.get("data") if isinstance(frame, dict) else None
    status = data.get("status") if isinstance(data, dict) else None
    if status == "authorized":
        return
    if isinstance(status, str):
        raise StreamRefused(f"the broker refuses the log-in: {status[:LONGEST_SAID]}")
    raise StreamLost(f"the answer to the log-in is not Alpaca's: {answer[:LONGEST_SAID]!r}")


async def _until_listening(socket: ClientConnection) -> list[str | bytes]:
    early: list[str | bytes] = []
    while len(early) < BEFORE_LISTENING:
        raw = await socket.recv()
        frame = decode(raw)
        if not isinstance(frame, dict) or frame.get("stream") != "listening":
            early.append(raw)
            continue
        data = frame.get("data")
        streams = data.get("streams") if isinstance(data, dict) else None
        if not isinstance(streams, list) or TRADE_UPDATES not in streams:
            raise StreamRefused(f"the broker does not let us listen to {TRADE_UPDATES}: {str(data)[:LONGEST_SAID]}")
        return early
    raise StreamLost(f"no answer to `listen` among {BEFORE_LISTENING} frames")


def _is_here(url: str) -> bool:
    """Tell whether the address is this machine's: then no proxy stands between."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _why(end: ConnectionClosed) -> str:
    received = end.rcvd
    if received is None:
        return "cut off without a goodbye"
    return " ".join(f"code {received.code} {received.reason}".split())[:LONGEST_SAID]


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_SAID]
