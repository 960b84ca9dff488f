"""Everything that Alpaca tells about an account's orders, on its way into the inbox: the stream, and REST beside it.

Four tasks on one loop: listen, store frames, cross-check by REST, note how the line is. The book's work is done in two
threads, so that a REST call that hangs keeps no frame waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.db import DatabaseError, InterfaceError

from execution.brokers.alpaca.broker import AlpacaBroker
from execution.brokers.alpaca.crosscheck import AlpacaReads
from execution.brokers.alpaca.frames import DATABASE_AWAY as WAITING_HELPS
from execution.brokers.alpaca.frames import FrameKeeper
from execution.brokers.alpaca.line import Line
from execution.brokers.alpaca.listener import Connect, Listener, StreamState, loop_time
from execution.brokers.alpaca.stream import listening
from execution.brokers.base import BrokerError, BrokerUnavailable
from execution.models import Account, BrokerLink
from execution.services.broker_identity import verify_identity
from execution.services.broker_link import note_poll, note_stream
from execution.services.cross_check import Checked, CrossCheck
from execution.services.inbox import reports_since
from execution.services.line_alerts import LineAlarm
from execution.services.threads import BookThread
from execution.services.updates import ENDS, is_anything_open, newest_message_at

log = structlog.get_logger(__name__)

CHECK_EVERY = timedelta(seconds=2)
IDLE_CHECK_EVERY = timedelta(seconds=15)
STAYS_ACTIVE = timedelta(minutes=1)
"""Wall time after the newest message for which the cross-check keeps its pace."""
ACCOUNT_EVERY = timedelta(seconds=4)
NOTE_EVERY = timedelta(seconds=2)
LOOK_EVERY = timedelta(milliseconds=250)
LONGEST_PAUSE = timedelta(seconds=15)
DATABASE_AWAY = (DatabaseError, InterfaceError)
LONGEST_SAID = 300
STOPPED = "nobody listens: the process trade_updates has been stopped"


class TradeUpdates:
    """One account's line to Alpaca; `run` lasts until it is told to stop."""

    def __init__(
        self, *, account: Account, line: Line, wall: Callable[[], datetime], connect: Connect | None = None
    ) -> None:
        self.account, self.account_id = account, account.pk
        self._wall = wall
        self._broker = AlpacaBroker(line, reports=partial(reports_since, account.pk))
        self._check = CrossCheck(account_id=account.pk, reader=AlpacaReads(line))
        self._connect: Connect = connect or (lambda heard: listening(line.configuration, heard=heard))
        self.progress: datetime | None = None
        """Wall time at which the loop last noted how the line is: a sign of life."""
        self.counts = {"frames": 0, "messages": 0, "checks": 0, "by_rest": 0}
        self._alarm = LineAlarm(subject=account.scope)
        self._rest_answers = True
        self._rest_asked_at: timedelta | None = None
        """Since when a whole answer to a cross-check is owed, also by one that waits; None where none is."""
        self._rest_problem = ""

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping`, then store what came and say good-bye.

        :raises WrongAccount: another account answers
        """
        self._due = asyncio.Event()
        self._long = True
        self._pause = CHECK_EVERY
        self.listener = Listener(self._connect, wall=self._wall, on_listening=self._catch_up)
        self._book, self._rest = BookThread("updates"), BookThread("cross-check")
        self._keeper = FrameKeeper(
            account_id=self.account_id,
            listener=self.listener,
            book=self._book,
            alarm=self._alarm,
            wall=self._wall,
            ask_rest=self.check_now,
            counts=self.counts,
        )
        parts = (
            self.listener.listen_for_ever(),
            self._keeper.keep_for_ever(),
            self._check_for_ever(),
            self._note_for_ever(),
        )
        tasks = [asyncio.ensure_future(part) for part in parts]
        ending = asyncio.ensure_future(stopping.wait())
        try:
            done, _ = await asyncio.wait([ending, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {ending}:
                task.result()  # none of them ends by itself: this raises what ended it
        finally:
            for task in [ending, *tasks]:
                task.cancel()
            await asyncio.gather(ending, *tasks, return_exceptions=True)
            await self._say_goodbye()

    async def check_once(self) -> None:
        """Make one cross-check by REST, without the stream.

        :raises BrokerUnavailable: REST gave no whole answer
        """
        self._rest = BookThread("cross-check")
        try:
            checked = await self._rest.call(self._check.round, wall_now=self._wall(), long=True)
            await self._note_poll(checked)
        finally:
            await asyncio.to_thread(self._rest.close)

    def check_now(self) -> None:
        """Let the cross-check begin at once."""
        self._due.set()

    def _catch_up(self) -> None:
        self._long = True
        self.check_now()

    # REST beside it

    async def _check_for_ever(self) -> None:
        checked_at = account_at = loop_time() - IDLE_CHECK_EVERY
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause.total_seconds()):
                    await self._due.wait()
            asked = self._due.is_set()
            self._due.clear()
            if loop_time() - account_at >= ACCOUNT_EVERY:
                account_at = loop_time()
                await self._look_at_account()
            if asked or loop_time() - checked_at >= IDLE_CHECK_EVERY or await self._is_active():
                checked_at = loop_time()
                await self._cross_check()

    async def _is_active(self) -> bool:
        if not self.listener.is_live:
            return True
        with suppress(*DATABASE_AWAY):
            return await self._rest.call(_is_active, self.account_id, self._wall())
        return True

    async def _cross_check(self) -> None:
        """Make one cross-check and note how it went; one that fails slows the next ones down."""
        long, self._long = self._long, False
        asked_at = loop_time()
        self._rest_asked_at = self._rest_asked_at or asked_at
        try:
            checked = await self._rest.call(self._check.round, wall_now=self._wall(), long=long)
            await self._note_poll(checked)
        except BrokerError as failure:
            await self._note_no_answer(failure.reason, long=long)
        except WAITING_HELPS as error:
            self._long = self._long or long
            log.warning("cross_check_not_stored", reason=str(error).split("\n")[0])
        except Exception as error:  # a loop of its own: the stream is heard on, whatever REST told
            log.exception("cross_check_failed")
            problem = f"what REST told could not be taken ({type(error).__name__}: {error})"[:LONGEST_SAID]
            await self._note_no_answer(problem, long=long)
            with suppress(*DATABASE_AWAY):
                await self._rest.call(self._alarm.unstored, what=problem, wall_now=self._wall())
        else:
            self._pause, self._rest_answers, self._rest_asked_at, self._rest_problem = CHECK_EVERY, True, None, ""
            self._note_found(checked, asked_at)

    async def _note_no_answer(self, problem: str, *, long: bool) -> None:
        self._long, self._pause = self._long or long, min(self._pause * 2, LONGEST_PAUSE)
        self._rest_answers, self._rest_problem = False, problem
        with suppress(*DATABASE_AWAY):
            await self._rest.call(note_poll, account_id=self.account_id, wall_now=self._wall(), problem=problem)

    async def _note_poll(self, checked: Checked) -> None:
        await self._rest.call(
            note_poll,
            account_id=self.account_id,
            wall_now=self._wall(),
            shortfall="; ".join(checked.missing),
            backfilled_until=checked.until,
        )

    def _note_found(self, checked: Checked, asked_at: timedelta) -> None:
        self.counts["checks"] += 1
        self.counts["by_rest"] += len(checked.rows)
        owed = [row.key for row in checked.rows if row.kind == "fill" or (row.kind in ENDS and not row.reason)]
        if owed:
            log.warning("rest_told_first", facts=len(owed), stream=self.listener.state.state)
        self.listener.rest_told(owed, asked_at=asked_at)

    async def _look_at_account(self) -> None:
        """Look who answers and what the account may do.

        :raises WrongAccount: what is told now is not this account's
        """
        with suppress(BrokerUnavailable, *DATABASE_AWAY):  # the cross-check says when REST is away
            await self._rest.call(verify_identity, account=self.account, broker=self._broker, wall_now=self._wall())

    # how the line is

    async def _note_for_ever(self) -> None:
        """Note the stream's state at each change, and every two seconds while it stays; tell people when it is away."""
        noted, noted_at, live_at = None, loop_time() - NOTE_EVERY, loop_time()
        while True:
            now = self.listener.state
            live_at = loop_time() if self.listener.is_live else live_at
            if (now.state, now.problem) != noted or loop_time() - noted_at >= NOTE_EVERY:
                with suppress(*DATABASE_AWAY):
                    await self._note(now.state, now.problem, now.heard_at)
                    noted, noted_at = (now.state, now.problem), loop_time()
            with suppress(*DATABASE_AWAY):
                away, unsteady, asked_at = loop_time() - live_at, self.listener.is_unsteady, self._rest_asked_at
                unanswered = timedelta() if asked_at is None else loop_time() - asked_at
                await self._book.call(self._tell, now, away=away, unsteady=unsteady, unanswered=unanswered)
            self.progress = self._wall()
            await asyncio.sleep(LOOK_EVERY.total_seconds())

    async def _note(self, state: str, problem: str, heard_at: datetime | None) -> None:
        await self._book.call(
            note_stream,
            account_id=self.account_id,
            state=state,
            problem=problem,
            heard_at=heard_at,
            wall_now=self._wall(),
        )

    def _tell(self, now: StreamState, *, away: timedelta, unsteady: bool, unanswered: timedelta) -> None:
        self._alarm.look(
            state=now.state,
            problem=now.problem,
            away=away,
            unsteady=unsteady,
            rest_answers=self._rest_answers,
            wall_now=self._wall(),
        )
        self._alarm.look_at_rest(
            away=unanswered,
            problem=self._rest_problem,
            stream_is_live=now.state == BrokerLink.Stream.LIVE,
            wall_now=self._wall(),
        )
        self._alarm.forget_unstored(wall_now=self._wall())

    async def _say_goodbye(self) -> None:
        with suppress(*DATABASE_AWAY):
            await self._keeper.keep_rest()
            await self._note(BrokerLink.Stream.DOWN, STOPPED, self.listener.state.heard_at)
        await asyncio.to_thread(self._book.close)
        await asyncio.to_thread(self._rest.close)


def _is_active(account_id: int, wall_now: datetime) -> bool:
    """Tell whether something may happen soon: an order is open, or something was told a moment ago."""
    newest = newest_message_at(account_id)
    return is_anything_open(account_id) or (newest is not None and wall_now - newest <= STAYS_ACTIVE)
