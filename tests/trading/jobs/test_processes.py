"""Jobs in real processes: done, canceled, killed, stopped, orphaned."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event

import psutil
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from marketdata.clock import wall_now
from tests.faults.killing import database_environment
from trading.job_process import NICE, JobProcess
from trading.management.commands import run_job
from trading.models import Job
from trading.services import jobs
from trading.services.jobs import holding
from trading.services.jobs.holding import LEASE
from trading.services.jobs.rounds import JobRounds

pytestmark = pytest.mark.django_db(transaction=True)
MANAGE = Path(settings.BASE_DIR) / "manage.py"
WITHIN = timedelta(seconds=60)
PAUSE = Event()


@pytest.fixture(autouse=True)
def _database(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in database_environment().items():
        monkeypatch.setenv(name, value)


def until(holds: Callable[[], bool]) -> None:
    end = wall_now() + WITHIN
    while not holds():
        assert wall_now() < end, list(Job.objects.values("state", "what", "error", "log"))
        PAUSE.wait(0.05)


def wait_job(seconds: int) -> Job:
    return jobs.ask("wait", {"seconds": seconds}, asked_by="ann", now=wall_now())


@pytest.fixture
def rounds() -> Iterator[JobRounds]:
    processes: list[JobProcess] = []

    def start(job: Job) -> JobProcess:
        processes.append(JobProcess(job, manage=MANAGE))
        return processes[-1]

    yield JobRounds(start=start, at_once=1)
    for process in processes:
        process.close()


def turn(rounds: JobRounds, holds: Callable[[], bool]) -> None:
    """Do rounds until something holds."""

    def look() -> bool:
        rounds.round(wall_now())
        return holds()

    until(look)


def state_of(job: Job) -> str:
    return str(Job.objects.get(pk=job.pk).state)


def has_begun(job: Job) -> bool:
    return Job.objects.filter(pk=job.pk, done__gt=0).exists()


def pid_of(rounds: JobRounds) -> int:
    (running,) = rounds.running.values()
    assert isinstance(running.process, JobProcess)
    return running.process.process.pid


def test_one_job_is_done_by_the_command_and_its_failure_is_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    job = wait_job(0)
    call_command("run_jobs", "--once")
    job.refresh_from_db()
    assert (job.state, job.result, job.what) == ("completed", {"seconds": 0}, "waited")
    assert f"wait job {job.pk}: completed" in capsys.readouterr().out
    call_command("run_jobs", "--once")
    assert "no job waits" in capsys.readouterr().out


def test_a_cancel_ends_the_work_by_its_own_progress(rounds: JobRounds) -> None:
    job = wait_job(600)
    turn(rounds, lambda: has_begun(job))
    assert os.getpriority(os.PRIO_PROCESS, pid_of(rounds)) >= NICE
    jobs.cancel(job_id=job.pk, asked_by="bob", now=wall_now())
    (running,) = rounds.running.values()
    turn(rounds, lambda: state_of(job) == "canceled")
    assert not running.killed


def test_a_killed_child_is_a_failure_that_names_the_signal(rounds: JobRounds) -> None:
    job = wait_job(600)
    turn(rounds, lambda: has_begun(job))
    os.kill(pid_of(rounds), signal.SIGKILL)
    turn(rounds, lambda: state_of(job) == "failed")
    job.refresh_from_db()
    assert job.error.startswith("its process was ended by SIGKILL")


def jobs_process() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(MANAGE), "run_jobs"], env=dict(os.environ), stdin=subprocess.DEVNULL)


def test_a_stop_puts_the_job_back_and_a_killed_process_takes_its_child_along() -> None:
    job = wait_job(600)
    process = jobs_process()
    until(lambda: has_begun(job))
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("queued", 0)

    process = jobs_process()
    until(lambda: has_begun(job) and state_of(job) == "running")
    children = psutil.Process(process.pid).children()
    process.kill()
    process.wait()
    psutil.wait_procs(children, timeout=30)
    assert children
    assert not any(child.is_running() for child in children)
    assert state_of(job) == "running"
    holding.recover_lost(now=wall_now() + LEASE * 2)
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("queued", 1)


def test_a_job_that_is_somebody_else_s_is_not_worked_on() -> None:
    job = wait_job(0)
    with pytest.raises(CommandError, match="held by somebody else, or over"):
        call_command("run_job", str(job.pk), "00000000-0000-0000-0000-000000000001")


def test_what_the_work_raises_is_stored_and_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    job = wait_job(0)
    taken = holding.take(now=wall_now())
    assert taken is not None

    def broken(_: object) -> object:
        def work(*_: object) -> dict[str, object]:
            raise RuntimeError(f"the key is {settings.SECRET_KEY}")

        return work

    monkeypatch.setattr(run_job, "runs_of", broken)
    with pytest.raises(RuntimeError):
        call_command("run_job", str(job.pk), str(taken.claim))
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "RuntimeError: the key is [hidden]")
