"""One hub for each web process: reads once, tells every open page.

Three sources feed it: Redis events (something changed: look now), Redis prices (the numbers themselves), and a look at
the database twice a second, which is what makes everything show within a second with Redis stopped. Nothing waits for
a client: each has a bounded queue, and one that does not keep up gets a new snapshot in place of what it missed.
"""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import InvalidOperation
from typing import Any

import structlog
from channels.db import database_sync_to_async
from django.conf import settings
from redis.asyncio import Redis
from redis.exceptions import RedisError

from marketdata.clock import ClockState, market_now, wall_now
from ops_console.news import EVENTS_CHANNEL, PRICES_CHANNEL
from ops_console.snapshot import board_of_nothing, read_board
from ops_console.snapshot.board import Board, Cell, Topic, board_changes
from ops_console.snapshot.prices import live_cells
from ops_console.watch import Reading, read_watch

COALESCE_SECONDS = 0.1
# Shorter than the stream's own batches, so that each goes out when it comes and does not wait for the next.
PRICE_PAUSE_SECONDS = 0.05
LOOK_SECONDS = 0.5
QUEUE_LENGTH = 64
REDIS_PAUSE_SECONDS = 1.0
# A database that hangs does not raise: after this long the pages say that nothing is known.
PATIENCE_SECONDS = 2.0

log = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True)
class Subscriber:
    """One open page: who looks at it, and what it has not been sent yet."""

    user_id: int
    session_key: str
    password_hash: str
    queue: asyncio.Queue[str | None] = field(default_factory=lambda: asyncio.Queue(QUEUE_LENGTH))
    """Encoded messages; None means that the page may not look any more."""

    def put(self, message: str) -> bool:
        """Queue a message; False when the client is too far behind."""
        with suppress(asyncio.QueueFull):
            self.queue.put_nowait(message)
            return True
        return False

    def start_over(self, message: str | None) -> None:
        """Drop what is queued and send this instead."""
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(message)


class Hub:
    """The state that every page of this process shows, and the pages that show it."""

    def __init__(self) -> None:
        self.subscribers: set[Subscriber] = set()
        self.sequence = 0
        self.board: Board = {}
        self._reading: Reading | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._first_look = asyncio.Event()
        self._priced = asyncio.Event()
        self._prices: dict[str, Mapping[str, Any]] = {}
        self._pushes = 0

    async def join(self, *, user_id: int, session_key: str, password_hash: str) -> Subscriber:
        """Add a page; its queue starts with a snapshot. The first page starts the hub."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._look_for_ever()), asyncio.create_task(self._listen_for_ever())]
            self._tasks.append(asyncio.create_task(self._push_prices_for_ever()))
        await self._first_look.wait()
        subscriber = Subscriber(user_id, session_key, password_hash)
        subscriber.put(self.snapshot())
        self.subscribers.add(subscriber)
        return subscriber

    async def leave(self, subscriber: Subscriber) -> None:
        """Remove a page; the last one stops the hub, so that an idle process asks nobody anything."""
        self.subscribers.discard(subscriber)
        if self.subscribers or not self._tasks:
            return
        tasks, self._tasks = self._tasks, []
        self._first_look.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def snapshot(self) -> str:
        """Encode everything at the present sequence number; the next delta follows it."""
        data = {name: topic.whole() for name, topic in self.board.items()}
        return json.dumps({"seq": self.sequence, "type": "snapshot", "data": data})

    def look_now(self) -> None:
        """Read the database soon; several calls within the coalescing time are one look."""
        self._changed.set()

    async def _look_for_ever(self) -> None:
        while True:
            await self._look()
            self._first_look.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._changed.wait()
                await asyncio.sleep(COALESCE_SECONDS)
            self._changed.clear()

    async def _look(self) -> None:
        pushes = self._pushes
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                reading = await database_sync_to_async(read_watch)(self._readers())
                changed = self._reading is None or reading.version != self._reading.version
                board = await database_sync_to_async(read_board)(
                    wall_now(), earlier=self.board or None, ledger_changed=changed
                )
        except TimeoutError:
            self._tell(board_of_nothing(wall_now(), earlier=self.board))
            return
        except Exception:  # the outermost loop of the hub: one failed look must not stop all pages
            log.exception("console.look_failed")
            return
        self._reading = reading
        self._turn_away(reading)
        if self._pushes != pushes:
            # Prices came while the database was read: what it says of them may be older than what the pages show.
            board = {**board, "prices": self.board["prices"]}
        self._tell(board)

    def _readers(self) -> list[tuple[int, str]]:
        return [(subscriber.user_id, subscriber.session_key) for subscriber in self.subscribers]

    def _turn_away(self, reading: Reading) -> None:
        for subscriber in [item for item in self.subscribers if not reading.admits(item)]:
            self.subscribers.discard(subscriber)
            subscriber.start_over(None)

    def _tell(self, board: Board) -> None:
        changes = board_changes(self.board, board)
        self.board = board
        for name, data in changes.items():
            self._send(name, data)

    def _send(self, kind: str, data: Mapping[str, Any]) -> None:
        self.sequence += 1
        message = json.dumps({"seq": self.sequence, "type": kind, "data": data})
        late = [subscriber for subscriber in self.subscribers if not subscriber.put(message)]
        for subscriber in late:
            subscriber.start_over(self.snapshot())

    async def _push_prices_for_ever(self) -> None:
        while True:
            await self._priced.wait()
            self._priced.clear()
            if self._prices and self._reading is not None and self._reading.clock is not None:
                batch, self._prices = list(self._prices.values()), {}
                self._push_prices(batch, self._reading.clock)
            await asyncio.sleep(PRICE_PAUSE_SECONDS)  # the first goes at once, those that follow closely go together

    def _push_prices(self, batch: list[Mapping[str, Any]], clock: ClockState) -> None:
        older = self.board.get("prices", Topic())
        closes = self._reading.closes if self._reading else {}
        known = [quote for quote in batch if f"price.{quote.get('symbol')}.last" in older.cells]
        try:
            cells = live_cells(known, market_at=market_now(clock, wall_now()), closes=closes)
        except (KeyError, ValueError, InvalidOperation) as error:
            log.warning("console.price_batch_unreadable", error=str(error))
            return
        changed: dict[str, Cell] = {key: cell for key, cell in cells.items() if older.cells.get(key) != cell}
        if changed:
            self.board = {**self.board, "prices": Topic(cells={**older.cells, **changed}, rows=older.rows)}
            self._pushes += 1
            self._send("prices", {"cells": changed})

    async def _listen_for_ever(self) -> None:
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                log.info("console.redis_away", error=str(error))
            await asyncio.sleep(REDIS_PAUSE_SECONDS)

    async def _listen(self) -> None:
        # No read timeout: silence is normal here, and the health check finds a connection that died.
        client = Redis.from_url(str(settings.REDIS_URL), socket_timeout=None, health_check_interval=5)
        async with client, client.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(EVENTS_CHANNEL, PRICES_CHANNEL)
            async for message in channel.listen():
                self._receive(message)

    def _receive(self, message: Mapping[str, Any]) -> None:
        if message["channel"] != PRICES_CHANNEL.encode():
            self.look_now()
            return
        try:
            batch = json.loads(message["data"])
        except ValueError as error:
            log.warning("console.price_batch_unreadable", error=str(error))
            return
        feed = self._reading.feed_name if self._reading else ""
        if isinstance(batch, dict) and batch.get("feed", feed) == feed:
            self._prices |= {quote["symbol"]: quote for quote in batch.get("quotes", ())}
            self._priced.set()


_hubs: dict[int, Hub] = {}


def hub() -> Hub:
    """Return the hub of the running event loop; a server has one, each test its own."""
    loop = asyncio.get_running_loop()
    key = id(loop)
    if key not in _hubs:
        _hubs.clear()
        _hubs[key] = Hub()
    return _hubs[key]
