"""A backtest from the wish to its files: stored once, honest about how it ended, no path from outside."""

from datetime import date
from typing import Any

import pytest

from marketdata.lake import BarLake
from signals.backtest.files import BacktestFilesMissing, directory, read_table
from signals.models import Backtest, BacktestState
from signals.parameters import BadParameter
from signals.progress import Cancelled
from signals.services.backtests import perform_backtest, plan_backtest
from tests.factories import WALL_NOW
from trading.errors import JobOverError
from trading.job_kinds import KINDS, checks_of, runs_of
from trading.models import Job
from trading.services.backtests import ask_backtest, cancel_backtest, standing_of
from trading.services.jobs import holding
from trading.services.jobs.holding import Held

WISH = {
    "strategy": "mean_reversion",
    "start": "2011-03-01",
    "end": "2011-03-31",
    "draws": 20,
    "settings": {"distribution_sessions": 20, "holding_sessions": 20},
}


def planned(**fields: Any) -> Backtest:
    kind = fields.pop("kind", "backtest")
    return plan_backtest(kind=kind, parameters=WISH | fields, asked_by="ann", wall_now=WALL_NOW)


def asked(**fields: Any) -> Backtest:
    return ask_backtest(kind="backtest", parameters=WISH | fields, asked_by="ann", wall_now=WALL_NOW)


def performed(row: Backtest, **options: Any) -> Backtest:
    return perform_backtest(backtest=row, models=None, clock=lambda: WALL_NOW, **options)


def test_a_wish_becomes_figures_and_files(lake: BarLake) -> None:
    row = performed(planned(title="First"))
    row.refresh_from_db()
    assert (row.state, row.title, row.start_date) == (BacktestState.COMPLETED, "First", date(2011, 3, 1))
    assert len(row.code_version) == 12
    assert len(row.data_version) == 64
    assert row.metrics["sessions"] == 23 == read_table(row.key, "days").height
    assert row.detail["symbols"] == 4
    assert row.metrics["orders"] == read_table(row.key, "orders").height
    assert directory(row.key).name == row.key.hex


def test_the_same_wish_gives_the_same_figures_and_versions(lake: BarLake) -> None:
    first, again = performed(planned()), performed(planned())
    assert (first.metrics, first.detail) == (again.metrics, again.detail)
    assert (first.code_version, first.data_version) == (again.code_version, again.data_version)
    other = performed(planned(end="2011-03-30"))
    assert other.data_version != first.data_version


def test_a_completed_one_is_left_as_it_is(lake: BarLake) -> None:
    row = performed(planned())
    before = row.finished_at
    assert performed(Backtest.objects.get(pk=row.pk)).finished_at == before


def test_begun_again_after_a_death_it_computes_the_same(lake: BarLake) -> None:
    row = planned()
    Backtest.objects.filter(pk=row.pk).update(state=BacktestState.RUNNING, started_at=WALL_NOW)
    row.refresh_from_db()
    assert performed(row).metrics == performed(planned()).metrics


def test_a_cancel_is_stored_and_raised(lake: BarLake) -> None:
    def cancel(done: int, total: int, what: str) -> None:
        raise Cancelled

    row = planned()
    with pytest.raises(Cancelled):
        performed(row, progress=cancel)
    row.refresh_from_db()
    assert (row.state, row.metrics, row.error) == (BacktestState.CANCELED, None, "")


def test_a_failure_says_why_and_leaves_no_files(lake: BarLake) -> None:
    row = planned(start="2012-03-01", end="2012-03-30")
    with pytest.raises(ValueError, match="where bars are stored"):
        performed(row)
    row.refresh_from_db()
    assert row.state == BacktestState.FAILED
    assert "2010-01-04 to 2011-06-30" in row.error
    assert not directory(row.key).exists()
    with pytest.raises(BacktestFilesMissing):
        read_table(row.key, "days")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"strategy": "guess"}, "strategy"),
        ({"symbols": ["AAA", "ZZZ"]}, "symbols"),
        ({"settings": {"nothing": 1}}, "settings.nothing"),
        ({"kind": "search", "space": {"nothing": {"low": 1, "high": 2}}}, "settings.nothing"),
        ({"start": "2011-03-31"}, "start, end"),
    ],
)
def test_a_wish_that_names_what_is_not_there_is_refused_before_it_is_stored(
    lake: BarLake, wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(BadParameter) as refused:
        planned(**wrong)
    assert refused.value.field == field
    assert not Backtest.objects.exists()


def test_it_is_carried_out_as_a_job_that_links_to_it(lake: BarLake) -> None:
    row = asked()
    job = holding.take(now=WALL_NOW)
    assert (job.kind, job.parameters, row.job_id) == ("backtest", {"backtest": row.pk}, job.pk)
    told = []
    result = runs_of(KINDS["backtest"])(job.parameters, lambda *what: told.append(what))
    assert result["id"] == row.pk
    assert told[-1][:2] == (1000, 1000)
    assert sorted(part[0] for part in told) == [part[0] for part in told]
    row.refresh_from_db()
    assert row.state == BacktestState.COMPLETED


def test_a_job_for_what_is_over_or_not_there_is_refused(lake: BarLake) -> None:
    row = performed(planned())
    for number in (row.pk, row.pk + 1, 0, "1"):
        with pytest.raises(BadParameter, match="backtest"):
            checks_of(KINDS["backtest"])({"backtest": number})


def test_a_refused_wish_leaves_neither_row_nor_job(lake: BarLake) -> None:
    with pytest.raises(BadParameter):
        asked(strategy="guess")
    assert (Backtest.objects.count(), Job.objects.count()) == (0, 0)


def test_what_waits_is_canceled_at_once_and_what_runs_is_asked(lake: BarLake) -> None:
    waiting = asked()
    assert standing_of(waiting).cancelable
    assert cancel_backtest(backtest=waiting, asked_by="bob", wall_now=WALL_NOW).state == BacktestState.CANCELED
    with pytest.raises(JobOverError):
        cancel_backtest(backtest=waiting, asked_by="bob", wall_now=WALL_NOW)
    running = asked()
    holding.take(now=WALL_NOW)
    found = cancel_backtest(backtest=running, asked_by="bob", wall_now=WALL_NOW)
    assert (found.cancel_asked, found.cancelable) == (True, False)


def test_one_whose_process_died_for_good_is_shown_as_failed(lake: BarLake) -> None:
    row = asked()
    job = holding.take(now=WALL_NOW)
    Backtest.objects.filter(pk=row.pk).update(state=BacktestState.RUNNING, started_at=WALL_NOW)
    holding.fail(Held(job.pk, job.claim), error="killed by the system", now=WALL_NOW)
    row.refresh_from_db()
    found = standing_of(row)
    assert (found.state, found.error, found.is_open) == (BacktestState.FAILED, "killed by the system", False)


def test_one_in_a_shell_is_not_canceled_from_elsewhere(lake: BarLake) -> None:
    with pytest.raises(JobOverError, match="Ctrl-C"):
        cancel_backtest(backtest=planned(), asked_by="bob", wall_now=WALL_NOW)
