"""A worker that hangs is ended, one that works or is just starting never."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django_q.models import OrmQ

from risk.models import Alert
from tests.factories import WALL_NOW
from trading.services.heartbeats import beat
from trading.services.worker_watch import SILENCE, WorkerWatch, ask_for_sign_of_life
from trading.supervisor import ChildState, running_child
from trading.tasks import LATE, enqueue

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that leads a group, as the supervisor's children do."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def state_file(folder: Path, pid: int, *, since: float = 0, state: str = ChildState.RUNNING) -> Path:
    path = folder / "supervisor.json"
    row = {"name": "worker", "pid": pid, "state": state, "since": since, "restarts": 0, "last_exit": None}
    path.write_text(json.dumps({"pid": os.getpid(), "processes": [row]}))
    return path


def silence(watch: WorkerWatch, seconds: int) -> list[int]:
    """Look every second, without a sign of life; return the seconds at which the worker was ended."""
    return [second for second in range(1, seconds + 1) if watch.check(WALL_NOW + second * SECOND)]


def test_r5_a_silent_worker_is_ended_with_its_group(tmp_path: Path, worker: subprocess.Popen[bytes]) -> None:
    watch = WorkerWatch(since=WALL_NOW, state_file=state_file(tmp_path, worker.pid))
    assert silence(watch, 61) == [61]
    assert worker.wait(5) == -9
    assert "its supervisor starts it again" in Alert.objects.get(code="worker_hangs").message


def test_a_sign_of_life_is_enough_and_resolves_the_alert(tmp_path: Path, worker: subprocess.Popen[bytes]) -> None:
    watch = WorkerWatch(since=WALL_NOW, state_file=state_file(tmp_path, worker.pid))
    silence(watch, 61)
    beat(name="worker", wall_now=WALL_NOW + 62 * SECOND)
    watch.check(WALL_NOW + 62 * SECOND)
    assert Alert.objects.get().state == "resolved"
    for second in range(63, 120):
        beat(name="worker", wall_now=WALL_NOW + second * SECOND)
        assert not watch.check(WALL_NOW + second * SECOND)


def test_what_an_earlier_clock_told_is_resolved_by_the_next(tmp_path: Path) -> None:
    silence(WorkerWatch(since=WALL_NOW, state_file=tmp_path / "none.json"), 61)
    beat(name="worker", wall_now=WALL_NOW + 70 * SECOND)
    later = WorkerWatch(since=WALL_NOW + 65 * SECOND, state_file=tmp_path / "none.json")
    later.check(WALL_NOW + 70 * SECOND)
    assert Alert.objects.get().state == "resolved"


def test_a_sign_of_life_from_the_future_is_none(tmp_path: Path, worker: subprocess.Popen[bytes]) -> None:
    watch = WorkerWatch(since=WALL_NOW, state_file=state_file(tmp_path, worker.pid))
    beat(name="worker", wall_now=WALL_NOW + timedelta(hours=1))
    assert silence(watch, 61) == [61]


def test_a_worker_that_was_just_started_is_left_alone(tmp_path: Path, worker: subprocess.Popen[bytes]) -> None:
    started = (WALL_NOW + 30 * SECOND).timestamp()
    watch = WorkerWatch(since=WALL_NOW, state_file=state_file(tmp_path, worker.pid, since=started))
    assert silence(watch, 61) == []
    assert worker.poll() is None


def test_without_a_supervisor_people_are_told(tmp_path: Path) -> None:
    watch = WorkerWatch(since=WALL_NOW, state_file=tmp_path / "none.json")
    assert silence(watch, 61) == []
    assert "no supervisor" in Alert.objects.get().message


def test_136_a_clock_that_slept_begins_anew(tmp_path: Path, worker: subprocess.Popen[bytes]) -> None:
    watch = WorkerWatch(since=WALL_NOW, state_file=state_file(tmp_path, worker.pid))
    watch.check(WALL_NOW + SECOND)
    assert not watch.check(WALL_NOW + timedelta(hours=8))
    assert worker.poll() is None


@pytest.mark.parametrize("text", ["", "{}", '{"pid": 4194304999, "processes": []}', '{"pid": "x"}', "[]"])
def test_a_state_file_that_says_nothing_names_no_process(tmp_path: Path, text: str) -> None:
    path = tmp_path / "supervisor.json"
    path.write_text(text)
    assert running_child(path, "worker") is None


def test_patience_is_longer_than_a_task_may_take() -> None:
    assert timedelta(seconds=30) * 2 <= SILENCE


# Asking


def asked() -> list[str]:
    return [row.task["args"][1] for row in OrmQ.objects.order_by("pk") if row.task["args"][0] == "worker_heartbeat"]


def waiting() -> None:
    """Let everything in the queue have been put there at the moment of the tests."""
    OrmQ.objects.update(lock=WALL_NOW)


def test_while_nobody_takes_tasks_one_question_waits() -> None:
    assert ask_for_sign_of_life(WALL_NOW)
    waiting()
    assert not any(ask_for_sign_of_life(WALL_NOW + second * SECOND) for second in range(10, 600, 10))
    assert asked() == [WALL_NOW.isoformat()]


def test_a_question_that_a_dead_worker_has_taken_does_not_wait() -> None:
    ask_for_sign_of_life(WALL_NOW)
    OrmQ.objects.update(lock=WALL_NOW + timedelta(seconds=settings.Q_CLUSTER["retry"]))
    assert ask_for_sign_of_life(WALL_NOW + 10 * SECOND)


def test_a_question_that_would_be_refused_gives_way_to_a_new_one() -> None:
    ask_for_sign_of_life(WALL_NOW)
    waiting()
    later = WALL_NOW + LATE + SECOND
    assert ask_for_sign_of_life(later)
    assert asked() == [later.isoformat()]


def test_what_else_waits_does_not_count() -> None:
    enqueue("reconcile", 7)
    waiting()
    assert ask_for_sign_of_life(WALL_NOW)
    assert OrmQ.objects.count() == 2
