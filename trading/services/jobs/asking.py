"""Ask for long work, ask for it once more, and ask for its end."""

import json
from datetime import datetime
from typing import Any

import structlog
from django.db import IntegrityError, transaction

from signals.parameters import BadParameter
from trading.errors import JobKeyUsedError, JobNotOverError, JobOverError, TooManyJobsError
from trading.job_kinds import KINDS, checks_of
from trading.models import Job
from trading.models.jobs import LONGEST_NAME
from trading.states import JobState

log = structlog.get_logger(__name__)

MOST_QUEUED = 200
"""Jobs that may wait at once; more of them is a program that runs wild."""
LONGEST_PARAMETERS = 64 * 1024
LONGEST_KEY = 128


def ask(
    kind: str, parameters: dict[str, Any], *, asked_by: str, now: datetime, idempotency_key: str | None = None
) -> Job:
    """Put a piece of work into the queue; the same key of the same asker gives the job that it gave before.

    `now` is wall time.
    :raises BadParameter: the kind or a parameter is not allowed
    :raises JobKeyUsedError: the key was used with other parameters
    :raises TooManyJobsError: the queue is full
    """
    checked = checked_parameters(kind, parameters)
    _refuse_long("asked_by", asked_by, LONGEST_NAME)
    if idempotency_key is not None:
        _refuse_long("idempotency_key", idempotency_key, LONGEST_KEY)
        found = Job.objects.filter(asked_by=asked_by, kind=kind, idempotency_key=idempotency_key).first()
        if found is not None:
            return _the_same(found, checked)
    waiting = Job.objects.filter(state=JobState.QUEUED).count()
    if waiting >= MOST_QUEUED:
        raise TooManyJobsError(waiting)
    try:
        with transaction.atomic():
            job = Job.objects.create(
                kind=kind, parameters=checked, asked_by=asked_by, asked_at=now, idempotency_key=idempotency_key
            )
    except IntegrityError:  # the same key in the same moment
        found = Job.objects.filter(asked_by=asked_by, kind=kind, idempotency_key=idempotency_key).first()
        if idempotency_key is None or found is None:
            raise
        return _the_same(found, checked)
    log.info("job_asked_for", job=job.pk, kind=kind, asked_by=asked_by)
    return job


def ask_again(*, job: Job, asked_by: str, now: datetime) -> Job:
    """Put the same work into the queue once more, as a job of its own.

    :raises JobNotOverError: it is still wanted
    :raises BadParameter: what was allowed then is not allowed any more
    :raises TooManyJobsError: the queue is full
    """
    if not job.is_over:
        raise JobNotOverError(f"job {job.pk} is {job.state}; only what is over is asked for again")
    return ask(job.kind, job.parameters, asked_by=asked_by, now=now)


@transaction.atomic
def cancel(*, job_id: int, asked_by: str, now: datetime) -> Job:
    """End what waits at once, and ask what runs to end; asked again it changes nothing. Locks: the job.

    :raises Job.DoesNotExist: there is none
    :raises JobOverError: it is over
    """
    _refuse_long("asked_by", asked_by, LONGEST_NAME)
    job = Job.objects.select_for_update().get(pk=job_id)
    if job.is_over:
        raise JobOverError(f"job {job.pk} is {job.state}; only what waits or runs can be canceled")
    if job.cancel_asked_at is not None:
        return job
    job.cancel_asked_by, job.cancel_asked_at = asked_by, now
    if job.state == JobState.QUEUED:
        job.state, job.finished_at = JobState.CANCELED, now
    job.save(update_fields=["cancel_asked_by", "cancel_asked_at", "state", "finished_at"])
    log.info("job_cancel_asked_for", job=job.pk, kind=job.kind, asked_by=asked_by, state=str(job.state))
    return job


def checked_parameters(kind: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters as they are stored.

    :raises BadParameter: the kind or a parameter is not allowed
    """
    if kind not in KINDS:
        raise BadParameter("kind", kind, f"one of {', '.join(sorted(KINDS))}")
    if not isinstance(parameters, dict):
        raise BadParameter("parameters", parameters, "an object")
    _refuse_large(parameters)
    checked = checks_of(KINDS[kind])(parameters)
    _refuse_large(checked)
    # As the database will give it back, so that equal wishes are equal.
    stored: dict[str, Any] = json.loads(json.dumps(checked, allow_nan=False))
    return stored


def _refuse_large(parameters: dict[str, Any]) -> None:
    try:
        size = len(json.dumps(parameters, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise BadParameter("parameters", str(error), "JSON with finite numbers") from None
    if size > LONGEST_PARAMETERS:
        raise BadParameter("parameters", f"{size} characters", f"at most {LONGEST_PARAMETERS} characters of JSON")


def _refuse_long(name: str, value: str, most: int) -> None:
    if not 1 <= len(value) <= most:
        raise BadParameter(name, value, f"1 to {most} characters")


def _the_same(found: Job, checked: dict[str, Any]) -> Job:
    if found.parameters != checked:
        raise JobKeyUsedError(
            f"idempotency_key = {found.idempotency_key}: job {found.pk} was asked for with other parameters under it"
        )
    return found
