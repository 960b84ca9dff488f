"""Only what is on the list can be asked of the worker, and asking twice does the work once."""

from datetime import timedelta

import pytest
from django_q.models import OrmQ

from execution.models import Account, AccountDay
from marketdata import calendar
from marketdata.clock import wall_now
from tests.factories import WALL_NOW
from trading import tasks
from trading.models import Heartbeat, Run
from trading.states import RunState


def test_only_listed_tasks_can_be_enqueued(db: None) -> None:
    tasks.enqueue("worker_heartbeat", WALL_NOW.isoformat())
    queued = OrmQ.objects.get().task
    assert (queued["func"], queued["args"][0]) == ("trading.tasks.perform", "worker_heartbeat")
    with pytest.raises(KeyError):
        tasks.enqueue("os.system", "true")


def test_task_that_waited_too_long_is_not_begun(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_at = (WALL_NOW - tasks.LATE - timedelta(seconds=1)).isoformat()
    monkeypatch.setattr(tasks, "wall_now", lambda: WALL_NOW)
    assert tasks.perform("worker_heartbeat", asked_at, asked_at=asked_at) == tasks.TOO_LATE
    assert not Heartbeat.objects.exists()
    in_time = (WALL_NOW - tasks.LATE).isoformat()
    tasks.perform("worker_heartbeat", in_time, asked_at=in_time)
    assert Heartbeat.objects.filter(name="worker").exists()


def test_heartbeat_tells_how_long_it_waited(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "wall_now", lambda: WALL_NOW + timedelta(milliseconds=70))
    tasks.worker_heartbeat(WALL_NOW.isoformat())
    assert Heartbeat.objects.get(name="worker").detail == {"waited_ms": 70}


def test_daily_run_twice_is_one_run(desk: Account) -> None:
    day = calendar.trading_date(desk.feed.market_now(WALL_NOW)).isoformat()
    assert tasks.run_daily(desk.pk, "momentum", day) == RunState.AWAITING_FILLS
    assert tasks.run_daily(desk.pk, "momentum", day) == RunState.AWAITING_FILLS
    assert Run.objects.count() == 1
    assert tasks.finish_run(Run.objects.get().pk) == RunState.COMPLETED


def test_run_that_somebody_else_works_on_is_left_alone(desk: Account) -> None:
    day = calendar.trading_date(desk.feed.market_now(WALL_NOW)).isoformat()
    tasks.run_daily(desk.pk, "momentum", day)
    held = {"claim": "00000000-0000-0000-0000-000000000001", "claimed_until": wall_now() + timedelta(hours=1)}
    Run.objects.update(state=RunState.RUNNING, **held)
    assert tasks.run_daily(desk.pk, "momentum", day) == RunState.RUNNING
    Run.objects.update(state=RunState.AWAITING_FILLS)
    assert tasks.finish_run(Run.objects.get().pk) == RunState.AWAITING_FILLS


def test_missed_run_is_recorded(desk: Account) -> None:
    assert tasks.skip_daily(desk.pk, "momentum", "2012-01-04") == RunState.SKIPPED
    assert Run.objects.get().reason.startswith("missed")


def test_day_is_closed_once(desk: Account) -> None:
    assert tasks.close_day(desk.pk, "2012-01-03") == tasks.close_day(desk.pk, "2012-01-03")
    assert AccountDay.objects.get().date.isoformat() == "2012-01-03"
