"""An emulated Alpaca, a listener that remembers, and a provider that hurries, for the tests of live market data."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from threading import Condition

from execution.emulator.clock import VenueClock
from execution.emulator.faults import Fault, FaultKind
from execution.emulator.market import ScriptedMarket
from execution.emulator.server import RunningEmulator
from marketdata.providers.alpaca.configuration import AlpacaData
from marketdata.providers.alpaca.ending import Pace
from marketdata.providers.alpaca.live import AlpacaLive
from marketdata.types import GapReason, MarketEvent

NOON = datetime(2012, 6, 14, 16, tzinfo=UTC)
D = Decimal
PATIENCE = 10
HURRY = Pace(
    first_pause=0.02,
    longest_pause=0.1,
    occupied_pause=0.3,
    not_entitled_pause=0.3,
    steady=5,
    handshake=2,
    ping=2,
    poll=0.05,
    silence=0.1,
    check=0.2,
    settle=0.1,
)


class Heard:
    """A listener; `wait` returns as soon as what it heard fulfils a condition."""

    def __init__(self) -> None:
        self.changed = Condition()
        self.streamed: list[MarketEvent] = []
        self.polled: list[MarketEvent] = []
        self.sources: list[str] = []
        self.frames: list[tuple[bytes, str]] = []
        self.losses: list[tuple[GapReason, str]] = []
        self.shortfall = ""
        self.connections = 0
        self.turns: deque[str] = deque(maxlen=1_000)

    def connected(self) -> None:
        with self.changed:
            self.connections += 1
            self.turns.append("connected")
            self.changed.notify_all()

    def lost(self, reason: GapReason, detail: str, *, silent_seconds: float = 0) -> None:
        with self.changed:
            self.losses.append((reason, detail))
            self.turns.append(reason.value)
            self.changed.notify_all()

    def degraded(self, detail: str) -> None:
        with self.changed:
            self.shortfall = detail
            self.changed.notify_all()

    def told(self, events: Sequence[MarketEvent], *, source: str, streamed: bool) -> None:
        with self.changed:
            (self.streamed if streamed else self.polled).extend(events)
            self.sources.append(source)
            self.changed.notify_all()

    def unreadable(self, frame: bytes, problem: str) -> None:
        with self.changed:
            self.frames.append((frame, problem))
            self.changed.notify_all()

    def wait(self, condition: Callable[[], object], what: str = "") -> None:
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), f"{what}: {self.turns}, {self.shortfall!r}"

    def reasons(self) -> list[GapReason]:
        return [reason for reason, _ in self.losses]


def emulator_at(at: datetime = NOON, symbols: Sequence[str] = ("AAPL", "IBM"), **options) -> RunningEmulator:
    """Return an emulator that was not started; its clock stands, its prices are 100."""
    market = ScriptedMarket()
    for symbol in symbols:
        market.say(symbol, last=D(100), bid=D("99.99"), ask=D("100.01"), at=at)
    return RunningEmulator(market=market, clock=VenueClock.manual(at), **options)


def data_of(emulator: RunningEmulator, **fields) -> AlpacaData:
    values = {
        "key_id": emulator.keys.key_id,
        "secret": emulator.keys.secret,
        "rest_url": emulator.url,
        "stream_url": emulator.data_stream_url,
    }
    return AlpacaData(**values | fields)


def fault(emulator: RunningEmulator, kind: FaultKind, path: str = "/v2/iex", **fields) -> None:
    emulator.faults.add(Fault(kind=kind, match={"path": path}, **fields))


def move(emulator: RunningEmulator, symbol: str, last: str) -> None:
    """Move the clock a second on and a price with it, the quote a cent around it."""
    price = D(last)

    def moved() -> None:
        emulator.surface.clock.advance(D(1))
        emulator.venue.tick(symbol, last=price, bid=price - D("0.01"), ask=price + D("0.01"))
        emulator.surface.pump()

    emulator.call(moved)


@contextmanager
def listening(provider: AlpacaLive, *symbols: str) -> Iterator[Heard]:
    """Run a provider in a thread until the block ends; what ends it before is raised."""
    heard = Heard()
    running: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = Future()

    async def listen() -> None:
        running.set_result((asyncio.get_running_loop(), asyncio.current_task()))
        await provider.listen(heard)

    provider.want(symbols)
    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(asyncio.run, listen())
        loop, task = running.result(PATIENCE)
        try:
            yield heard
        finally:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)
            with suppress(asyncio.CancelledError):
                ended.result(PATIENCE)
