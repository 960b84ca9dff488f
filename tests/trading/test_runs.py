"""Runs: every step stored once, resumable, exclusive, honest about failures."""

import uuid
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from execution.models import Account, Order, Strategy
from execution.services.halt import engage_kill_switch
from risk.models import Decision
from tests.factories import WALL_NOW
from tests.trading.days import FIRST, SIZING, morning, next_morning, orders_of, rest_of_day
from trading.errors import LeaseLostError, RunBusyError, RunFailedError
from trading.models import Run
from trading.services.market_day import Desk
from trading.services.runs import LEASE, STEPS, _record, finish_run, run_strategy, skip_run
from trading.services.steps import Work
from trading.states import BEFORE_FILLS, RunState, StepName

pytestmark = pytest.mark.usefixtures("desk")


def strategy(name: str = "momentum") -> Strategy:
    return Strategy.objects.get(name=name)


def run(desk: Desk, day: date = FIRST, name: str = "momentum", **options: Any) -> Run:
    return run_strategy(
        account=desk.account, strategy=strategy(name), trading_date=day, wall_now=WALL_NOW, sizing=SIZING, **options
    )


def test_every_step_is_stored_and_orders_pass_the_gate() -> None:
    desk = morning()
    done = run(desk)
    assert done.state == RunState.AWAITING_FILLS
    assert list(done.steps.order_by("id").values_list("name", flat=True)) == list(BEFORE_FILLS)
    assert done.order_count == Order.objects.filter(account=desk.account, status="pending").count() == 2
    assert done.as_of_date == date(2012, 1, 3)
    assert {order.time_in_force for order in Order.objects.filter(account=desk.account)} == {"opg"}


def test_same_run_again_is_the_same_run() -> None:
    desk = morning()
    first = run(desk)
    orders, decisions = orders_of(desk.account), Decision.objects.count()
    assert run(desk).pk == first.pk
    assert orders_of(desk.account) == orders
    assert Decision.objects.count() == decisions


class Killed(BaseException):
    """Ends a run as a signal does: nothing catches it."""


@pytest.mark.parametrize("step", BEFORE_FILLS)
def test_run_killed_before_it_noted_a_step_goes_on_without_a_second_order(
    step: StepName, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = morning(name="undisturbed")
    run(undisturbed)
    desk, done = morning(), STEPS[step]

    def die_behind(work: Work) -> dict[str, Any]:
        done(work)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setitem(STEPS, step, die_behind)
        with pytest.raises(Killed):
            run(desk)
    with pytest.raises(RunBusyError):
        run(desk)
    resumed = run(desk, take_over=True)
    assert resumed.state == RunState.AWAITING_FILLS
    assert orders_of(desk.account) == orders_of(undisturbed.account)
    assert (resumed.order_count, resumed.attempts) == (2, 2)
    assert list(resumed.steps.order_by("id").values_list("name", flat=True)) == list(BEFORE_FILLS)


def test_lease_keeps_others_out_until_it_ends() -> None:
    desk = morning()
    started = run(desk)
    held = {"state": RunState.RUNNING, "claim": uuid.uuid4()}
    Run.objects.filter(pk=started.pk).update(**held, claimed_until=WALL_NOW + LEASE)
    with pytest.raises(RunBusyError):
        run(desk)
    Run.objects.filter(pk=started.pk).update(claimed_until=WALL_NOW - timedelta(seconds=1))
    assert run(desk).state == RunState.AWAITING_FILLS


def test_worker_that_lost_its_lease_writes_nothing() -> None:
    started = run(morning())
    with pytest.raises(LeaseLostError):
        _record(started, uuid.uuid4(), StepName.FILLS, WALL_NOW, WALL_NOW, output={"orders": []})
    assert not started.steps.filter(name=StepName.FILLS).exists()


def test_failed_step_is_stored_and_repeated(settings: Any, tmp_path: Path, sample_lake: Path) -> None:
    desk = morning()
    settings.LAKE_DIR = tmp_path / "empty"
    with pytest.raises(RunFailedError, match="freshness"):
        run(desk)
    failed = Run.objects.get(account=desk.account)
    assert failed.state == RunState.FAILED
    assert "no symbol has a bar of 2012-01-03" in failed.reason
    assert failed.steps.get().error.startswith("StaleDataError")
    settings.LAKE_DIR = sample_lake
    assert run(desk).state == RunState.AWAITING_FILLS
    assert not failed.steps.exclude(error="").exists()


def test_report_waits_for_the_orders() -> None:
    desk = morning()
    started = run(desk)
    assert finish_run(run=started, wall_now=WALL_NOW).state == RunState.AWAITING_FILLS
    rest_of_day(desk)
    finished = finish_run(run=started, wall_now=WALL_NOW)
    assert finished.state == RunState.COMPLETED
    assert finished.report["statuses"] == {"filled": 2}
    assert finished.report["denied"] == 0
    assert finish_run(run=finished, wall_now=WALL_NOW).attempts == finished.attempts


def test_monthly_strategy_keeps_its_targets_until_the_next_month() -> None:
    desk = morning()
    started = run(desk)
    rest_of_day(desk)
    finish_run(run=started, wall_now=WALL_NOW)
    next_morning(desk, date(2012, 1, 5))
    skipped = run(desk, date(2012, 1, 5))
    assert skipped.state == RunState.SKIPPED
    assert skipped.reason == "not a rebalance day: targets of this month are of 2012-01-04"
    assert run(desk, date(2012, 1, 5), "mean_reversion").state == RunState.AWAITING_FILLS


def test_kill_switch_denies_all_orders_and_the_month_is_made_up_for() -> None:
    desk = morning()
    engage_kill_switch(
        scope=desk.account.scope, operator="ann", reason="trial of the switch", source="command", wall_now=WALL_NOW
    )
    started = run(desk)
    assert (started.order_count, started.denied_count) == (0, 2)
    rest_of_day(desk)
    finished = finish_run(run=started, wall_now=WALL_NOW)
    assert finished.report["denial_codes"]["KILL_SWITCH"] == 2
    next_morning(desk, date(2012, 1, 5))
    assert run(desk, date(2012, 1, 5)).state == RunState.AWAITING_FILLS


def test_skipped_session_says_why_and_stays_skipped() -> None:
    desk = morning()
    options = {"account": desk.account, "strategy": strategy(), "trading_date": FIRST, "wall_now": WALL_NOW}
    assert skip_run(**options, reason="missed").state == RunState.SKIPPED
    assert run(desk).reason == "missed"
    assert orders_of(desk.account) == []


def test_desk_trades_every_tradable_instrument_with_its_share(desk: Account) -> None:
    done = run_strategy(account=desk, strategy=strategy(), trading_date=date(2012, 1, 4), wall_now=WALL_NOW)
    assert done.sizing["symbols"] == ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
    assert Decimal(done.sizing["capital"]) == 25_000
    assert done.report == {}
    assert done.order_count == 0  # the feed has no prices yet, so there is nothing to size with
