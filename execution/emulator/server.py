"""Serve an emulator: in the thread that asks for it (the command), or in one of its own (tests)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Event
from types import FrameType, TracebackType
from typing import Self, TypeVar

import uvicorn

from execution.emulator.app import build_app
from execution.emulator.clock import VenueClock
from execution.emulator.faults import FaultPlan
from execution.emulator.keys import Keys
from execution.emulator.log import EventLog
from execution.emulator.market import Market, ScriptedMarket
from execution.emulator.surface import Surface
from execution.emulator.venue import Venue, VenueSettings
from marketdata.clock import wall_now

BEAT = timedelta(milliseconds=50)
START_WAIT = timedelta(seconds=30)
CALL_WAIT = timedelta(seconds=30)
KEEP_ALIVE = 75
"""Seconds that an idle connection stays; one that ends under a request would be a fault that nobody planned."""
GRACE = 2
"""Seconds that open requests get to end when the server stops."""
BACKLOG = 128
LOOPBACK = "127.0.0.1"
MIDDAY = datetime(2012, 6, 14, 16, 0, tzinfo=UTC)
"""Where a clock stands that nobody gave: in the middle of a session."""
Result = TypeVar("Result")


class EmulatorServer(uvicorn.Server):
    """uvicorn with the market's heart in its main loop: every 50 ms the venue and the streams go on."""

    def __init__(self, surface: Surface, *, on_start: Callable[[], None] | None = None) -> None:
        super().__init__(
            uvicorn.Config(
                build_app(surface),
                loop="asyncio",
                http="h11",
                ws="websockets-sansio",
                lifespan="off",
                log_config=None,
                log_level=None,
                access_log=False,
                server_header=False,
                ws_per_message_deflate=False,
                # Not from FORWARDED_ALLOW_IPS: whoever is trusted to name another's address could name this machine's.
                forwarded_allow_ips=LOOPBACK,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=GRACE,
            )
        )
        self.surface = surface
        self._on_start = on_start
        self._sockets: list[socket.socket] | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve on sockets that are bound until somebody stops the server."""
        self._sockets = sockets
        await super().serve(sockets)

    async def main_loop(self) -> None:
        """Beat until somebody stops the server; what fails in the venue ends it loudly, and in order."""
        if self._on_start is not None:
            self._on_start()
        beats = 0
        try:
            while not self.should_exit:
                await self.on_tick(beats)
                self.surface.tick()
                beats += 1
                await asyncio.sleep(BEAT.total_seconds())
        finally:
            self.surface.closing.set()
            if not self.should_exit:
                await self.shutdown(sockets=self._sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End on a signal; uvicorn would raise it once more after a clean end."""
        self.should_exit = True


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address; port 0 takes a free one.

    :raises OSError: the port is taken, or the address is not this machine's
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it, each answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # From here on a client is kept waiting, not refused, until the loop answers.
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


class Addresses:
    """Where the emulator is found."""

    def __init__(self, host: str, port: int) -> None:
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{port}"
        self.stream_url = f"ws://{shown}:{port}/stream"
        self.data_stream_url = f"ws://{shown}:{port}/v2/iex"


class RunningEmulator:
    """An emulator on 127.0.0.1 in a thread of its own, from entry to exit of the `with` block.

    Without arguments: a market whose prices are set by hand (`venue.tick`) and a clock that stands still, so that
    nothing happens unless a test says so. The venue belongs to the loop's thread: reach it with `call`.
    """

    def __init__(
        self,
        *,
        settings: VenueSettings | None = None,
        market: Market | None = None,
        clock: VenueClock | None = None,
        faults: FaultPlan | None = None,
        log: EventLog | None = None,
        keys: Keys | None = None,
        rate_limit: int = 0,
        data_connections: int = 1,
        iex_only: bool = False,
        port: int = 0,
    ) -> None:
        self.surface = Surface(
            settings=settings or VenueSettings(),
            market=market or ScriptedMarket(),
            clock=clock or VenueClock.manual(MIDDAY),
            faults=faults or FaultPlan(),
            log=log or EventLog(),
            wall=wall_now,
            keys=keys,
            rate_limit=rate_limit,
            data_connections=data_connections,
            iex_only=iex_only,
        )
        self._port = port
        self._started = Event()
        self._thread: ThreadPoolExecutor | None = None
        self._ended: Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server = EmulatorServer(self.surface, on_start=self._note_start)

    # what tests look at

    @property
    def venue(self) -> Venue:
        """Return the venue; another one after a reset."""
        return self.surface.venue

    @property
    def log(self) -> EventLog:
        """Return what truly happened."""
        return self.surface.log

    @property
    def faults(self) -> FaultPlan:
        """Return what is to go wrong; faults may be added from any thread."""
        return self.surface.faults

    @property
    def keys(self) -> Keys:
        """Return the pair of keys that is let in."""
        return self.surface.keys

    @property
    def url(self) -> str:
        """Return the address for REST, trading and data: without /v2."""
        return self._addresses.url

    @property
    def stream_url(self) -> str:
        """Return the whole address of the trade updates."""
        return self._addresses.stream_url

    @property
    def data_stream_url(self) -> str:
        """Return the whole address of the IEX stream."""
        return self._addresses.data_stream_url

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop of the emulator's thread."""
        assert self._loop is not None, "the emulator does not run"
        return self._loop

    def call(self, function: Callable[[], Result]) -> Result:
        """Run a function on the loop's thread and return what it returns; the venue knows only that thread."""

        async def called() -> Result:
            return function()

        return asyncio.run_coroutine_threadsafe(called(), self.loop).result(CALL_WAIT.total_seconds())

    def pump(self) -> None:
        """Let the venue and the streams catch up with the clock: for a clock that stands still."""
        self.call(self.surface.pump)

    def tick(
        self,
        symbol: str,
        *,
        last: Decimal,
        bid: Decimal | None = None,
        ask: Decimal | None = None,
        volume: Decimal | None = None,
    ) -> None:
        """Set a symbol's prices from now on, and let orders and streams see them."""
        self.call(lambda: self.venue.tick(symbol, last=last, bid=bid, ask=ask, volume=volume))
        self.pump()

    def advance(self, seconds: int | Decimal) -> None:
        """Move a clock that stands still forward, and let everything catch up."""
        self.call(lambda: self.surface.clock.advance(Decimal(seconds)))
        self.pump()

    # life

    def start(self) -> Self:
        """Listen and serve; returns when requests are answered."""
        listener = bound_socket(LOOPBACK, self._port)
        self._addresses = Addresses(LOOPBACK, listener.getsockname()[1])
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="emulator")
        self._ended = self._thread.submit(asyncio.run, self._server.serve(sockets=[listener]))
        self._ended.add_done_callback(lambda _: self._started.set())
        if not self._started.wait(START_WAIT.total_seconds()) or self._ended.done():
            self.close()
            raise RuntimeError("the emulator did not start")
        return self

    def close(self) -> None:
        """Stop serving, and leave neither thread nor socket; raises what ended the server before its time."""
        if self._thread is None or self._ended is None:
            return
        self._server.should_exit = True
        self._thread.shutdown(wait=True)
        self._thread = None
        self._ended.result()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _note_start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started.set()
