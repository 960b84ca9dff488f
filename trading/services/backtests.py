"""Backtests as jobs: asked for, where they stand, and their end."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from signals.models import Backtest, BacktestState
from signals.services.backtests import give_up, plan_backtest
from trading.errors import JobOverError
from trading.models import Job
from trading.services.jobs import ask, cancel
from trading.states import JobState

GONE: dict[str, BacktestState] = {
    JobState.FAILED: BacktestState.FAILED,
    JobState.CANCELED: BacktestState.CANCELED,
}
DIED = "its process ended before it could say why"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a backtest stands: as it says itself, or as its job does when that is over and the backtest does not know.

    `done` of `total` parts, `total` 0 while nothing is known.
    """

    backtest: Backtest
    state: str
    done: int = 0
    total: int = 0
    what: str = ""
    error: str = ""
    cancel_asked: bool = False

    @property
    def is_open(self) -> bool:
        """Tell whether something may still happen."""
        return self.state in (BacktestState.PENDING, BacktestState.RUNNING)

    @property
    def cancelable(self) -> bool:
        """Tell whether somebody can ask for its end: it is open, a job, and nobody has."""
        return self.is_open and self.backtest.job_id is not None and not self.cancel_asked

    @property
    def percent(self) -> int:
        """Return how much is done."""
        return 100 * self.done // self.total if self.total else 0


@transaction.atomic
def ask_backtest(*, kind: str, parameters: Mapping[str, Any], asked_by: str, wall_now: datetime) -> Backtest:
    """Store a wish and put its job into the queue, both or none.

    :raises BadParameter: a parameter is not allowed
    :raises TooManyJobsError: the queue is full
    """
    row = plan_backtest(kind=kind, parameters=parameters, asked_by=asked_by, wall_now=wall_now)
    row.job_id = ask(kind, {"backtest": row.pk}, asked_by=asked_by, now=wall_now).pk
    row.save(update_fields=["job_id"])
    return row


@transaction.atomic
def cancel_backtest(*, backtest: Backtest, asked_by: str, wall_now: datetime) -> Standing:
    """Ask for the end of a backtest; one that waits ends at once. Locks: its job.

    :raises JobOverError: it is over, or runs in somebody's shell
    """
    if backtest.job_id is None or backtest.is_over:
        why = f"is {backtest.state}" if backtest.is_over else "runs in a shell and ends there (Ctrl-C)"
        raise JobOverError(f"backtest {backtest.pk} {why}")
    job = cancel(job_id=backtest.job_id, asked_by=asked_by, now=wall_now)
    if job.state == JobState.CANCELED:
        give_up(backtest=backtest, state=BacktestState.CANCELED, error="", wall_now=wall_now)
    return standing_of(backtest)


def standing_of(backtest: Backtest) -> Standing:
    """Return where one backtest stands. One query."""
    return standings([backtest])[0]


def standings(backtests: Iterable[Backtest]) -> list[Standing]:
    """Return where backtests stand. One query."""
    rows = list(backtests)
    jobs = Job.objects.in_bulk([row.job_id for row in rows if row.job_id is not None])
    return [_standing(row, jobs.get(row.job_id) if row.job_id is not None else None) for row in rows]


def _standing(row: Backtest, job: Job | None) -> Standing:
    if row.is_over or job is None:
        return Standing(row, row.state, error=row.error)
    if job.state in GONE:
        return Standing(row, GONE[job.state], error=job.error or (DIED if job.state == JobState.FAILED else ""))
    asked = job.cancel_asked_at is not None
    return Standing(row, row.state, job.done, job.total, job.what, cancel_asked=asked)
