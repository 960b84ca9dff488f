"""The checker finds runs that were not done once in effect and that nobody would see."""

from datetime import timedelta
from uuid import uuid4

import pytest

from execution.models import Account, Order, Strategy
from marketdata import calendar
from tests.factories import WALL_NOW, D, allow_bursts, make_account, make_order
from trading.invariants import ABANDONED_AFTER, check_runs
from trading.models import Run, RunStep
from trading.states import RunState, StepName, StepState

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    return make_account()


def make_run(account: Account, **fields) -> Run:
    """Make a completed run with all its steps."""
    day = calendar.next_session(WALL_NOW.date())
    values = {
        "strategy": Strategy.objects.get(name="manual"),
        "trading_date": day,
        "as_of_date": calendar.previous_session(day),
        "state": RunState.COMPLETED,
        "sizing": {},
        "finished_at": WALL_NOW,
    }
    run = Run.objects.create(account=account, **values | fields)
    for name in StepName:
        RunStep.objects.create(run=run, name=name, state=StepState.COMPLETED, started_at=WALL_NOW, finished_at=WALL_NOW)
    return run


def test_a_run_that_was_done_is_no_violation(account):
    run = make_run(account)
    make_order(account, source_ref=f"run:{run.pk}")
    assert check_runs(account, wall_now=WALL_NOW) == []


@pytest.mark.parametrize("state", ["missing", "failed"])
def test_i7_a_completed_run_without_a_step_is_found(account, state):
    run = make_run(account)
    step = RunStep.objects.filter(run=run, name=StepName.REPORT)
    if state == "missing":
        step.delete()
    else:
        step.update(state=StepState.FAILED, error="no bars")
    [found] = check_runs(account, wall_now=WALL_NOW)
    assert str(found) == f"I7 run {run.pk}: is completed without report"


def test_i7_a_run_that_ordered_twice_is_found(account):
    allow_bursts()
    run = make_run(account)
    for number in range(2):
        make_order(account, source_ref=f"run:{run.pk}", client_order_id=f"o{number}", quantity=D(1))
    [found] = check_runs(account, wall_now=WALL_NOW)
    assert str(found) == f"I7 run {run.pk}: has 2 orders of AAPL"
    Order.objects.filter(client_order_id="o1").update(source_ref="ann")
    assert check_runs(account, wall_now=WALL_NOW) == []


def test_i7_a_run_that_nobody_works_on_any_more_is_found(account):
    run = make_run(account, state=RunState.RUNNING, finished_at=None, claim=uuid4(), claimed_until=WALL_NOW)
    late = WALL_NOW + ABANDONED_AFTER
    assert check_runs(account, wall_now=late) == []
    [found] = check_runs(account, wall_now=late + timedelta(seconds=1))
    assert f"I7 run {run.pk}: is running, and nobody has worked on it" in str(found)


def test_a_run_that_failed_visibly_is_no_violation(account):
    make_run(account, state=RunState.FAILED, reason="no bars")
    assert check_runs(account, wall_now=WALL_NOW + timedelta(days=1)) == []
