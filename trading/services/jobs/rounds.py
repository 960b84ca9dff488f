"""Carry jobs out, each in a process of its own, and know how each of them ended."""

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from trading.errors import JobLostError
from trading.job_kinds import KINDS
from trading.models import Job
from trading.services.jobs import holding
from trading.services.jobs.holding import LEASE, Held
from trading.services.jobs.keeping import forget_old

log = structlog.get_logger(__name__)

GRACE = timedelta(seconds=10)
"""Wall time that the work has to end by itself after somebody asked for its end."""
LAST_WORDS = timedelta(seconds=2)
"""Wall time to go after its end was told, or after the job was lost to somebody else."""
LAST_GRACE = timedelta(seconds=5)
"""Wall time between SIGTERM and SIGKILL."""
RENEW_EVERY = LEASE / 6
LOG_EVERY = timedelta(seconds=2)
FORGET_EVERY = timedelta(hours=1)


class Process(Protocol):
    """What carries one job out."""

    def exit_code(self) -> int | None:
        """Return how it ended (negative: the signal that ended it); None while it runs."""

    def output(self) -> str:
        """Return the end of what it has written."""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to all it has started; nothing when it is gone."""

    def close(self) -> None:
        """End whatever it has left behind, and give back what it held."""


@dataclass(slots=True)
class Running:
    """A job and the process that does it."""

    held: Held
    kind: str
    attempt: int
    begun_at: datetime
    process: Process
    ending_at: datetime | None = None
    """When its end was first demanded by us."""
    too_long: bool = False
    killed: bool = False
    kept: str = ""
    kept_at: datetime | None = None


@dataclass(slots=True)
class JobRounds:
    """The work of the process `jobs`, round by round; `at_once` jobs run beside each other."""

    start: Callable[[Job], Process]
    at_once: int
    running: dict[int, Running] = field(default_factory=dict)
    renewed_at: datetime | None = None
    forgot_at: datetime | None = None
    done: int = 0

    def round(self, now: datetime) -> None:
        """Look after what runs, settle what others have lost, and begin what waits while there is room."""
        self._look_after(now)
        holding.recover_lost(now=now)
        while len(self.running) < self.at_once and (job := holding.take(now=now)) is not None:
            self._begin(job, now)
        if self.forgot_at is None or now - self.forgot_at >= FORGET_EVERY:
            forget_old(now=now)
            self.forgot_at = now

    def stop(self, now: datetime, wait: Callable[[], None]) -> None:
        """End what runs and put it back into the queue; `wait` passes a moment, and raises when there is no time left.

        What cannot begin again has failed, and says that the platform was stopped.
        """
        for one in self.running.values():
            one.process.signal(signal.SIGTERM)
        try:
            while any(one.process.exit_code() is None for one in self.running.values()):
                wait()
        except TimeoutError:
            log.warning("jobs_killed", jobs=sorted(self.running))
        for one in list(self.running.values()):
            self._close(one)
            try:
                holding.give_back(one.held, now=now)
            except JobLostError:
                log.info("job_ended_before_stop", job=one.held.job_id)
            self.running.pop(one.held.job_id)

    def _begin(self, job: Job, now: datetime) -> None:
        assert job.claim is not None, "it was taken just now"
        held = Held(job.pk, job.claim)
        try:
            process = self.start(job)
        except OSError as error:
            holding.fail(held, error=f"its process cannot be started: {error}", now=now)
            return
        self.running[job.pk] = Running(held, job.kind, job.attempts, now, process)

    def _look_after(self, now: datetime) -> None:
        rows = holding.renew([one.held for one in self.running.values()], now=now) if self.running else {}
        for one in list(self.running.values()):
            code = one.process.exit_code()
            row = rows.get(one.held.job_id)
            if code is not None:
                self._settle(one, code, row, now)
            elif row is None:  # it has told its end and is about to go, or the job is somebody else's now
                self._demand_end(one, now, since=now - GRACE + LAST_WORDS)
            else:
                self._mind(one, row, now)

    def _mind(self, one: Running, row: Job, now: datetime) -> None:
        """Keep the end of its output, and see to it that it ends when it has to."""
        if now - one.begun_at > KINDS[one.kind].longest:
            one.too_long = True
            self._demand_end(one, now, since=one.begun_at)
        elif row.cancel_asked_at is not None:
            self._demand_end(one, now, since=row.cancel_asked_at)
        if one.kept_at is None or now - one.kept_at >= LOG_EVERY:
            self._keep_log(one)
            one.kept_at = now

    def _demand_end(self, one: Running, now: datetime, *, since: datetime) -> None:
        """Leave it `GRACE` to end by itself, then SIGTERM, then SIGKILL."""
        if one.ending_at is None:
            one.ending_at = since
        if now - one.ending_at >= GRACE + LAST_GRACE:
            one.killed = True
            one.process.signal(signal.SIGKILL)
        elif now - one.ending_at >= GRACE:
            one.killed = True
            one.process.signal(signal.SIGTERM)

    def _settle(self, one: Running, code: int, row: Job | None, now: datetime) -> None:
        """Store the end of a process that has not told of it itself."""
        self._close(one)
        self.running.pop(one.held.job_id)
        self.done += 1
        if row is None:
            return
        try:
            if row.cancel_asked_at is not None and (one.killed or code):
                holding.end_canceled(one.held, now=now)
            else:
                holding.fail(one.held, error=_why(one, code), now=now)
        except JobLostError:  # it told in the very last moment
            log.info("job_settled_by_itself", job=one.held.job_id)

    def _close(self, one: Running) -> None:
        one.process.close()
        self._keep_log(one)

    def _keep_log(self, one: Running) -> None:
        text = one.process.output()
        if text != one.kept:
            holding.keep_log(one.held.job_id, one.attempt, text)
            one.kept = text


def _why(one: Running, code: int) -> str:
    """Say how a process ended that has told nothing."""
    if one.too_long:
        return f"it took longer than {KINDS[one.kind].longest}, which is the most for a job of the kind {one.kind}"
    if code < 0:
        name = signal.Signals(-code).name
        hint = "; perhaps the machine ran out of memory" if code == -signal.SIGKILL else ""
        return f"its process was ended by {name}{hint}"
    return f"its process ended with exit code {code} and told no result; the log says more"
