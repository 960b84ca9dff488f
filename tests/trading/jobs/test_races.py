"""Many who take from the queue at once take each job once; and what a missing lock would do."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection
from django.db.models import QuerySet

from tests.factories import WALL_NOW
from tests.trading.jobs.conftest import asked
from trading.errors import JobOverError
from trading.models import Job
from trading.services import jobs
from trading.services.jobs import holding
from trading.services.jobs.holding import LEASE, Held
from trading.states import JobState

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 8
JOBS = 24
TRIES = 20


def all_at_once(work: object) -> list[object]:
    """Run the same in every thread from the same moment."""
    barrier = Barrier(THREADS)

    def run(_: int) -> object:
        try:
            connection.ensure_connection()
            barrier.wait(30)
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def take_all() -> list[int]:
    found = []
    while (job := holding.take(now=WALL_NOW)) is not None:
        found.append(job.pk)
    return found


def taken_by_all() -> Counter[int]:
    return Counter(pk for found in all_at_once(take_all) for pk in found)


def test_each_job_is_taken_once() -> None:
    wanted = {asked().pk for _ in range(JOBS)}
    assert taken_by_all() == Counter(dict.fromkeys(wanted, 1))


def test_without_the_lock_one_job_is_taken_by_several(monkeypatch: pytest.MonkeyPatch) -> None:
    barrier = Barrier(2, timeout=5)

    def unlocked() -> QuerySet[Job]:
        found = Job.objects.filter(state=JobState.QUEUED).order_by("pk")
        list(found)
        return found

    monkeypatch.setattr(holding, "_waiting", unlocked)
    real = holding._begin

    def begin_together(job: Job, now: object) -> Job:
        barrier.wait()
        return real(job, now)

    monkeypatch.setattr(holding, "_begin", begin_together)
    job = asked()

    def one(_: int) -> int:
        try:
            found = holding.take(now=WALL_NOW)
            return 0 if found is None else found.pk
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(one, range(2))) == [job.pk, job.pk]


def test_a_lost_job_is_settled_once() -> None:
    for _ in range(JOBS):
        asked()
    take_all()
    later = WALL_NOW + LEASE + timedelta(seconds=1)
    found = Counter(pk for settled in all_at_once(lambda: holding.recover_lost(now=later)) for pk in settled)
    assert len(found) == JOBS
    assert set(found.values()) == {1}
    assert set(Job.objects.values_list("state", "attempts")) == {("queued", 1)}


def test_end_and_cancel_at_once_leave_one_of_them() -> None:
    for _ in range(TRIES):
        asked()
        job = holding.take(now=WALL_NOW)
        held = Held(job.pk, job.claim)
        barrier = Barrier(2)

        def complete(held: Held = held, barrier: Barrier = barrier) -> None:
            barrier.wait(30)
            holding.complete(held, result={}, now=WALL_NOW)

        def cancel(held: Held = held, barrier: Barrier = barrier) -> None:
            barrier.wait(30)
            jobs.cancel(job_id=held.job_id, asked_by="bob", now=WALL_NOW)

        def run(one: object) -> str:
            try:
                one()
                return ""
            except JobOverError as error:
                return type(error).__name__
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            said = list(pool.map(run, [complete, cancel]))
        assert said in (["", ""], ["", "JobOverError"])
        assert Job.objects.get(pk=held.job_id).state == "completed"
