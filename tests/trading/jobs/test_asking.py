"""What may be asked for, and what a wish comes to."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from signals.parameters import BadParameter
from tests.factories import WALL_NOW
from tests.trading.jobs.conftest import asked
from trading.errors import JobKeyUsedError, JobNotOverError, JobOverError, TooManyJobsError
from trading.job_kinds import KINDS, checks_of, runs_of
from trading.models import Job
from trading.services import jobs
from trading.services.jobs import asking, holding
from trading.services.jobs.holding import Held

THREADS = 8


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_kind_of_the_table_can_be_imported(name: str) -> None:
    assert callable(checks_of(KINDS[name]))
    assert callable(runs_of(KINDS[name]))
    assert KINDS[name].title


@pytest.mark.django_db
def test_a_wish_waits_with_its_parameters_as_they_were_read() -> None:
    job = jobs.ask("twice", {}, asked_by="ann", now=WALL_NOW)
    assert (job.state, job.parameters, job.asked_by, job.attempts) == ("queued", {"n": 1}, "ann", 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "parameters", "field", "said"),
    [
        ("nothing", {}, "kind", "one of"),
        ("twice", {"n": 10}, "n", "a whole number from 1 to 9"),
        ("twice", {"n": True}, "n", "a whole number from 1 to 9"),
        ("twice", {"m": 1}, "m", "only n"),
        ("twice", {"n": float("nan")}, "parameters", "finite"),
        ("twice", {"n": "x" * 70_000}, "parameters", "at most 65536 characters"),
        ("twice", [1], "parameters", "an object"),
    ],
)
def test_a_wish_that_cannot_be_is_refused_by_name(kind: str, parameters: Any, field: str, said: str) -> None:
    with pytest.raises(BadParameter) as refused:
        jobs.ask(kind, parameters, asked_by="ann", now=WALL_NOW)
    assert refused.value.field == field
    assert said in refused.value.allowed
    assert not Job.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("fields", [{"asked_by": ""}, {"asked_by": "x" * 151}, {"idempotency_key": "x" * 129}])
def test_names_and_keys_have_a_length(fields: dict[str, str]) -> None:
    with pytest.raises(BadParameter):
        asked(**fields)


@pytest.mark.django_db
def test_the_same_key_gives_the_same_job_and_other_parameters_are_refused() -> None:
    first = asked(idempotency_key="k")
    assert asked(idempotency_key="k").pk == first.pk
    assert asked(idempotency_key="k", asked_by="bob").pk != first.pk
    with pytest.raises(JobKeyUsedError, match="other parameters"):
        asked(idempotency_key="k", n=2)


@pytest.mark.django_db
def test_a_full_queue_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MOST_QUEUED", 2)
    asked(), asked()
    with pytest.raises(TooManyJobsError, match="2 jobs wait already"):
        asked()


@pytest.mark.django_db
def test_what_waits_is_canceled_at_once_and_cannot_be_again() -> None:
    job = jobs.cancel(job_id=asked().pk, asked_by="bob", now=WALL_NOW)
    assert (job.state, job.cancel_asked_by, job.finished_at) == ("canceled", "bob", WALL_NOW)
    with pytest.raises(JobOverError, match="is canceled"):
        jobs.cancel(job_id=job.pk, asked_by="bob", now=WALL_NOW)


@pytest.mark.django_db
def test_what_runs_is_asked_to_end_once() -> None:
    asked()
    taken = holding.take(now=WALL_NOW)
    assert taken is not None
    job = jobs.cancel(job_id=taken.pk, asked_by="bob", now=WALL_NOW)
    assert (job.state, job.cancel_asked_by) == ("running", "bob")
    assert jobs.cancel(job_id=taken.pk, asked_by="cid", now=WALL_NOW).cancel_asked_by == "bob"


@pytest.mark.django_db
def test_only_what_is_over_is_asked_for_again() -> None:
    job = asked(n=3)
    with pytest.raises(JobNotOverError, match="is queued"):
        jobs.ask_again(job=job, asked_by="bob", now=WALL_NOW)
    taken = holding.take(now=WALL_NOW)
    assert taken is not None
    assert taken.claim is not None
    holding.fail(Held(taken.pk, taken.claim), error="no", now=WALL_NOW)
    again = jobs.ask_again(job=Job.objects.get(pk=job.pk), asked_by="bob", now=WALL_NOW)
    assert (again.parameters, again.asked_by, again.state) == ({"n": 3}, "bob", "queued")


@pytest.mark.django_db(transaction=True)
def test_one_key_used_at_the_same_moment_makes_one_job() -> None:
    barrier = Barrier(THREADS)

    def wish(_: int) -> int:
        try:
            connection.ensure_connection()
            barrier.wait(30)
            return int(asked(idempotency_key="k").pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        found = set(pool.map(wish, range(THREADS)))
    assert len(found) == Job.objects.count() == 1
