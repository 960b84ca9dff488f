"""One connection to Alpaca's stock stream: log in, subscribe, read frames until it ends.

Frames are msgpack, each an array of messages. `alpaca-py` could carry it, but reads messages into models before anybody
can keep them, does not tell errors from each other (a refused second connection must wait, a refused login must not
hammer), and takes three minutes to notice a dead peer.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from marketdata.providers.alpaca.configuration import AlpacaData
from marketdata.providers.alpaca.ending import Pace, StreamEnded, ended_by_error, ended_by_message
from marketdata.providers.alpaca.subscriptions import Subscriptions
from marketdata.providers.alpaca.words import Unreadable, event_of, moment
from marketdata.providers.base import LiveListener
from marketdata.types import GapReason, MarketEvent

LARGEST_FRAME = 4 * 1024 * 1024
WAITING_FRAMES = 1_024
REPLIES = frozenset({400, 405, 410})
"""Errors that answer a subscription, and leave the connection as it is."""


class StockStream:
    """The connection and what it has told: `newest` has the time of the newest trade and quote of each symbol."""

    def __init__(self, config: AlpacaData, subscriptions: Subscriptions, pace: Pace) -> None:
        self.config = config
        self.subscriptions = subscriptions
        self.pace = pace
        self.newest: dict[tuple[str, str], datetime] = {}
        self.heard_at = 0.0
        self.running = False
        self.connections = 0
        self.frames: Counter[str] = Counter()
        self._socket: ClientConnection | None = None
        self._silent = False

    async def run(self, listener: LiveListener) -> None:
        """Carry one connection to its end.

        :raises StreamEnded: always, with the reason
        """
        self._silent = False
        try:
            async with connect(
                self.config.stream_url,
                additional_headers={"Content-Type": "application/msgpack"},
                open_timeout=self.pace.handshake,
                ping_interval=self.pace.ping,
                ping_timeout=self.pace.ping,
                close_timeout=1,
                max_size=LARGEST_FRAME,
                max_queue=WAITING_FRAMES,
                compression=None,
            ) as socket:
                await self._carry(socket, listener)
        except (OSError, WebSocketException) as error:
            if self._silent:
                raise StreamEnded(GapReason.SILENT, "the stream was mute while prices moved") from error
            raise ended_by_error(error, self.pace) from error
        finally:
            self.running = False
            self._socket = None

    async def hang_up(self) -> None:
        """End a connection that is mute although the market moves."""
        if self._socket is not None:
            self._silent = True
            self._socket.transport.abort()

    async def _carry(self, socket: ClientConnection, listener: LiveListener) -> None:
        await self._log_in(socket)
        self._socket = socket
        self.newest.clear()
        self.heard_at = asyncio.get_running_loop().time()
        reader = asyncio.create_task(self._read(socket, listener))
        keeper = asyncio.create_task(self._keep_subscribed(socket, listener))
        try:
            done, _ = await asyncio.wait((reader, keeper), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (reader, keeper):
                task.cancel()
                with suppress(asyncio.CancelledError, StreamEnded, OSError, WebSocketException):
                    await task

    async def _log_in(self, socket: ClientConnection) -> None:
        await self._expect(socket, "connected")
        await socket.send(packed({"action": "auth", "key": self.config.key_id, "secret": self.config.secret}))
        await self._expect(socket, "authenticated")

    async def _expect(self, socket: ClientConnection, word: str) -> None:
        async with asyncio.timeout(self.pace.handshake):
            frame = await socket.recv()
        try:
            messages = messages_of(frame)
        except Unreadable as error:
            raise StreamEnded(GapReason.DISCONNECTED, f"no greeting: {error}") from error
        for message in messages:
            if message.get("T") == "error":
                raise ended_by_message(message, self.pace)
            if message.get("T") == "success" and message.get("msg") == word:
                return
        raise StreamEnded(GapReason.DISCONNECTED, f"the stream did not say {word!r}")

    async def _keep_subscribed(self, socket: ClientConnection, listener: LiveListener) -> None:
        """Bring the subscription to what is wanted, and again whenever that changes."""
        self.subscriptions.begin()
        while True:
            while (request := self.subscriptions.next_request()) is not None:
                await socket.send(packed(request))
                await self.subscriptions.answered(self.pace.handshake)
            listener.degraded(self.subscriptions.shortfall)
            if not self.running:
                self.running = True
                self.connections += 1
                listener.connected()
            await self.subscriptions.changed()

    async def _read(self, socket: ClientConnection, listener: LiveListener) -> None:
        """Read frame after frame; what cannot be read is kept and does not stop the rest."""
        while True:
            frame = await socket.recv()
            self.heard_at = asyncio.get_running_loop().time()
            try:
                messages = messages_of(frame)
            except Unreadable as error:
                listener.unreadable(as_bytes(frame), str(error))
                continue
            events = [event for message in messages if (event := self._hear(message, listener)) is not None]
            if events:
                listener.told(events, source=f"alpaca {self.config.feed}", streamed=True)

    def _hear(self, message: Mapping[str, Any], listener: LiveListener) -> MarketEvent | None:
        kind = str(message.get("T", ""))
        self.frames[kind] += 1
        if kind == "subscription":
            self.subscriptions.confirmed(message)
        elif kind == "error":
            if message.get("code") not in REPLIES:
                raise ended_by_message(message, self.pace)
            self.subscriptions.refused(message)
        else:
            try:
                self._note(kind, message)
                return event_of(message)
            except Unreadable as error:
                listener.unreadable(packed(message), f"{kind} {message.get('S', '')}: {error}"[:255])
        return None

    def _note(self, kind: str, message: Mapping[str, Any]) -> None:
        """Remember how new the newest trade and quote are, whatever they are worth as a price."""
        if kind in ("t", "q"):
            key = (kind, str(message.get("S", "")))
            at = moment(message.get("t"))
            self.newest[key] = max(at, self.newest.get(key, at))


def messages_of(frame: str | bytes) -> Sequence[Mapping[str, Any]]:
    """Return the messages of a frame.

    :raises Unreadable: it is no msgpack, or no array of objects
    """
    try:
        read = msgpack.unpackb(as_bytes(frame))
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise Unreadable(f"no msgpack: {type(error).__name__}") from None
    if not isinstance(read, list) or not all(isinstance(message, dict) for message in read):
        raise Unreadable("no array of messages")
    return read


def packed(message: Mapping[str, Any]) -> bytes:
    """Write one message."""
    data: bytes = msgpack.packb(dict(message))
    return data


def as_bytes(frame: str | bytes) -> bytes:
    """Return a frame's bytes, of a text frame as well."""
    return frame.encode() if isinstance(frame, str) else frame
