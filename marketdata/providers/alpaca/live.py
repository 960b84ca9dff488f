"""Alpaca's market as it happens: the stream while it runs, REST polls while it does not, and a watch over both."""

import asyncio
import random
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime

import structlog

from marketdata.errors import LiveSourceError
from marketdata.providers.alpaca.configuration import AlpacaData
from marketdata.providers.alpaca.ending import NotEntitled, Pace, StreamEnded
from marketdata.providers.alpaca.rest import LIVE_READ_SECONDS, MOST_SYMBOLS, AlpacaRest
from marketdata.providers.alpaca.stream import StockStream
from marketdata.providers.alpaca.subscriptions import Subscriptions
from marketdata.providers.base import LiveListener
from marketdata.types import BidAsk, GapReason, MarketEvent, TradePrint

log = structlog.get_logger(__name__)
SLOWEST_POLL = 30
"""Seconds between polls that fail."""


class AlpacaLive:
    """The provider of a live market; `listen` in one task at a time."""

    def __init__(self, config: AlpacaData, pace: Pace | None = None) -> None:
        self.config = config
        self.pace = pace or Pace()
        self.rest = AlpacaRest(config, read_seconds=LIVE_READ_SECONDS)
        self.subscriptions = Subscriptions()
        self.stream = StockStream(config, self.subscriptions, self.pace)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: LiveListener | None = None
        self._fallback = ""
        self._shown: dict[tuple[str, str], datetime] = {}
        self._late: set[tuple[str, str]] = set()

    @property
    def name(self) -> str:
        """Return the word for what comes from here."""
        return f"alpaca {self.config.feed}"

    def latest(self, symbols: Sequence[str]) -> list[MarketEvent]:
        """Return the newest quote and trade of each symbol, by REST; from SIP to IEX where SIP is refused.

        :raises LiveSourceError: no answer that can be read
        """
        try:
            return self.rest.latest(symbols, self.config.feed)
        except LiveSourceError as error:
            if getattr(error, "status", 0) != 403 or self.config.feed == "iex":
                raise
            self._fall_back(str(error))
            return self.rest.latest(symbols, self.config.feed)

    def want(self, symbols: Collection[str]) -> None:
        """Say what is wanted from now on, the most important first; from any thread."""
        wanted = tuple(symbols)
        loop = self._loop
        if loop is None:
            self.subscriptions.want(wanted)
        else:
            with suppress(RuntimeError):  # the loop has just ended: the next one is told again
                loop.call_soon_threadsafe(self.subscriptions.want, wanted)

    async def listen(self, listener: LiveListener) -> None:
        """Tell the listener until the task is cancelled."""
        self._loop = asyncio.get_running_loop()
        self._listener = _WithFallback(listener, self)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._stay_connected(self._listener))
                group.create_task(self._poll(self._listener))
                group.create_task(self._watch(self._listener))
        finally:
            self._loop = None
            self.rest.close()

    @property
    def fallback(self) -> str:
        """Say that another feed than the wanted one is used; empty when it is the wanted one."""
        return self._fallback

    async def _stay_connected(self, listener: LiveListener) -> None:
        """Connect, and after each end again: at once never, later and later while it fails, by chance apart."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self.stream.run(listener)
            except StreamEnded as ended:
                pause = self._pause_after(ended, failures)
                failures = 0 if loop.time() - began > self.pace.steady else failures + 1
                log.warning("market_stream_ended", reason=ended.reason, detail=ended.detail, pause=round(pause, 1))
                listener.lost(ended.reason, ended.detail)
                await asyncio.sleep(pause)

    def _pause_after(self, ended: StreamEnded, failures: int) -> float:
        if isinstance(ended, NotEntitled) and self.config.feed != "iex":
            self._fall_back(ended.detail)
            return self.pace.first_pause
        if ended.pause is not None:
            return ended.pause
        longest = min(self.pace.first_pause * (1 << min(failures, 10)), self.pace.longest_pause)
        return longest * (0.5 + random.random() / 2)

    def _fall_back(self, reason: str) -> None:
        """Use IEX from now on, and say so: its prices are those of one exchange of many."""
        wanted = self.config.feed
        self._fallback = f"feed {wanted} is refused ({reason}): prices are of iex, one exchange, alone"
        self.config = self.config.on_feed("iex")
        self.stream.config = self.config
        log.warning("market_feed_fell_back", wanted=wanted, used="iex", reason=reason)
        if self._listener is not None:
            self._listener.degraded(self.subscriptions.shortfall)

    async def _poll(self, listener: LiveListener) -> None:
        """Ask by REST for what the stream does not tell: everything while it is down, else what does not fit in."""
        failures = 0
        while True:
            symbols = self.subscriptions.overflow if self.stream.running else self.subscriptions.wanted
            if symbols:
                answered = await self._ask(symbols, listener) is not None
                failures = 0 if answered else failures + 1
            chunks = 1 + max(len(symbols) - 1, 0) // MOST_SYMBOLS
            # Never faster than one request a pause, however many symbols: the service counts requests.
            await asyncio.sleep(min(self.pace.poll * chunks * (1 << min(failures, 4)), SLOWEST_POLL))

    async def _ask(self, symbols: Sequence[str], listener: LiveListener) -> list[MarketEvent] | None:
        """Poll once and tell; None without an answer."""
        try:
            events = await asyncio.to_thread(self.latest, list(symbols))
        except LiveSourceError as error:
            log.warning("market_poll_failed", reason=str(error))
            return None
        listener.told(events, source=f"{self.name} rest", streamed=False)
        return events

    async def _watch(self, listener: LiveListener) -> None:
        """Compare a running stream with REST, soon when it is silent: one that is mute while prices move is cut."""
        loop = asyncio.get_running_loop()
        checked_at, connection = loop.time(), 0
        while True:
            await asyncio.sleep(min(self.pace.silence, 1))
            if not self.stream.running:
                continue
            silent = loop.time() - self.stream.heard_at
            due = self.pace.silence if silent >= self.pace.silence else self.pace.check
            if connection == self.stream.connections and loop.time() - checked_at < due:
                continue
            if connection != self.stream.connections:
                # The first look at a new connection only learns where prices are, and fills what the gap left open.
                connection = self.stream.connections
                self._shown.clear()
                self._late.clear()
            checked_at = loop.time()
            if await self._is_mute(listener):
                silent = loop.time() - self.stream.heard_at
                listener.lost(GapReason.SILENT, "the stream is mute while prices move", silent_seconds=silent)
                await self.stream.hang_up()

    async def _is_mute(self, listener: LiveListener) -> bool:
        """Say whether REST shows news that the stream has not told: at all, or of a symbol twice in a row."""
        symbols = sorted(self.subscriptions.given)
        if not symbols:
            return False
        asked_at = asyncio.get_running_loop().time()
        events = await self._ask(symbols, listener)
        if events is None:
            return False
        await asyncio.sleep(self.pace.settle)
        late = {key for key, at in _times(events).items() if self._moved_past_stream(key, at)}
        self._shown.update(_times(events))
        repeated, self._late = late & self._late, late
        return self.stream.running and bool(late) and (self.stream.heard_at < asked_at or bool(repeated))

    def _moved_past_stream(self, key: tuple[str, str], at: datetime) -> bool:
        """Say whether a price moved between two looks by REST, and the stream does not know of it."""
        before, streamed = self._shown.get(key), self.stream.newest.get(key)
        return before is not None and at > before and (streamed is None or streamed < at)


class _WithFallback:
    """A listener that hears of the feed that was fallen back from whenever it hears what is missing."""

    def __init__(self, listener: LiveListener, live: AlpacaLive) -> None:
        self.connected = listener.connected
        self.lost = listener.lost
        self.told = listener.told
        self.unreadable = listener.unreadable
        self._degraded = listener.degraded
        self._live = live

    def degraded(self, detail: str) -> None:
        """Add the fall-back to what is missing."""
        self._degraded("; ".join(part for part in (self._live.fallback, detail) if part))


def _times(events: Sequence[MarketEvent]) -> dict[tuple[str, str], datetime]:
    return {
        ("t" if isinstance(event, TradePrint) else "q", event.symbol): event.at
        for event in events
        if isinstance(event, TradePrint | BidAsk)
    }
