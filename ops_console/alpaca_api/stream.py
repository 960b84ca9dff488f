"""`/alpaca/stream`: Alpaca's trading stream out of our ledger.

One reader in each web process follows the order events while somebody listens, and hands the messages to every
connection. Nothing waits for a client: one that does not keep up is closed, and reads by REST what it missed.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import structlog
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import DatabaseError, InterfaceError

from execution.alpaca_wire.json import encode
from execution.models import OrderEvent
from execution.selectors import desk_account
from marketdata.clock import wall_now
from ops_console.alpaca_api.follower import EventFollower
from ops_console.alpaca_api.updates import updates_told
from ops_console.scopes import Scope
from ops_console.services.tokens import living_tokens

LOOK_SECONDS = 0.1
CHECK_SECONDS = 1.0
PAUSE_SECONDS = 1.0
QUEUE_LENGTH = 1_024
MOST_LISTENERS = 200  # in one process
DATABASE_AWAY = (DatabaseError, InterfaceError)

log = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True)
class Listener:
    """One connection that listens, and what it has not been sent yet; None ends it."""

    token_id: str
    queue: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(QUEUE_LENGTH))

    def put(self, message: bytes) -> None:
        """Queue a message; a client that is too far behind is told to go, because a gap could not be seen."""
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            log.warning("alpaca_stream_client_too_slow", token_id=self.token_id)
            self.end()

    def end(self) -> None:
        """Drop what is queued and end."""
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(None)


class TooManyListeners(Exception):
    """The process has as many connections as it serves."""


class UpdateHub:
    """The reader of this process and those that listen to it."""

    def __init__(self) -> None:
        self.listeners: set[Listener] = set()
        self._follower = EventFollower()
        self._untold: list[OrderEvent] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._joining = asyncio.Lock()

    async def join(self, token_id: str) -> Listener:
        """Add a listener, which gets every update that is committed from now on. The first one starts the reader.

        :raises TooManyListeners: the process serves no more
        """
        async with self._joining:
            if len(self.listeners) >= MOST_LISTENERS:
                raise TooManyListeners(f"{MOST_LISTENERS} connections listen already")
            if not self._tasks or any(task.done() for task in self._tasks):
                await self._stop()
                await database_sync_to_async(self._begin)()
                self._tasks = [
                    asyncio.create_task(self._follow_for_ever()),
                    asyncio.create_task(self._check_for_ever()),
                ]
            listener = Listener(token_id)
            self.listeners.add(listener)
            return listener

    async def leave(self, listener: Listener) -> None:
        """Remove a listener; the last one stops the reader."""
        async with self._joining:
            self.listeners.discard(listener)
            if self.listeners or not self._tasks:
                return
            await self._stop()

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow_for_ever(self) -> None:
        while True:
            try:
                messages = await database_sync_to_async(self._read)()
            except DATABASE_AWAY as error:
                log.warning("alpaca_stream_database_away", error=str(error).strip())
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            except Exception:
                # A connection that is silent for ever would be worse than one that ends: clients connect again and
                # read by REST what they missed.
                log.exception("alpaca_stream_failed")
                self._end_all()
                raise
            for message in messages:
                for listener in list(self.listeners):
                    listener.put(message)
            if not messages:
                await asyncio.sleep(LOOK_SECONDS)

    def _end_all(self) -> None:
        for listener in self.listeners:
            listener.end()
        self.listeners.clear()

    def _begin(self) -> None:
        self._untold = []
        self._follower.start(wall_now())

    def _read(self) -> list[bytes]:
        # The follower gives each event once: when the database goes away before it can be told, it is kept.
        events = self._untold = self._untold or self._follower.news(wall_now())
        account = desk_account(settings.TRADING_MODE) if events else None
        messages = [] if account is None else [encode(message) for message in updates_told(account, events)]
        self._untold = []
        return messages

    async def _check_for_ever(self) -> None:
        """End the connections of tokens that were revoked, have expired, or whose owner may no longer read."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                wanted = {listener.token_id for listener in self.listeners}
                living = await database_sync_to_async(living_tokens)(wanted, needed=Scope.READ, now=wall_now())
            except DATABASE_AWAY:  # nor is anything read that could be told
                continue
            except Exception:
                log.exception("alpaca_stream_check_failed")
                self._end_all()
                raise
            for listener in [each for each in self.listeners if each.token_id not in living]:
                self.listeners.discard(listener)
                listener.end()


_hubs: dict[int, UpdateHub] = {}


def update_hub() -> UpdateHub:
    """Return the hub of the running event loop; a server has one, each test its own."""
    key = id(asyncio.get_running_loop())
    if key not in _hubs:
        _hubs.clear()
        _hubs[key] = UpdateHub()
    return _hubs[key]


def authorization(*, authorized: bool) -> dict[str, Any]:
    """Return the answer to the key."""
    word = "authorized" if authorized else "unauthorized"
    return {"stream": "authorization", "data": {"status": word, "action": "authenticate"}}
