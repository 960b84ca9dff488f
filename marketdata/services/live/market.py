"""Carry a live source into a feed: two threads, one that hears and one that stores."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime, timedelta

import structlog
from django.db import DataError, IntegrityError, connection
from django.db import Error as DatabaseError

from marketdata.clock import waiting_lead
from marketdata.errors import MarketDataError
from marketdata.models import Feed, FeedGap
from marketdata.providers.alpaca.configuration import configured
from marketdata.providers.alpaca.live import AlpacaLive
from marketdata.providers.base import LiveProvider
from marketdata.services.gaps import close_gaps, keep_frames, open_gap
from marketdata.services.live.buffer import Batch, LiveBuffer, Turn
from marketdata.services.live.splits import effective_day, effective_splits
from marketdata.services.quotes import store_quotes
from marketdata.services.statuses import halted_symbols, presume_traded, store_statuses
from marketdata.services.subscriptions import wanted_symbols
from marketdata.services.ticks import recorder_for
from marketdata.ticks import TickRecorder
from marketdata.types import FeedState, GapReason, QuoteUpdate

log = structlog.get_logger(__name__)

BATCH = timedelta(milliseconds=100)
FOLLOW = timedelta(seconds=1)
SPLITS_AGAIN = timedelta(seconds=30)
POLL_COUNTS = timedelta(seconds=15)
"""A feed whose stream is away is stale while answers to polls are not older than this, and down after."""
PAUSE_AFTER_FAILURE = timedelta(seconds=1)
STOP_SECONDS = 10

OnQuotes = Callable[[Sequence[QuoteUpdate], datetime], None]


class LiveMarketBroken(MarketDataError):
    """One of the threads has ended by an error; stop the market and start another."""


class LiveMarket:
    """A live source and the feed it tells. Use it from one thread; see the package for how."""

    def __init__(
        self,
        *,
        feed: Feed,
        provider: LiveProvider,
        clock: Callable[[], datetime],
        on_quotes: OnQuotes | None = None,
        recorder: TickRecorder | None = None,
    ) -> None:
        self.feed = feed
        self.provider = provider
        self.recorder = recorder
        self.buffer = LiveBuffer(clock=clock, horizon=self._horizon, recorder=recorder)
        self._clock = clock
        self._on_quotes = on_quotes
        self._stopping = threading.Event()
        self._threads: ThreadPoolExecutor | None = None
        self._futures: list[Future[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._followed_at: datetime | None = None
        self._unsaved: Batch | None = None
        self._lost: Turn | None = None
        self._halted: frozenset[str] = frozenset()
        self._missed_since: datetime | None = None
        self._split_day: date | None = None
        self._splits_at: datetime | None = None

    def start(self) -> None:
        """Begin; until the stream runs a gap is open, from the last moment the feed was heard."""
        if self._threads is not None:
            return
        self._stopping.clear()
        now = self._clock()
        self.feed = Feed.objects.get(pk=self.feed.pk)
        self._lost = Turn(GapReason.NOT_CONNECTED, "not connected yet", now)
        self._open_gap(self._lost, began_at=min(self.feed.last_tick_at or now, now))
        self._follow(now)
        if self.recorder is not None:
            self.recorder.start()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="market")
        ready: Future[None] = Future()
        self._futures = [self._threads.submit(self._hear, ready), self._threads.submit(self._store)]
        ready.result(STOP_SECONDS)

    def stop(self) -> None:
        """End both threads; the feed is down from now on."""
        if self._threads is None:
            return
        self._stopping.set()
        if self._loop is not None and self._task is not None:
            with suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._task.cancel)
        self._threads.shutdown(wait=True)
        self._threads = None
        if self.recorder is not None:
            self.recorder.stop()
        now = self._clock()
        stopped = Turn(GapReason.NOT_CONNECTED, "nobody listens to the market", now)
        self._open_gap(stopped, began_at=now)
        self._write_state(FeedState.DOWN, stopped.detail, None)

    def check(self) -> None:
        """Do nothing while both threads live.

        :raises LiveMarketBroken: one has ended
        """
        for future in self._futures:
            if future.done() and not self._stopping.is_set():
                raise LiveMarketBroken("the live market has stopped by itself") from future.exception()

    def pump(self, wall_now: datetime) -> Sequence[QuoteUpdate]:
        """Store what was told since the last call and return the quotes; the storing thread does it each 100 ms.

        A batch that could not be stored is tried again with the next call. One that the tables refuse is dropped: they
        would refuse it for ever, and every later price would wait behind it.
        :raises DatabaseError: it was not stored
        """
        if self._followed_at is None or wall_now - self._followed_at >= FOLLOW:
            self._follow(wall_now)
        batch = self._unsaved or self.buffer.drain()
        self._unsaved = batch
        try:
            self._save(batch, wall_now)
        except (DataError, IntegrityError):
            self._unsaved = None
            raise
        self._unsaved = None
        if batch.quotes and self._on_quotes is not None:
            self._on_quotes(batch.quotes, self.feed.market_now(wall_now))
        return batch.quotes

    def _save(self, batch: Batch, wall_now: datetime) -> None:
        for turn in batch.turns:
            self._turn(turn)
        if batch.turns:
            self._say_state(wall_now)
        if batch.frames:
            keep_frames(feed=self.feed, source=self.provider.name, frames=batch.frames, received_at=wall_now)
        if batch.news:
            store_statuses(feed=self.feed, news=batch.news, source=self.provider.name, wall_now=wall_now)
        self._lift_halts(batch, wall_now)
        if batch.quotes:
            store_quotes(feed=self.feed, quotes=batch.quotes, wall_now=wall_now)

    def _hear(self, ready: "Future[None]") -> None:
        """Run the source's loop until it is canceled."""

        async def listen() -> None:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            ready.set_result(None)
            await self.provider.listen(self.buffer)

        with suppress(asyncio.CancelledError):
            asyncio.run(listen())

    def _store(self) -> None:
        """Store in rounds; a database that is away is waited for."""
        try:
            while not self._stopping.wait(BATCH.total_seconds()):
                try:
                    self.pump(self._clock())
                except DatabaseError as error:
                    log.warning("live_market_not_stored", feed=self.feed.name, reason=str(error).strip())
                    connection.close()
                    self._stopping.wait(PAUSE_AFTER_FAILURE.total_seconds())
        finally:
            connection.close()

    def _follow(self, wall_now: datetime) -> None:
        """Read the feed's clock and who wants what, and say how the feed is."""
        # Another object, not other values: the network's thread may be reading the clock of this one.
        self.feed = Feed.objects.get(pk=self.feed.pk)
        self._adopt_splits(wall_now)
        self._halted = frozenset(halted_symbols(self.feed))
        self.provider.want(wanted_symbols(self.feed))
        self._say_state(wall_now)
        self._followed_at = wall_now

    def _adopt_splits(self, wall_now: datetime) -> None:
        """Put prices into the shares of the day, when it begins and now and then, for splits that were told late."""
        day = effective_day(self.feed.market_now(wall_now))
        if self._split_day == day and self._splits_at is not None and wall_now - self._splits_at < SPLITS_AGAIN:
            return
        self.buffer.adopt(effective_splits(day))
        self._split_day, self._splits_at = day, wall_now

    def _horizon(self) -> datetime:
        """Return the market time after which nothing can have happened yet."""
        return self.feed.market_now(self._clock()) + waiting_lead(self.feed.clock_state())

    def _turn(self, turn: Turn) -> None:
        if turn.reason is None:
            self._lost = None
            close_gaps(feed=self.feed, ended_at=turn.at)
            self._missed_since = self.feed.market_now(turn.at)
            log.info("market_stream_runs", feed=self.feed.name, source=self.provider.name)
        else:
            self._lost = turn
            self._open_gap(turn, began_at=turn.at)

    def _open_gap(self, turn: Turn, *, began_at: datetime) -> FeedGap:
        reason = turn.reason or GapReason.NOT_CONNECTED
        return open_gap(feed=self.feed, source=self.provider.name, reason=reason, detail=turn.detail, began_at=began_at)

    def _lift_halts(self, batch: Batch, wall_now: datetime) -> None:
        trades = [trade for trade in batch.trades if trade.symbol in self._halted]
        if trades and self._missed_since is not None:
            presume_traded(feed=self.feed, trades=trades, missed_since=self._missed_since, wall_now=wall_now)

    def _say_state(self, wall_now: datetime) -> None:
        """Write how the feed is: live by the stream, stale by polls alone, down without either."""
        polled_at = self.buffer.polled_at
        if self._lost is None:
            self._write_state(FeedState.LIVE, self.buffer.shortfall, wall_now)
        elif polled_at is not None and wall_now - polled_at <= POLL_COUNTS:
            problem = f"stream: {self._lost.detail}; prices are asked for by REST"
            self._write_state(FeedState.STALE, problem, wall_now)
        else:
            self._write_state(FeedState.DOWN, f"stream: {self._lost.detail}; no prices arrive", None)

    def _write_state(self, state: FeedState, problem: str, heard_at: datetime | None) -> None:
        """Write it; `problem_at` stays the time at which the problem began."""
        fields: dict[str, object] = {"state": state, "source": self.provider.name, "problem": problem[:255]}
        if problem[:255] != self.feed.problem:
            fields["problem_at"] = self._clock() if problem else None
        if heard_at is not None:
            fields["last_tick_at"] = heard_at
        Feed.objects.filter(pk=self.feed.pk).update(**fields)
        for name, value in fields.items():
            setattr(self.feed, name, value)


def live_market(*, feed: Feed, clock: Callable[[], datetime], on_quotes: OnQuotes | None = None) -> LiveMarket:
    """Return the live market of the settings.

    :raises LiveSourceNotConfigured: there are no keys
    """
    provider = AlpacaLive(configured())
    return LiveMarket(
        feed=feed, provider=provider, clock=clock, on_quotes=on_quotes, recorder=recorder_for(feed, clock)
    )
