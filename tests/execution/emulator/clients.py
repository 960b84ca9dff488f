"""Alpaca's own clients against a running emulator: with a timeout, which they lack, and streams that end at once."""

import asyncio
import queue
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread

import requests
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.live import StockDataStream
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest
from alpaca.trading.stream import TradingStream
from requests.adapters import HTTPAdapter

from execution.emulator.faults import Fault, FaultKind
from execution.emulator.server import RunningEmulator

PATIENCE = 5
"""Seconds after which a test stops waiting for what should come at once."""
TIMEOUT = 1


class TimedAdapter(HTTPAdapter):
    def send(self, request, stream=False, timeout=None, verify=True, cert=None, proxies=None):
        return super().send(request, stream, timeout or TIMEOUT, verify, cert, proxies)


def timed(client):
    client._session.mount("http://", TimedAdapter())
    return client


def trading_client(emulator: RunningEmulator, **options) -> TradingClient:
    keys = emulator.keys
    client = timed(TradingClient(keys.key_id, keys.secret, url_override=emulator.url, **options))
    client._retry_wait = 0
    return client


def data_client(emulator: RunningEmulator, **options) -> StockHistoricalDataClient:
    keys = emulator.keys
    return timed(StockHistoricalDataClient(keys.key_id, keys.secret, url_override=emulator.url, **options))


def actions_client(emulator: RunningEmulator) -> CorporateActionsClient:
    keys = emulator.keys
    return timed(CorporateActionsClient(keys.key_id, keys.secret, url_override=emulator.url))


def headers(emulator: RunningEmulator) -> dict[str, str]:
    return {"APCA-API-KEY-ID": emulator.keys.key_id, "APCA-API-SECRET-KEY": emulator.keys.secret}


def control(emulator: RunningEmulator, method: str, name: str, body=None):
    """Use a control endpoint; an answer that refuses is an error of the test."""
    answer = requests.request(method, f"{emulator.url}/emulator/{name}", json=body, timeout=PATIENCE)
    assert answer.ok, answer.text
    return answer.json()


def market(symbol="AAPL", quantity=10, side=OrderSide.BUY, client_order_id=None) -> MarketOrderRequest:
    return MarketOrderRequest(
        symbol=symbol, qty=quantity, side=side, time_in_force=TimeInForce.DAY, client_order_id=client_order_id
    )


def limit(price, symbol="AAPL", quantity=10, side=OrderSide.BUY, client_order_id=None) -> LimitOrderRequest:
    return LimitOrderRequest(
        symbol=symbol,
        qty=quantity,
        side=side,
        time_in_force=TimeInForce.DAY,
        limit_price=price,
        client_order_id=client_order_id,
    )


def fault(kind: FaultKind, *, match=None, times: int | None = 1, after=0, **parameters) -> Fault:
    return Fault(kind=kind, match=match or {}, times=times, after=after, parameters=parameters)


class Received:
    """What a stream's handler got, in order."""

    def __init__(self, stream) -> None:
        self.stream = stream
        self._items: queue.Queue = queue.Queue()

    async def take(self, item) -> None:
        self._items.put(item)

    def next(self):
        """Return the next one, and fail when none comes."""
        return self._items.get(timeout=PATIENCE)

    def events(self, count: int) -> list[str]:
        return [self.next()["data"]["event"] for _ in range(count)]

    def empty(self) -> bool:
        return self._items.empty()


@contextmanager
def running(stream, disconnect):
    """Run a stream of alpaca-py in a thread; at the end its connection is cut as well, else it waits for 5 seconds."""
    stream._reconnect_min_backoff = stream._reconnect_max_backoff = 0.01
    thread = Thread(target=asyncio.run, args=(stream._run_forever(),), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stream.stop()
        disconnect()
        thread.join(PATIENCE)
        assert not thread.is_alive()


@contextmanager
def trade_updates(emulator: RunningEmulator, *, wait=True, **keys):
    """Yield what arrives at a TradingStream that listens."""
    key_id, secret = keys.get("key_id", emulator.keys.key_id), keys.get("secret", emulator.keys.secret)
    stream = TradingStream(key_id, secret, raw_data=True, url_override=emulator.stream_url)
    received = Received(stream)
    stream.subscribe_trade_updates(received.take)
    with running(stream, lambda: emulator.call(emulator.surface.updates.disconnect)):
        if wait:
            await_true(emulator, lambda: emulator.surface.updates.listeners)
        yield received


@contextmanager
def stock_stream(emulator: RunningEmulator, subscribe, *, url=None, channel="trades"):
    """Yield what arrives at a StockDataStream; `subscribe(stream, handler)` says what it wants."""
    keys = emulator.keys
    stream = StockDataStream(keys.key_id, keys.secret, url_override=url or emulator.data_stream_url)
    received = Received(stream)
    subscribe(stream, received.take)
    with running(stream, lambda: emulator.call(emulator.surface.stock.disconnect)):
        await_true(emulator, lambda: emulator.surface.stock.subscribed(channel))
        yield received


def await_true(emulator: RunningEmulator, condition) -> None:
    """Wait until something is true on the emulator's thread, which is looked at between its other work."""
    seen: Future = Future()

    def look() -> None:
        if condition():
            seen.set_result(True)
        elif not seen.cancelled():
            emulator.loop.call_later(0.005, look)

    emulator.loop.call_soon_threadsafe(look)
    try:
        seen.result(PATIENCE)
    finally:
        seen.cancel()
