"""How the process `jobs` looks after what runs, and what it makes of each end. The processes are pretended."""

import signal
from datetime import datetime, timedelta

import pytest

from tests.factories import WALL_NOW
from tests.trading.jobs.conftest import asked
from trading.models import Job
from trading.services import jobs
from trading.services.jobs import holding
from trading.services.jobs.holding import LEASE, Held
from trading.services.jobs.rounds import GRACE, LAST_GRACE, JobRounds

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


class Pretended:
    """A process that ends when the test says so, or by the signals it obeys."""

    def __init__(self, job: Job) -> None:
        self.held = Held(job.pk, job.claim)
        self.code: int | None = None
        self.text = f"attempt {job.attempts}"
        self.signals: list[signal.Signals] = []
        self.obeys = {signal.SIGTERM, signal.SIGKILL}
        self.closed = False

    def exit_code(self) -> int | None:
        return self.code

    def output(self) -> str:
        return self.text

    def signal(self, number: signal.Signals) -> None:
        self.signals.append(number)
        if number in self.obeys:
            self.code = -number

    def close(self) -> None:
        self.closed = True


class Desk:
    """The rounds, their clock and their processes."""

    def __init__(self, at_once: int = 2) -> None:
        self.now: datetime = WALL_NOW
        self.started: list[Pretended] = []
        self.rounds = JobRounds(start=self.start, at_once=at_once)

    def start(self, job: Job) -> Pretended:
        self.started.append(Pretended(job))
        return self.started[-1]

    def run(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.rounds.round(self.now)
            self.now += SECOND


@pytest.fixture
def desk() -> Desk:
    return Desk()


def row() -> Job:
    return Job.objects.get()


def test_only_so_many_run_beside_each_other(desk: Desk) -> None:
    for _ in range(3):
        asked()
    desk.run()
    assert len(desk.started) == 2
    holding.complete(desk.started[0].held, result={}, now=desk.now)
    desk.started[0].code = 0
    desk.run()
    assert len(desk.started) == 3
    assert desk.started[0].closed


def test_leases_are_renewed_for_as_long_as_it_runs(desk: Desk) -> None:
    asked()
    desk.run(int(LEASE.total_seconds()) * 3)
    assert (row().state, row().attempts) == ("running", 1)


def test_the_end_of_the_output_is_kept_while_it_runs_and_after(desk: Desk) -> None:
    asked()
    desk.run(2)
    assert row().log == "attempt 1"
    desk.started[0].text = "last words"
    holding.complete(desk.started[0].held, result={}, now=desk.now)
    desk.started[0].code = 0
    desk.run()
    assert (row().state, row().log) == ("completed", "last words")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (-9, "its process was ended by SIGKILL; perhaps the machine ran out of memory"),
        (-11, "its process was ended by SIGSEGV"),
        (4, "its process ended with exit code 4 and told no result; the log says more"),
        (0, "its process ended with exit code 0 and told no result; the log says more"),
    ],
)
def test_a_process_that_ends_without_a_word_has_failed(desk: Desk, code: int, said: str) -> None:
    asked()
    desk.run()
    desk.started[0].code = code
    desk.run()
    assert (row().state, row().error) == ("failed", said)


def test_a_cancel_is_left_time_then_term_then_kill(desk: Desk) -> None:
    asked()
    desk.run()
    process = desk.started[0]
    process.obeys = {signal.SIGKILL}
    jobs.cancel(job_id=row().pk, asked_by="bob", now=desk.now)
    desk.run(int(GRACE.total_seconds()))
    assert process.signals == []
    desk.run(int(LAST_GRACE.total_seconds()))
    assert set(process.signals) == {signal.SIGTERM}
    desk.run(2)
    assert process.signals[-1] == signal.SIGKILL
    assert (row().state, row().error) == ("canceled", "")


def test_what_completes_after_its_cancel_was_asked_for_is_complete(desk: Desk) -> None:
    asked()
    desk.run()
    jobs.cancel(job_id=row().pk, asked_by="bob", now=desk.now)
    holding.complete(desk.started[0].held, result={"n": 1}, now=desk.now)
    desk.started[0].code = 0
    desk.run()
    assert (row().state, row().result) == ("completed", {"n": 1})


def test_what_takes_longer_than_its_kind_may_is_ended(desk: Desk) -> None:
    asked()
    desk.run()
    desk.now += timedelta(hours=13)
    holding.renew([desk.started[0].held], now=desk.now)
    desk.run(3)
    assert desk.started[0].signals == [signal.SIGKILL]
    assert row().error == "it took longer than 12:00:00, which is the most for a job of the kind twice"


def test_a_process_that_has_lost_its_job_is_ended_and_writes_nothing(desk: Desk) -> None:
    asked()
    desk.run()
    desk.started[0].obeys = {signal.SIGKILL}
    desk.rounds.at_once = 1
    holding.recover_lost(now=desk.now + LEASE * 2)
    other = holding.take(now=desk.now)
    assert other is not None
    desk.run(int((GRACE + LAST_GRACE).total_seconds()) + 2)
    assert desk.started[0].signals[-1] == signal.SIGKILL
    assert row().claim == other.claim
    assert desk.rounds.running == {}


def test_a_machine_that_slept_does_not_lose_what_it_runs(desk: Desk) -> None:
    asked()
    desk.run()
    desk.now += timedelta(hours=8)
    desk.run(2)
    assert (row().state, row().attempts, desk.started[0].signals) == ("running", 1, [])


def test_a_stop_puts_back_what_runs(desk: Desk) -> None:
    asked(), asked("once")
    desk.run()
    desk.rounds.stop(desk.now, lambda: None)
    assert list(Job.objects.order_by("pk").values_list("kind", "state", "attempts")) == [
        ("twice", "queued", 0),
        ("once", "failed", 1),
    ]
    assert all(process.signals[0] == signal.SIGTERM for process in desk.started)


def test_a_stop_waits_no_longer_than_it_may(desk: Desk) -> None:
    asked()
    desk.run()
    desk.started[0].obeys = set()

    def no_time() -> None:
        raise TimeoutError

    desk.rounds.stop(desk.now, no_time)
    assert row().state == "queued"
    assert desk.started[0].closed


def test_a_process_that_cannot_be_started_is_a_failure_with_its_reason() -> None:
    def refuse(_: Job) -> Pretended:
        raise OSError("no memory")

    asked()
    JobRounds(start=refuse, at_once=1).round(WALL_NOW)
    assert row().error == "its process cannot be started: no memory"
