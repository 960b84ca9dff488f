"""The database lets a job move along the table of moves and nowhere else."""

import uuid
from itertools import product
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from tests.factories import WALL_NOW
from trading.models import Job
from trading.states import JOB_MOVES, JOB_OVER, JobState

pytestmark = pytest.mark.django_db
OVER = {"finished_at": WALL_NOW}
FIELDS: dict[JobState, dict[str, Any]] = {
    JobState.QUEUED: {},
    JobState.RUNNING: {"claim": uuid.UUID(int=1), "claimed_until": WALL_NOW, "started_at": WALL_NOW},
    JobState.COMPLETED: {"result": {}, **OVER},
    JobState.FAILED: {"error": "no", **OVER},
    JobState.CANCELED: {"cancel_asked_by": "ann", "cancel_asked_at": WALL_NOW, **OVER},
}
PATH = {
    JobState.QUEUED: [],
    JobState.RUNNING: [JobState.RUNNING],
    **{over: [JobState.RUNNING, over] for over in JOB_OVER},
}
CLEAN: dict[str, Any] = {
    "claim": None, "claimed_until": None, "finished_at": None, "result": None, "error": "",
    "cancel_asked_by": "", "cancel_asked_at": None,
}  # fmt: skip


def job_in(state: JobState) -> Job:
    job = Job.objects.create(kind="wait", parameters={}, asked_by="ann")
    for step in PATH[state]:
        put(job, step)
    return job


def put(job: Job, state: JobState) -> None:
    Job.objects.filter(pk=job.pk).update(state=state, **CLEAN | FIELDS[state])


def constraint_of(error: IntegrityError) -> str | None:
    cause: Any = error.__cause__
    found: str | None = cause.diag.constraint_name
    return found


@pytest.mark.parametrize(("before", "after"), list(product(JobState, JobState)))
def test_every_pair_of_states(before: JobState, after: JobState) -> None:
    job = job_in(before)
    if after in JOB_MOVES[before] or (before == after and before not in JOB_OVER):
        put(job, after)
        assert Job.objects.get().state == after
    elif before == after:
        put(job, after)  # nothing changes
    else:
        with pytest.raises(IntegrityError) as refused, transaction.atomic():
            put(job, after)
        assert constraint_of(refused.value) in {"job_move_allowed", "job_wish_and_end_kept"}


@pytest.mark.parametrize("state", [state for state in JobState if state != JobState.QUEUED])
def test_a_job_begins_queued(state: JobState) -> None:
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        Job.objects.create(kind="wait", parameters={}, asked_by="ann", state=state, **FIELDS[state])
    assert constraint_of(refused.value) == "job_begins_queued"


@pytest.mark.parametrize("state", list(JobState))
def test_only_what_is_over_is_deleted(state: JobState) -> None:
    job = job_in(state)
    if state in JOB_OVER:
        job.delete()
        return
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        job.delete()
    assert constraint_of(refused.value) == "job_deleted_when_over"


@pytest.mark.parametrize(
    "change", [{"kind": "train"}, {"parameters": {"n": 2}}, {"asked_by": "bob"}, {"asked_at": WALL_NOW}]
)
def test_the_wish_stays_as_it_was(change: dict[str, Any]) -> None:
    job = job_in(JobState.QUEUED)
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        Job.objects.filter(pk=job.pk).update(**change)
    assert constraint_of(refused.value) == "job_wish_and_end_kept"


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"state": "asleep"}, "job_state_known"),
        ({"state": "running"}, "job_running_is_claimed"),
        ({"claim": uuid.UUID(int=1)}, "job_running_is_claimed"),
        ({"finished_at": WALL_NOW}, "job_finished_when_over"),
        ({"error": "no"}, "job_failed_says_why"),
        ({"result": {}}, "job_result_when_completed"),
        ({"cancel_asked_by": "ann"}, "job_cancel_has_name_and_time"),
        ({"done": 3, "total": 2}, "job_done_within_total"),
    ],
)
def test_fields_fit_the_state(change: dict[str, Any], name: str) -> None:
    job = job_in(JobState.QUEUED)
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        Job.objects.filter(pk=job.pk).update(**change)
    assert constraint_of(refused.value) in {name, "job_move_allowed"}
