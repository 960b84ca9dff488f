"""Backtests at the terminal: figures, JSON, refusals by option, the queue."""

import json
from pathlib import Path
from typing import Any

import pytest

from marketdata.lake import default_lake
from marketdata.services.instruments import ensure_instruments
from signals.models import Backtest, BacktestState
from tests.ops_console.commands.terminal import run
from tests.signals.backtest.universes import SYMBOLS, raw_bars
from trading.models import Job

RANGE = ("--from", "2011-03-01", "--to", "2011-04-29")
WISH = ("--strategy", "mean_reversion", *RANGE, "--set", "distribution_sessions=20", "holding_sessions=20")


@pytest.fixture(autouse=True)
def _lake(db: None, settings: Any, tmp_path: Path) -> None:
    settings.LAKE_DIR, settings.BACKTEST_DIR = tmp_path / "lake", tmp_path / "backtests"
    ensure_instruments(symbols=SYMBOLS)
    default_lake().write(raw_bars(), "1d", "test")


def test_figures_are_printed_and_the_run_is_kept() -> None:
    found = run("backtest", *WISH, "--draws", "20")
    assert found.code == 0, found.err
    row = Backtest.objects.get()
    assert row.state == BacktestState.COMPLETED
    for word in ("Sharpe ratio", "Largest drawdown", "Buy and hold: return", "bootstrap, 20 histories"):
        assert word in found.out
    assert f"kept as backtest {row.pk}" in found.out


def test_json_is_one_document_and_the_file_has_days_and_orders(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    found = run("backtest", *WISH, "--draws", "0", "--json", "--output", str(path))
    assert found.document["metrics"]["sessions"] == 43
    written = json.loads(path.read_text())
    assert (len(written["days"]), len(written["orders"])) == (43, found.document["metrics"]["orders"])


def test_a_space_makes_it_a_search() -> None:
    found = run("backtest", *WISH, "--space", "enter=1.0:2.0", "--trials", "2", "--draws", "0")
    assert found.code == 0, found.err
    assert Backtest.objects.get().kind == "search"
    assert "best of 2 trials" in found.out


def test_a_walk_forward_tells_its_windows() -> None:
    options = ("--train", "20", "--valid", "0", "--test", "10", "--embargo", "2", "--draws", "0")
    found = run("walk_forward", *WISH[:2], "--from", "2010-12-01", "--to", "2011-04-29", *options)
    assert found.code == 0, found.err
    assert "windows gained" in found.out


def test_it_may_be_left_to_the_jobs() -> None:
    found = run("backtest", *WISH, "--queue", "--json")
    row = Backtest.objects.get()
    assert found.document == {"id": row.pk, "job": row.job_id, "state": "pending"}
    assert Job.objects.get().parameters == {"backtest": row.pk}


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--strategy", "guess", *RANGE), "strategy: got guess"),
        ((*WISH, "--delay", "0"), "delay: got 0"),
        ((*WISH, "--impact", "-1"), "impact: got -1"),
        (("--set", "enter", *RANGE), "--set: got enter"),
        (("--space", "enter", *RANGE), "--space: got enter"),
        (("--to", "soon"), "--to: got 'soon'"),
        ((*WISH, "--output", "/nowhere/at/all.json"), "--output: got"),
        ((*WISH, "--symbols", "ZZZ"), "symbols: got ZZZ"),
    ],
)
def test_an_option_that_is_not_allowed_is_named(options: tuple[str, ...], word: str) -> None:
    found = run("backtest", *options)
    assert found.code == 2
    assert word in found.err
    assert not Backtest.objects.exists()


def test_what_cannot_be_computed_says_why_and_is_kept_as_failed() -> None:
    found = run("backtest", "--strategy", "mean_reversion", "--from", "2012-01-03", "--to", "2012-02-01")
    assert found.code == 1
    assert "where bars are stored" in found.err
    assert Backtest.objects.get().state == BacktestState.FAILED


def test_without_bars_it_says_how_to_get_some(settings: Any, tmp_path: Path) -> None:
    settings.LAKE_DIR = tmp_path / "empty"
    found = run("backtest")
    assert found.code == 2
    assert "import_sample" in found.err
