"""Whole backtests of real strategies: decided as on the desk, told in full, blind to the future, the same twice."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from marketdata import calendar
from marketdata.adjustment import ACTION_SCHEMA, adjust
from signals.backtest.asking import scores_at
from signals.backtest.decisions import due_sessions, within_caps
from signals.backtest.history import BarHistory
from signals.backtest.spec import read_spec
from signals.backtest.study import run_study
from signals.errors import BacktestInputError
from signals.parameters import BadParameter
from signals.portfolio import PortfolioRules
from signals.strategies.mean_reversion import MeanReversion, MeanReversionParameters
from signals.strategies.momentum import Momentum, MomentumParameters
from tests.factories import D
from tests.signals.backtest.universes import BAR_END, BAR_START, raw_bars

SESSIONS = calendar.sessions_between(BAR_START, BAR_END)
MOMENTUM = Momentum(MomentumParameters(formation_sessions=60, skip_sessions=5, top=2))
REVERSION = MeanReversion(MeanReversionParameters(distribution_sessions=20, holding_sessions=20))
ACTIONS = pl.DataFrame(
    [
        ("AAA", "dividend", date(2010, 8, 2), None, 1.5),
        ("AAA", "split", date(2011, 2, 1), 2.0, None),
        ("BBB", "split", date(2010, 11, 1), 3.0, None),
        ("BBB", "dividend", date(2011, 3, 1), None, 0.2),
    ],
    schema=ACTION_SCHEMA,
    orient="row",
)


HISTORY = BarHistory(raw_bars(), ACTIONS)


def spec_of(kind: str = "backtest", **fields):
    values = {"strategy": "momentum", "start": "2010-06-01", "end": "2011-05-31", "draws": 50}
    return read_spec(kind, values | fields)


def test_a_window_is_what_adjusting_anew_on_that_day_gives():
    raw = raw_bars()
    for as_of in (date(2010, 7, 30), date(2010, 11, 1), date(2011, 2, 1), date(2011, 5, 2)):
        first = calendar.latest_sessions(as_of, 50)[0]
        known = raw.filter(pl.col("date").is_between(first, as_of))
        # A dividend on the first day of a window needs the close before it, which the window does not have.
        expected = adjust(known, ACTIONS, mode="total_return", as_of=as_of)
        found = HISTORY.window(as_of, 50)
        assert found.select("symbol", "date").equals(expected.select("symbol", "date"))
        for column in ("open", "high", "low", "close", "volume"):
            np.testing.assert_allclose(found[column], expected[column], rtol=1e-12)


def test_a_window_holds_no_row_after_its_day():
    assert HISTORY.window(date(2010, 9, 1), 30)["date"].max() == date(2010, 9, 1)


@pytest.mark.parametrize("strategy", [MOMENTUM, REVERSION])
def test_shuffling_bars_after_a_day_changes_no_decision_up_to_it(strategy):
    cut = SESSIONS[220]
    shuffled = raw_bars().with_columns(
        [
            pl.when(pl.col("date") > cut).then(pl.col(name).shuffle(seed=3)).otherwise(pl.col(name)).alias(name)
            for name in ("open", "high", "low", "close", "volume")
        ]
    )
    late = ACTIONS.filter(pl.col("ex_date") <= cut)
    other = BarHistory(shuffled, late)
    name = strategy.name
    spec = spec_of(strategy=name, settings={}, fill="open", borrow_bps=100, max_participation=0.05)
    first, again = run_study(spec, strategy, HISTORY), run_study(spec, strategy, other)
    past = pl.col("date") <= cut
    assert (
        first.decisions.filter(past)
        .select("date", "symbol", "weight")
        .equals(again.decisions.filter(past).select("date", "symbol", "weight"))
    )
    for mine, theirs in zip(first.days.filter(past)["equity"], again.days.filter(past)["equity"], strict=True):
        assert mine == pytest.approx(theirs, rel=1e-9)


def test_a_study_tells_everything_and_the_same_twice():
    spec = spec_of()
    first, again = run_study(spec, MOMENTUM, HISTORY), run_study(spec, MOMENTUM, HISTORY)
    assert (first.metrics, first.detail) == (again.metrics, again.detail)
    assert first.days.equals(again.days, null_equal=True)
    assert first.days["date"][0] == date(2010, 6, 1)
    assert first.days["date"][-1] == date(2011, 5, 31)
    assert {"benchmark", "drawdown", "ic"} <= set(first.days.columns)
    assert first.metrics["unpriced_notional"] == 0.0
    assert {"evaluation", "months", "bootstrap"} <= set(first.detail)
    assert first.metrics["sessions"] == 253


def test_the_first_session_trades_what_the_close_before_it_decided():
    study = run_study(spec_of(), MOMENTUM, HISTORY)
    assert study.orders["date"].min() == date(2010, 6, 1)
    assert study.decisions["date"].min() == date(2010, 5, 28)


def test_a_monthly_strategy_is_asked_on_the_last_session_of_each_month():
    due = due_sessions(MOMENTUM, calendar.sessions_between(date(2010, 6, 1), date(2010, 9, 30)))
    assert due == [date(2010, 6, 1), date(2010, 6, 30), date(2010, 7, 30), date(2010, 8, 31), date(2010, 9, 30)]


def test_settings_replace_the_strategys_own():
    study = run_study(spec_of(settings={"top": 1}), MOMENTUM, HISTORY)
    held = study.decisions.filter(pl.col("weight") > 0).group_by("date").len()
    assert held["len"].unique().to_list() == [1]


@pytest.mark.parametrize("wrong", [{"tops": 1}, {"top": "two"}, {"top": True}, {"top": 1.5}])
def test_settings_that_are_none_are_refused(wrong):
    with pytest.raises(BacktestInputError, match=f"settings.{next(iter(wrong))}"):
        run_study(spec_of(settings=wrong), MOMENTUM, HISTORY)


def test_a_search_judges_the_best_on_what_it_never_saw():
    spec = spec_of("search", space={"top": {"low": 1, "high": 3}}, trials=4, seed=2, draws=0)
    study = run_study(spec, MOMENTUM, HISTORY)
    assert study.detail["best"]["top"] in (1, 2, 3)
    assert len(study.detail["trials"]) == 4
    assert study.detail["trials"][0]["value"] == pytest.approx(study.detail["searched"]["sharpe"], rel=0.05)
    assert study.detail["held_out"]["total_return"] is not None
    assert study.detail == run_study(spec, MOMENTUM, HISTORY).detail


def test_a_walk_forward_that_searches_anew_tells_each_window():
    spec = spec_of(
        "walk_forward", start="2010-04-05", train=60, valid=0, test=40, embargo=2, draws=0,
        space={"top": {"low": 1, "high": 2}}, trials=2,
    )  # fmt: skip
    study = run_study(spec, MOMENTUM, HISTORY)
    windows = study.detail["windows"]
    assert len(windows) >= 4
    assert windows[0]["test"][0] == study.decisions["date"].min().isoformat()
    product = np.prod([1 + window["return"] for window in windows])
    last = date.fromisoformat(windows[-1]["test"][1])
    at_end = study.days.filter(pl.col("date") <= last)["equity"][-1] / 1e6
    assert product == pytest.approx(at_end)


def test_specifications_are_read_back_as_they_were_stored():
    for kind, extra in (
        ("backtest", {"max_participation": 0.1, "symbols": ["bbb", "AAA"], "title": "First"}),
        ("search", {"space": {"top": {"low": 1, "high": 3}}}),
        ("walk_forward", {"space": {"top": {"choices": [1, 2]}}, "expanding": True}),
    ):
        spec = spec_of(kind, **extra)
        assert read_spec(kind, spec.as_json()) == spec


@pytest.mark.parametrize(
    ("kind", "wrong", "field"),
    [
        ("backtest", {"end": "2010-05-31"}, "end"),
        ("backtest", {"start": "yesterday"}, "start"),
        ("backtest", {"delay": 0}, "delay"),
        ("backtest", {"capital": -5}, "capital"),
        ("backtest", {"fill": "vwap"}, "fill"),
        ("backtest", {"space": {"top": {"low": 1, "high": 2}}}, "space"),
        ("backtest", {"path": "/etc/passwd"}, "path"),
        ("backtest", {"title": "a\nb"}, "title"),
        ("search", {}, "space"),
        ("search", {"space": {"top": {"low": 1, "high": 2}}, "holdout": 0.0}, "holdout"),
        ("walk_forward", {"embargo": 1}, "embargo"),
        ("guess", {}, "kind"),
    ],
)
def test_specifications_that_are_none_are_refused_by_field(kind, wrong, field):
    with pytest.raises(BadParameter) as refused:
        spec_of(kind, **wrong)
    assert refused.value.field.split(".")[0] == field


def test_ranges_without_bars_are_refused():
    with pytest.raises(BacktestInputError, match="a range in which bars are stored"):
        run_study(spec_of(start="2015-01-05", end="2015-02-27"), MOMENTUM, HISTORY)


def test_a_symbol_that_ends_early_is_held_at_its_last_price():
    raw = raw_bars().filter((pl.col("symbol") != "AAA") | (pl.col("date") <= date(2010, 10, 1)))
    study = run_study(spec_of(), MOMENTUM, BarHistory(raw, ACTIONS))
    assert study.orders.filter((pl.col("symbol") == "AAA") & (pl.col("date") > date(2010, 10, 1))).is_empty()
    assert study.days["equity"].is_finite().all()


def test_turnover_of_a_renewal_is_bounded_by_the_rules():
    rules = PortfolioRules(top=1, bottom=1, turnover=D("0.4"))
    days = [date(2010, 1, 4), date(2010, 1, 5), date(2010, 1, 6)]
    wanted = [("A", [0.5, -0.5, -0.5]), ("B", [-0.5, 0.5, 0.5])]
    rows = [(day, symbol, 1.0, weights[at]) for at, day in enumerate(days) for symbol, weights in wanted]
    frame = pl.DataFrame(rows, schema=["date", "symbol", "score", "weight"], orient="row")
    moved = within_caps(frame, rules).pivot("symbol", index="date", values="weight").sort("date")
    steps = np.abs(np.diff(moved.select("A", "B").to_numpy(), axis=0, prepend=0.0)).sum(axis=1)
    assert (steps <= 0.4 + 1e-9).all()
    assert within_caps(frame, None).equals(frame)


def test_scores_of_a_session_are_those_the_desk_computes():
    session = date(2010, 12, 31)
    bars = adjust(raw_bars().filter(pl.col("date") <= session), ACTIONS, mode="total_return", as_of=session)
    found, expected = scores_at(MOMENTUM, HISTORY, session), MOMENTUM.scores(bars, session).sort("symbol")
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-9)
