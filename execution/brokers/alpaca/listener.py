"""Keep one connection to the stream, whatever happens to it, and say at any moment how it is.

There is never more than one connection, and never a storm of attempts: each failure in a row doubles the pause, from
one second to thirty, and only a connection that lasted forgets them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog
from alpaca.common.utils import reconnect_delay

from execution.brokers.alpaca.stream import StreamLost, StreamRefused
from execution.models import BrokerLink
from execution.services.hearing import Hearing

log = structlog.get_logger(__name__)

S = BrokerLink.Stream
SILENCE = timedelta(seconds=10)
"""Without a frame and without an answer to a ping for so long, a connection counts as dead."""
LOOK_EVERY = timedelta(milliseconds=250)
LASTED = timedelta(seconds=30)
UNSTEADY_FROM = 3
"""Connections in a row that did not last."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1, 30
GRACE = timedelta(seconds=3)
"""After connecting, REST may still tell what happened before; that is nothing the stream owes."""
TRUSTED_AGAIN = timedelta(seconds=30)
MOST_FRAMES_WAITING = 10_000


class StreamMute(StreamLost):
    """The connection is there and does not tell what happens."""


class Listening(Protocol):
    """A connection as the listener uses it."""

    def frames(self) -> AsyncIterator[str | bytes]:
        """Yield frames until `StreamLost`."""
        ...

    async def ping_for_ever(self) -> None:
        """Ping until `StreamLost`."""
        ...


Connect = Callable[[Callable[[], None]], AbstractAsyncContextManager[Listening]]


@dataclass(frozen=True, slots=True)
class StreamState:
    """How the stream is; `heard_at` is wall time."""

    state: str
    problem: str
    heard_at: datetime | None


class Listener:
    """One loop, one task: `listen_for_ever`. Frames go into `frames` as they came."""

    def __init__(self, connect: Connect, *, wall: Callable[[], datetime], on_listening: Callable[[], None]) -> None:
        """`on_listening` is called after each log-in: what was missed meanwhile has to be read."""
        self.frames: asyncio.Queue[str | bytes] = asyncio.Queue(MOST_FRAMES_WAITING)
        self._connect = connect
        self._wall = wall
        self._on_listening = on_listening
        self._hearing = Hearing()
        self._state: str = S.CONNECTING
        self._problem = ""
        self._heard_at: datetime | None = None
        self._heard = timedelta(0)
        self._since: timedelta | None = None
        """Loop time since which the present connection listens."""
        self._distrusted_at: timedelta | None = None
        self._failures = 0
        self._silence = ""
        """Why the stream is not believed."""

    @property
    def state(self) -> StreamState:
        """Return how the stream is now."""
        return StreamState(self._state, self._problem, self._heard_at)

    @property
    def is_live(self) -> bool:
        """Tell whether the stream is connected and believed."""
        return self._state == S.LIVE

    @property
    def is_unsteady(self) -> bool:
        """Tell whether connection after connection was lost, and the present one has not lasted yet."""
        lasts = self._since is not None and loop_time() - self._since >= LASTED
        return self._failures >= UNSTEADY_FROM and not lasts

    def rest_told(self, keys: list[str], *, asked_at: timedelta) -> None:
        """Take note of facts that a look by REST, begun at a loop time, was the first to tell."""
        if self._since is not None and asked_at - self._since >= GRACE:
            self._hearing.rest_told(keys, at=loop_time())

    def stream_told(self, keys: list[str]) -> None:
        """Take note of facts that came by the stream: it is not mute."""
        self._hearing.stream_told(keys)
        if keys and self._since is not None and not self._hearing.overdue(at=loop_time()):
            self._trust()

    async def listen_for_ever(self) -> None:
        """Connect, listen, and begin again when the connection is lost; never returns."""
        while True:
            began = loop_time()
            try:
                async with self._connect(self._note_heard) as connection:
                    self._begin()
                    await self._follow(connection)
                lost = StreamLost("the connection ended")
            except StreamLost as error:
                lost = error
            listened = None if self._since is None else loop_time() - self._since
            self._failures = 1 if listened is not None and listened >= LASTED else self._failures + 1
            pause = reconnect_delay(self._failures, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
            self._lose(lost, pause_text=f"{pause:.0f} s")
            log.warning(
                "stream_lost",
                reason=lost.reason,
                failures=self._failures,
                lasted=str(loop_time() - began).split(".")[0],
            )
            await asyncio.sleep(pause)

    def _begin(self) -> None:
        self._since = self._heard = loop_time()
        self._hearing.forgive()
        if self._distrusted_at is None:
            self._trust()
        else:
            self._distrusted_at = loop_time()
            self._state, self._problem = S.MUTE, f"{self._silence}; connected anew, nothing told yet"
        log.info("stream_listens")
        self._on_listening()

    def _trust(self) -> None:
        self._state, self._problem, self._distrusted_at = S.LIVE, "", None

    def _lose(self, lost: StreamLost, *, pause_text: str) -> None:
        self._since = None
        if isinstance(lost, StreamMute):
            self._distrusted_at, self._state, self._silence = loop_time(), S.MUTE, lost.reason
        else:
            self._state = S.REFUSED if isinstance(lost, StreamRefused) else S.DOWN
        self._problem = f"{lost.reason}; next try after {pause_text}"

    async def _follow(self, connection: Listening) -> None:
        """Take frames until one of reader, ping and watchdog says that the connection is lost.

        :raises StreamLost: always
        """
        parts: list[Coroutine[Any, Any, None]] = [self._read(connection), connection.ping_for_ever(), self._watch()]
        tasks = [asyncio.ensure_future(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, connection: Listening) -> None:
        async for frame in connection.frames():
            await self.frames.put(frame)

    async def _watch(self) -> None:
        """Judge the silence of the line and of what should have been told.

        :raises StreamLost: nothing was heard for too long
        :raises StreamMute: REST has told what the stream has not
        """
        while True:
            await asyncio.sleep(LOOK_EVERY.total_seconds())
            now = loop_time()
            if now - self._heard >= SILENCE:
                raise StreamLost(f"no frame and no answer to a ping for {SILENCE.seconds} s")
            owed = self._hearing.overdue(at=now)
            if owed:
                raise StreamMute(f"connected, but {owed} {'fact' if owed == 1 else 'facts'} came by REST alone")
            if self._distrusted_at is not None and now - self._distrusted_at >= TRUSTED_AGAIN:
                self._trust()

    def _note_heard(self) -> None:
        self._heard, self._heard_at = loop_time(), self._wall()


def loop_time() -> timedelta:
    """Return the running loop's clock, which only moves forward."""
    return timedelta(seconds=asyncio.get_running_loop().time())
