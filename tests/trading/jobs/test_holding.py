"""A job is held by a lease and a fence; who has lost it writes nothing any more."""

import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.factories import WALL_NOW
from tests.trading.jobs.conftest import asked
from trading import job_kinds
from trading.errors import JobLostError
from trading.models import Job
from trading.services import jobs
from trading.services.jobs import holding, keeping
from trading.services.jobs.holding import LARGEST_RESULT, LEASE, Held

pytestmark = pytest.mark.django_db
LATER = WALL_NOW + LEASE + timedelta(seconds=1)
STRANGER = uuid.UUID(int=7)


def taken(kind: str = "twice") -> Held:
    asked(kind)
    return take()


def take() -> Held:
    job = holding.take(now=WALL_NOW)
    assert job is not None
    assert job.claim is not None
    return Held(job.pk, job.claim)


def row() -> Job:
    return Job.objects.get()


def test_who_waits_longest_comes_first() -> None:
    first, second = asked(), asked()
    assert [take().job_id, take().job_id] == [first.pk, second.pk]
    assert holding.take(now=WALL_NOW) is None


def test_a_kind_that_is_gone_fails_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    job, other = asked("twice"), asked("once")
    monkeypatch.delitem(job_kinds.KINDS, "twice")
    assert take().job_id == other.pk
    job.refresh_from_db()
    assert job.state == "failed"
    assert job.error.startswith("kind = twice: allowed is one of")


def test_progress_is_written_within_its_bounds() -> None:
    held = taken()
    assert holding.tell(held, done=12, total=10, what="x" * 300 + "\x00", now=WALL_NOW) is False
    assert (row().done, row().total, len(row().what), row().told_at) == (10, 10, 120, WALL_NOW)
    holding.tell(held, done=-3, total=-1, what="", now=WALL_NOW)
    assert (row().done, row().total) == (0, 0)


def test_who_tells_hears_that_the_end_was_asked_for() -> None:
    held = taken()
    jobs.cancel(job_id=held.job_id, asked_by="bob", now=WALL_NOW)
    assert holding.tell(held, done=1, total=2, what="", now=WALL_NOW) is True


WRITES: dict[str, Callable[[Held], object]] = {
    "tell": lambda held: holding.tell(held, done=1, total=2, what="", now=WALL_NOW),
    "complete": lambda held: holding.complete(held, result={}, now=WALL_NOW),
    "fail": lambda held: holding.fail(held, error="no", now=WALL_NOW),
    "end_canceled": lambda held: holding.end_canceled(held, now=WALL_NOW),
    "give_back": lambda held: holding.give_back(held, now=WALL_NOW),
    "held_job": holding.held_job,
}


@pytest.mark.parametrize("name", sorted(WRITES))
def test_another_claim_writes_nothing(name: str) -> None:
    held = taken()
    before = Job.objects.values().get()
    with pytest.raises(JobLostError):
        WRITES[name](Held(held.job_id, STRANGER))
    assert Job.objects.values().get() == before


@pytest.mark.parametrize("name", sorted(WRITES))
def test_what_was_believed_dead_writes_nothing_after_its_successor(name: str) -> None:
    old = taken()
    holding.recover_lost(now=LATER)
    new = take()
    assert new.job_id == old.job_id
    with pytest.raises(JobLostError):
        WRITES[name](old)
    holding.complete(new, result={"by": "the successor"}, now=LATER)
    assert row().result == {"by": "the successor"}


def test_a_lost_job_begins_again_as_often_as_its_kind_allows() -> None:
    taken()
    holding.recover_lost(now=LATER)
    assert (row().state, row().attempts, row().what) == ("queued", 1, "no sign of life of its process; begins again")
    take()
    holding.recover_lost(now=LATER)
    assert (row().state, row().attempts) == ("failed", 2)
    assert row().error == "no sign of life of its process in 2 attempts, which is all its kind has"


def test_a_lost_job_that_cannot_begin_again_has_failed_and_says_so() -> None:
    taken("once")
    holding.recover_lost(now=LATER)
    assert row().state == "failed"
    assert "does not begin again by itself" in row().error


def test_a_lost_job_whose_end_was_asked_for_is_canceled() -> None:
    held = taken()
    jobs.cancel(job_id=held.job_id, asked_by="bob", now=WALL_NOW)
    holding.recover_lost(now=LATER)
    assert row().state == "canceled"


def test_a_renewed_lease_is_not_lost() -> None:
    held = taken()
    assert set(holding.renew([held, Held(held.job_id, STRANGER)], now=LATER)) == {held.job_id}
    assert holding.recover_lost(now=LATER + timedelta(seconds=5)) == []


def test_what_is_given_back_has_used_no_attempt() -> None:
    holding.give_back(taken(), now=WALL_NOW)
    assert (row().state, row().attempts, row().claim) == ("queued", 0, None)


def test_what_cannot_begin_again_fails_when_it_is_given_back() -> None:
    holding.give_back(taken("once"), now=WALL_NOW)
    assert row().error == "the platform was stopped, and a job of the kind once does not begin again"


def test_a_result_that_is_too_large_or_no_json_is_refused() -> None:
    held = taken()
    for result in ({"x": "y" * LARGEST_RESULT}, {"x": float("inf")}):
        with pytest.raises(ValueError):
            holding.complete(held, result=result, now=WALL_NOW)
    with pytest.raises(TypeError):
        holding.complete(held, result={"x": object()}, now=WALL_NOW)
    assert row().state == "running"


def test_an_error_without_words_still_says_something() -> None:
    holding.fail(taken(), error=" \x00", now=WALL_NOW)
    assert row().error == "no reason was given"


def test_the_log_of_an_earlier_attempt_is_not_kept() -> None:
    held = taken()
    holding.keep_log(held.job_id, 2, "of nobody")
    assert row().log == ""
    holding.keep_log(held.job_id, 1, "a\x00b" + "c" * 10_000)
    assert len(row().log) <= 8_192


def test_old_jobs_are_forgotten_and_new_ones_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MOST_KEPT", 3)
    old = WALL_NOW - keeping.KEPT_FOR - timedelta(days=1)
    ends = [old, WALL_NOW, old, WALL_NOW, WALL_NOW, WALL_NOW]
    for at in ends:
        held = taken()
        holding.complete(held, result={}, now=at)
    waiting = asked()
    assert keeping.forget_old(now=WALL_NOW) == 3
    assert Job.objects.count() == 4
    assert Job.objects.filter(pk=waiting.pk).exists()
