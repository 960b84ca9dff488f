"""`/v2/iex`, `/v2/sip` and `/v2/test`: market data as Alpaca's stock stream sends it, in msgpack or JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgpack
import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from execution.alpaca_wire.json import encode
from execution.alpaca_wire.text import moment
from execution.emulator.connections import cable_of, cut, deny
from execution.emulator.faults import Fault, FaultKind, FaultPlan
from execution.emulator.keys import Keys
from execution.emulator.market import Market
from execution.emulator.prices import Message, Tape
from execution.emulator.sockets import Connection, Door, Telling, loop_milliseconds, strike, write_all
from marketdata.types import QuoteUpdate

FEEDS = ("iex", "sip", "test")
TEST_SYMBOL = "FAKEPACA"
TEST_PRICES = (Decimal("132.65"), Decimal("132.70"), Decimal("132.60"))
LOGIN_WAIT = timedelta(seconds=10)
# What is called how on the wire, and which message it brings
CHANNELS = {
    "trades": "t",
    "quotes": "q",
    "bars": "b",
    "updatedBars": "u",
    "dailyBars": "d",
    "statuses": "s",
    "lulds": "l",
    "corrections": "c",
    "cancelErrors": "x",
}
CHANNEL_OF = {kind: channel for channel, kind in CHANNELS.items()}
ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    409: "insufficient subscription",
}


@dataclass(slots=True, eq=False)
class Subscriber(Connection):
    """One socket of one feed; `wanted` has the symbols of each channel, `*` for all."""

    feed: str = "iex"
    packed: bool = True
    wanted: dict[str, set[str]] = field(default_factory=lambda: {channel: set() for channel in CHANNELS})

    @property
    def subscribed(self) -> bool:
        """Whether it wants anything."""
        return any(self.wanted.values())

    def wants(self, message: Message) -> bool:
        """Tell whether a message is for this client."""
        symbols = self.wanted[CHANNEL_OF[message["T"]]]
        return message["S"] in symbols or "*" in symbols

    def write(self, messages: list[Message]) -> bytes:
        """Write one frame: always an array."""
        if self.packed:
            packed: bytes = msgpack.packb([_stamped(message) for message in messages], default=_double)
            return packed
        return encode([{**each, "t": moment(each["t"])} if "t" in each else each for each in messages])

    def say(self, messages: list[Message], *, last: bool = False) -> None:
        """Queue one frame, the last one where the connection ends with it."""
        self.tell(Telling(self.write(messages), last=last), at=loop_milliseconds())


class StockStreams:
    """All connections to the stock streams. One thread: the loop's.

    `most_connections` is for each feed (0: any number); `most_symbols` for each connection (0: any number).
    """

    def __init__(
        self,
        *,
        faults: FaultPlan,
        keys: Keys,
        on_fault: Callable[[Fault, str], None],
        most_connections: int = 1,
        most_symbols: int = 0,
        refused_feeds: frozenset[str] = frozenset(),
    ) -> None:
        self.faults = faults
        self.keys = keys
        self.most_connections = most_connections
        self.most_symbols = most_symbols
        self.refused_feeds = refused_feeds
        self.login_wait = LOGIN_WAIT
        self._on_fault = on_fault
        self._subscribers: set[Subscriber] = set()
        self._doors = {feed: Door() for feed in FEEDS}
        self._tape = Tape()
        self._test_tape = Tape()
        self._test_prints = 0

    @property
    def connections(self) -> int:
        """Return how many sockets are open."""
        return len(self._subscribers)

    def subscribed(self, channel: str) -> set[str]:
        """Return the symbols that somebody wants of a channel."""
        return {symbol for subscriber in self._subscribers for symbol in subscriber.wanted[channel]}

    # what happens on the market

    def pump(self, market: Market, now: datetime) -> None:
        """Send what is new on the market at this instant (market time)."""
        if not any(subscriber.subscribed for subscriber in self._subscribers):
            return
        self.broadcast(self._tape.print(market.quotes_at(now), now))
        self.broadcast(self._test_tape.print([self._test_quote(now)], now), feed="test")

    def broadcast(self, messages: list[Message], *, feed: str | None = None) -> None:
        """Send messages to those who want them; without a feed, to all but the test stream."""
        for subscriber in self._subscribers:
            if subscriber.feed != feed if feed else subscriber.feed == "test":
                continue
            wanted = [message for message in messages if subscriber.wants(message)]
            if wanted:
                subscriber.say(wanted)

    def _test_quote(self, now: datetime) -> QuoteUpdate:
        price = TEST_PRICES[self._test_prints % len(TEST_PRICES)]
        self._test_prints += 1
        step = Decimal("0.05")
        return QuoteUpdate(TEST_SYMBOL, price - step, price + step, price, now, "test")

    def tick(self) -> None:
        """Mute or cut every connection of a feed when the plan names its path."""
        for feed in FEEDS:
            struck = [each for each in self._subscribers if each.feed == feed and each.authorized]
            kinds = (FaultKind.MUTE_STREAM, FaultKind.DISCONNECT_STREAM)
            fault = self.faults.take(*kinds, path=f"/v2/{feed}") if struck else None
            if fault is not None:
                self._on_fault(fault, f"/v2/{feed}")
                for subscriber in struck:
                    strike(subscriber, fault)

    def disconnect(self) -> None:
        """Cut every connection."""
        for subscriber in list(self._subscribers):
            cut(subscriber.cable)

    # one connection

    async def serve(self, websocket: WebSocket) -> None:
        """Carry one connection from its handshake to its end."""
        feed = websocket.url.path.rpartition("/")[2]
        fault = self._doors[feed].knock(self.faults, f"/v2/{feed}")
        if fault is not None:
            self._on_fault(fault, f"/v2/{feed}")
        if not self._doors[feed].open:
            await deny(websocket)
            return
        await websocket.accept()
        packed = websocket.headers.get("content-type") == "application/msgpack"
        subscriber = Subscriber(cable_of(websocket.scope), feed=feed, packed=packed)
        self._subscribers.add(subscriber)
        writer = asyncio.create_task(write_all(websocket, subscriber))
        login = asyncio.get_running_loop().call_later(self.login_wait.total_seconds(), self._hang_up, subscriber)
        subscriber.say([{"T": "success", "msg": "connected"}])
        try:
            while True:
                self._hear(subscriber, await _receive(websocket, packed=packed))
        except WebSocketDisconnect:
            pass
        finally:
            login.cancel()
            writer.cancel()
            self._subscribers.discard(subscriber)

    def _hear(self, subscriber: Subscriber, message: Mapping[str, Any]) -> None:
        action = message.get("action")
        if action == "auth":
            subscriber.say([self._logged_in(subscriber, message)])
        elif action not in ("subscribe", "unsubscribe"):
            subscriber.say([_error(400)])
        elif not subscriber.authorized:
            subscriber.say([_error(401)])
        else:
            subscriber.say([self._subscription(subscriber, message)])

    def _logged_in(self, subscriber: Subscriber, message: Mapping[str, Any]) -> Message:
        if subscriber.authorized:
            return _error(403)
        path = f"/v2/{subscriber.feed}"
        fault = self.faults.take(FaultKind.REFUSE_STREAM_LOGIN, path=path)
        if fault is not None:
            self._on_fault(fault, path)
        if fault is not None or not self.keys.fit(message.get("key"), message.get("secret")):
            return _error(402)
        if subscriber.feed in self.refused_feeds:
            return _error(409)
        others = [each for each in self._subscribers if each.feed == subscriber.feed and each.authorized]
        if self.most_connections and len(others) >= self.most_connections:
            return _error(406)
        subscriber.authorized = True
        return {"T": "success", "msg": "authenticated"}

    def _subscription(self, subscriber: Subscriber, message: Mapping[str, Any]) -> Message:
        asked: dict[str, set[str]] = {}
        for channel in CHANNELS:
            symbols = message.get(channel) or []
            if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
                return _error(400)
            asked[channel] = set(symbols)
        adding = message["action"] == "subscribe"
        wanted = {
            channel: held | asked[channel] if adding else held - asked[channel]
            for channel, held in subscriber.wanted.items()
        }
        if self.most_symbols and len(set().union(*wanted.values())) > self.most_symbols:
            return _error(405)
        if adding:
            # Who asks for trades gets their corrections and cancellations without asking.
            wanted["corrections"] |= wanted["trades"]
            wanted["cancelErrors"] |= wanted["trades"]
        subscriber.wanted = wanted
        return {"T": "subscription", **{channel: sorted(symbols) for channel, symbols in wanted.items()}}

    def _hang_up(self, subscriber: Subscriber) -> None:
        if not subscriber.authorized:
            subscriber.say([_error(404)], last=True)


async def _receive(websocket: WebSocket, *, packed: bool) -> dict[str, Any]:
    """Return the client's next message, put together from its fragments; one that is no object is empty.

    :raises WebSocketDisconnect: the client has gone
    """
    received = await websocket.receive()
    if received["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(received.get("code", 1005))
    body = received.get("bytes")
    try:
        message = msgpack.unpackb(body) if packed and body else json.loads(received.get("text") or body or b"")
    except (ValueError, msgpack.UnpackException):
        return {}
    return message if isinstance(message, dict) else {}


def _error(code: int) -> Message:
    return {"T": "error", "code": code, "msg": ERRORS[code]}


def _stamped(message: Message) -> Message:
    """Return a message with its time as msgpack's own type: the client cannot read text there."""
    return {**message, "t": msgpack.Timestamp.from_datetime(message["t"])} if "t" in message else message


def _double(value: object) -> Any:
    """Return a price as the number that msgpack can hold: read from its digits, as any JSON client would read it."""
    if isinstance(value, Decimal):
        return orjson.loads(f"{value:f}")
    raise TypeError(f"{type(value).__name__} cannot be written as msgpack")
