"""Take work from the queue, hold it by a lease, tell where it is, and end it.

Every write names the claim it was taken under, so that nobody writes after a successor has begun.
"""

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import QuerySet

from trading.errors import JobLostError
from trading.job_kinds import KINDS
from trading.models import Job
from trading.models.jobs import LONGEST_ERROR, LONGEST_LOG, LONGEST_WHAT
from trading.states import JobState

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=30)
LARGEST_RESULT = 256 * 1024
"""Characters of JSON; what is larger belongs into a table or a file of its own."""
STOPPED = "the platform was stopped; begins again with the next start"
SILENT = "no sign of life of its process; begins again"
LARGEST_COUNT = 2**62

# The fence, the figures and the question whether it is still wanted are one statement.
TELL = """
UPDATE trading_job SET done = %s, total = %s, what = %s, told_at = %s WHERE id = %s AND claim = %s
RETURNING cancel_asked_at IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Held:
    """A job and the fence it is held by."""

    job_id: int
    claim: uuid.UUID


def take(*, now: datetime) -> Job | None:
    """Claim the job that waits the longest; None when nobody waits. Locks: the job, past those others hold.

    One whose kind is gone since it was asked for is failed on the way.
    """
    while True:
        with transaction.atomic():
            job = _waiting().first()
            if job is None:
                return None
            if job.kind in KINDS:
                return _begin(job, now)
            job.state, job.finished_at = JobState.FAILED, now
            job.error = f"kind = {job.kind}: allowed is one of {', '.join(sorted(KINDS))}"
            job.save(update_fields=["state", "finished_at", "error"])


def _waiting() -> QuerySet[Job]:
    return Job.objects.select_for_update(skip_locked=True).filter(state=JobState.QUEUED).order_by("pk")


def _begin(job: Job, now: datetime) -> Job:
    job.state, job.claim, job.claimed_until = JobState.RUNNING, uuid.uuid4(), now + LEASE
    job.attempts += 1
    job.started_at, job.told_at = now, None
    job.done, job.total, job.what, job.log = 0, 0, "", ""
    job.save()
    log.info("job_begun", job=job.pk, kind=job.kind, attempt=job.attempts)
    return job


def renew(held: Iterable[Held], *, now: datetime) -> dict[int, Job]:
    """Renew the leases, and return those that are still held, by job."""
    claims = [one.claim for one in held]
    if not claims:
        return {}
    Job.objects.filter(claim__in=claims).update(claimed_until=now + LEASE)
    return {job.pk: job for job in Job.objects.filter(claim__in=claims).defer("log", "parameters")}


def held_job(held: Held) -> Job:
    """Return the job.

    :raises JobLostError: it is not held by this claim
    """
    job = Job.objects.filter(pk=held.job_id, claim=held.claim).first()
    if job is None:
        raise JobLostError(f"job {held.job_id} is held by somebody else, or over")
    return job


def tell(held: Held, *, done: int, total: int, what: str, now: datetime) -> bool:
    """Write where the work is; return whether its end was asked for.

    :raises JobLostError: it is not held by this claim
    """
    total = min(max(total, 0), LARGEST_COUNT)
    done = min(max(done, 0), total or LARGEST_COUNT)
    with connection.cursor() as cursor:
        cursor.execute(TELL, [done, total, _clean(what)[:LONGEST_WHAT], now, held.job_id, held.claim])
        row = cursor.fetchone()
    if row is None:
        raise JobLostError(f"job {held.job_id} is held by somebody else, or over")
    return bool(row[0])


def complete(held: Held, *, result: dict[str, Any], now: datetime) -> None:
    """Store the result.

    :raises ValueError: the result is no JSON, or too large
    :raises JobLostError: it is not held by this claim
    """
    size = len(json.dumps(result, allow_nan=False))
    if size > LARGEST_RESULT:
        raise ValueError(f"result = {size} characters of JSON: allowed are {LARGEST_RESULT}")
    _end(held, JobState.COMPLETED, now=now, result=result)
    log.info("job_completed", job=held.job_id)


def fail(held: Held, *, error: str, now: datetime) -> None:
    """Store why it failed.

    :raises JobLostError: it is not held by this claim
    """
    said = _clean(error).strip() or "no reason was given"
    _end(held, JobState.FAILED, now=now, error=said[:LONGEST_ERROR])
    log.warning("job_failed", job=held.job_id, error=said[:LONGEST_ERROR])


def end_canceled(held: Held, *, now: datetime) -> None:
    """Store that it ended because somebody asked for that.

    :raises JobLostError: it is not held by this claim
    """
    _end(held, JobState.CANCELED, now=now)
    log.info("job_canceled", job=held.job_id)


def give_back(held: Held, *, now: datetime) -> None:
    """Put it back into the queue, as if this attempt had not been; one that cannot begin again has failed.

    :raises JobLostError: it is not held by this claim
    """
    job = held_job(held)
    if job.cancel_asked_at is not None:
        end_canceled(held, now=now)
    elif not is_restartable(job):
        fail(held, error=f"the platform was stopped, and a job of the kind {job.kind} does not begin again", now=now)
    else:
        _update(held, state=JobState.QUEUED, claim=None, claimed_until=None, attempts=job.attempts - 1, what=STOPPED)
        log.info("job_given_back", job=held.job_id)


def keep_log(job_id: int, attempt: int, text: str) -> None:
    """Store the end of what its process wrote, unless a later attempt has begun."""
    cut = text[-LONGEST_LOG:]
    Job.objects.filter(pk=job_id, attempts=attempt).exclude(state=JobState.QUEUED).update(log=_clean(cut))


def recover_lost(*, now: datetime) -> list[int]:
    """Settle jobs whose lease has run out: nobody works on them any more. Locks: each job, past those others hold.

    They begin again as often as their kind allows; otherwise they have failed, and say why.
    """
    found: list[int] = []
    with transaction.atomic():
        lost = Job.objects.select_for_update(skip_locked=True).filter(state=JobState.RUNNING, claimed_until__lt=now)
        for job in lost.order_by("pk"):
            _settle_lost(job, now)
            found.append(job.pk)
    return found


def is_restartable(job: Job) -> bool:
    """Tell whether it may begin again from its parameters."""
    return job.kind in KINDS and KINDS[job.kind].restartable


def _settle_lost(job: Job, now: datetime) -> None:
    job.claim = job.claimed_until = None
    if job.cancel_asked_at is not None:
        job.state, job.finished_at = JobState.CANCELED, now
    elif not is_restartable(job):
        job.state, job.finished_at = JobState.FAILED, now
        job.error = f"no sign of life of its process, and a job of the kind {job.kind} does not begin again by itself"
    elif job.attempts >= KINDS[job.kind].most_attempts:
        job.state, job.finished_at = JobState.FAILED, now
        job.error = f"no sign of life of its process in {job.attempts} attempts, which is all its kind has"
    else:
        job.state, job.what = JobState.QUEUED, SILENT
    job.save(update_fields=["claim", "claimed_until", "state", "finished_at", "error", "what"])
    log.warning("job_lost", job=job.pk, kind=job.kind, attempts=job.attempts, state=str(job.state))


def _end(held: Held, state: JobState, *, now: datetime, **fields: Any) -> None:
    _update(held, state=state, claim=None, claimed_until=None, finished_at=now, **fields)


def _update(held: Held, **fields: Any) -> None:
    if not Job.objects.filter(pk=held.job_id, claim=held.claim).update(**fields):
        raise JobLostError(f"job {held.job_id} is held by somebody else, or over")


def _clean(text: str) -> str:
    """Drop what PostgreSQL cannot store."""
    return text.replace("\x00", "")
