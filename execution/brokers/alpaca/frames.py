"""Frames of the stream on their way into the inbox: one that cannot be taken is kept and told of, the next are heard.

alpaca-py's own stream stays connected and says nothing more after a handler has raised. Here nothing that one frame
does to us ends the hearing: it is tried alone, kept for people, and REST is asked for what it said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.db import InterfaceError, InternalError, OperationalError

from execution.brokers.alpaca.events import read_frame
from execution.brokers.alpaca.listener import Listener
from execution.services.line_alerts import LineAlarm
from execution.services.threads import BookThread
from execution.services.updates import keep_unstored, take_updates

log = structlog.get_logger(__name__)

BATCH = 200
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(seconds=2)
"""When the database is back, what was told meanwhile must not wait for the end of a long pause."""
DATABASE_AWAY = (OperationalError, InterfaceError, InternalError)
"""Waiting helps; it would not against what the database refuses to store."""
LONGEST_SAID, LONGEST_LOGGED = 200, 2_000
Frame = str | bytes


@dataclass(slots=True, kw_only=True)
class FrameKeeper:
    """Takes what the listener has heard; `ask_rest` is called when something is missing."""

    account_id: int
    listener: Listener
    book: BookThread
    alarm: LineAlarm
    wall: Callable[[], datetime]
    ask_rest: Callable[[], None]
    counts: dict[str, int] = field(default_factory=dict)

    async def keep_for_ever(self) -> None:
        """Store frames in batches; while the database is away they wait, and in the end the socket waits too."""
        pause = FIRST_PAUSE
        waiting: list[Frame] = []
        while True:
            waiting = waiting or self._gathered(await self.listener.frames.get())
            try:
                await self._take(waiting)
            except DATABASE_AWAY as error:
                log.warning("updates_not_stored", waiting=len(waiting), reason=_line(error))
                await asyncio.sleep(pause.total_seconds())
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                waiting, pause = [], FIRST_PAUSE

    async def keep_rest(self) -> None:
        """Store what was heard and not stored yet.

        :raises OperationalError, InterfaceError, InternalError: the database is away
        """
        while frames := self._gathered():
            await self._take(frames)

    def _gathered(self, *first: Frame) -> list[Frame]:
        """Return a frame and what waits behind it."""
        frames = list(first)
        while len(frames) < BATCH and not self.listener.frames.empty():
            frames.append(self.listener.frames.get_nowait())
        self.counts["frames"] += len(frames)
        return frames

    async def _take(self, frames: list[Frame]) -> None:
        """Store frames; where that fails each is tried alone, and one that cannot be stored is told of.

        :raises OperationalError, InterfaceError, InternalError: the database is away, the same frames may come again
        """
        try:
            await self._store(frames)
        except DATABASE_AWAY:
            raise
        except Exception as error:  # the hearing is a loop of its own: what one frame does must not end it
            if len(frames) > 1:
                for frame in frames:
                    await self._take([frame])
                return
            log.exception("update_not_stored")
            await self._give_up(frames[0], error)

    async def _store(self, frames: list[Frame]) -> None:
        read = [read_frame(frame, received_at=self.wall()) for frame in frames]
        updates = [update for update in read if update is not None]
        # Also what we cannot store was told: it is not the stream that is mute then.
        self.listener.stream_told([update.message.key for update in updates if update.message.kind])
        taken = await self.book.call(take_updates, account_id=self.account_id, updates=updates, wall_now=self.wall())
        self.counts["messages"] += len(taken.rows)
        if taken.incomplete:
            self.ask_rest()

    async def _give_up(self, frame: Frame, error: Exception) -> None:
        """Keep a frame for people, tell them, and ask REST for what it said."""
        problem = f"{type(error).__name__}: {_line(error)}"[:LONGEST_SAID]
        self.counts["unstored"] = self.counts.get("unstored", 0) + 1
        raw = frame if isinstance(frame, bytes) else frame.encode("utf-8", "replace")
        what = f"a message of the stream could not be taken ({problem}); REST was asked for what it said"
        try:
            await self.book.call(self.alarm.unstored, what=what, wall_now=self.wall())
            await self.book.call(
                keep_unstored, account_id=self.account_id, raw=raw, problem=problem, wall_now=self.wall()
            )
        except DATABASE_AWAY:
            raise
        except Exception:  # it is in the log, people are told if that was possible, and REST tells what it said
            log.exception("update_not_kept", frame=raw[:LONGEST_LOGGED].decode("utf-8", "replace"))
        self.ask_rest()


def _line(error: BaseException) -> str:
    return str(error).split("\n")[0]
