"""Windows, walks and searches: what is judged was never learnt from, and the same seed finds the same."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals.backtest.search import deflated_sharpe, search
from signals.backtest.walk_forward import walk_forward
from signals.backtest.windows import Plan, windows
from signals.errors import BacktestInputError
from signals.progress import Cancelled
from tests.signals.backtest.universes import days_of


@given(
    count=st.integers(1, 300),
    train=st.integers(1, 60),
    valid=st.integers(0, 30),
    test=st.integers(1, 40),
    embargo=st.integers(0, 10),
    expanding=st.booleans(),
)
def test_windows_never_learn_from_what_they_are_judged_on(count, train, valid, test, embargo, expanding):
    sessions = days_of(count)
    plan = Plan(train=train, valid=valid, test=test, embargo=embargo, expanding=expanding)
    if count <= plan.before_test:
        with pytest.raises(BacktestInputError, match="at least"):
            windows(sessions, plan)
        return
    cut = windows(sessions, plan)
    at = {day: number for number, day in enumerate(sessions)}
    for window in cut:
        last_known = window.valid[-1] if window.valid else window.train[-1]
        assert at[window.test[0]] - at[last_known] == embargo + 1
        if window.valid:
            assert at[window.valid[0]] - at[window.train[-1]] == embargo + 1
            assert len(window.valid) == valid
        assert len(window.train) == train or (expanding and window.train[0] == sessions[0])
    tested = [day for window in cut for day in window.test]
    assert tested == sessions[plan.before_test :]


def test_a_short_rest_joins_the_last_window():
    cut = windows(days_of(10 + 2 + 40 + 5), Plan(train=10, valid=0, test=20, embargo=2))
    assert [len(window.test) for window in cut] == [20, 25]


@pytest.mark.parametrize("wrong", [{"train": 0}, {"valid": -1}, {"test": 0}, {"embargo": -1}])
def test_lengths_that_give_no_window_are_refused(wrong):
    with pytest.raises(BacktestInputError, match=next(iter(wrong))):
        Plan(**wrong)


def fit_that_remembers(seen):
    def fit(window, progress):
        seen.append(window)
        mean = float(len(window.train))
        return lambda sessions: pl.DataFrame(
            {"date": sessions, "symbol": "A", "score": mean}, schema_overrides={"date": pl.Date}
        )

    return fit


def test_walk_forward_scores_each_test_session_once_with_the_model_before_it():
    seen, told = [], []
    plan = Plan(train=20, valid=5, test=10, embargo=1, expanding=True)
    walked = walk_forward(days_of(60), plan, fit_that_remembers(seen), progress=lambda *what: told.append(what))
    assert walked.decisions["date"].to_list() == days_of(60)[27:]
    assert walked.decisions["score"].unique().to_list() == [20.0, 30.0, 40.0]
    assert [window.number for window in seen] == [1, 2, 3]
    assert told[-1][0] == told[-1][1]


def test_windows_may_be_run_elsewhere_in_any_order():
    plan = Plan(train=20, valid=0, test=10, embargo=1)

    def elsewhere(cut, fit, progress):
        found = {window.number: fit(window, progress)(window.test) for window in reversed(cut)}
        return [found[window.number] for window in cut]

    here = walk_forward(days_of(60), plan, fit_that_remembers([]))
    there = walk_forward(days_of(60), plan, fit_that_remembers([]), run=elsewhere)
    assert here.decisions.equals(there.decisions)


def test_answers_about_other_sessions_are_refused():
    def fit(window, progress):
        return lambda sessions: pl.DataFrame({"date": [date(1999, 1, 4)], "symbol": ["A"], "score": [1.0]})

    with pytest.raises(BacktestInputError, match="sessions of the test window 1"):
        walk_forward(days_of(60), Plan(train=20, valid=0, test=10, embargo=1), fit)


def test_a_cancel_ends_a_walk():
    def cancelled(done, total, what):
        raise Cancelled

    with pytest.raises(Cancelled):
        walk_forward(days_of(60), Plan(train=20, valid=0, test=10), fit_that_remembers([]), progress=cancelled)


SPACE = {"a": {"low": 0, "high": 50}, "b": {"choices": ["x", "y"]}}


def hill(chosen):
    return -((chosen["a"] - 30) ** 2) + (5 if chosen["b"] == "y" else 0)


def test_search_finds_the_hill_and_the_same_one_again():
    first, again = (search(SPACE, hill, trials=60, seed=3) for _ in range(2))
    assert first == again
    assert first.best.parameters["b"] == "y"
    assert abs(first.best.parameters["a"] - 30) <= 4
    assert len(first.trials) == 60


def test_search_computes_equal_parameters_once_and_goes_on_after_what_cannot_be_judged():
    asked = []

    def sometimes(chosen):
        asked.append(tuple(chosen.values()))
        return None if chosen["b"] == "x" else float(chosen["a"])

    found = search({"a": {"low": 0, "high": 2}, "b": {"choices": ["x", "y"]}}, sometimes, trials=30, seed=1)
    assert len(asked) == len(set(asked)) <= 6
    assert found.best.parameters == {"a": 2, "b": "y"}


def test_search_without_one_judgement_is_refused():
    with pytest.raises(BacktestInputError, match="at least one can be judged"):
        search(SPACE, lambda chosen: None, trials=3, seed=1)


@pytest.mark.parametrize(
    ("space", "word"),
    [
        ({}, "at least one parameter"),
        ({"a": 3}, "space.a"),
        ({"a": {"low": 3, "high": 3}}, "low below high"),
        ({"a": {"low": 3}}, "space.a"),
        ({"a": {"choices": []}}, "plain values"),
        ({"a": {"choices": [[1]]}}, "plain values"),
        ({"a": {"low": 0.0, "high": 1.0, "log": True}}, "above 0"),
        ({"a": {"low": 0, "high": 9, "step": 0.5}}, "step"),
        ({"a": {"low": True, "high": 9}}, "space.a"),
    ],
)
def test_spaces_that_cannot_be_searched_are_refused(space, word):
    with pytest.raises(BacktestInputError, match=word):
        search(space, hill, trials=2, seed=0)


def test_more_trials_make_the_same_luck_less_likely_skill():
    returns = np.random.default_rng(4).normal(0.0008, 0.01, 750)
    few = deflated_sharpe(returns, np.linspace(-0.5, 1.0, 3))
    many = deflated_sharpe(returns, np.linspace(-0.5, 1.0, 300))
    assert 0.0 < many < few < 1.0
    assert deflated_sharpe(returns, [1.0]) is None
    assert deflated_sharpe(np.zeros(100), [1.0, 2.0]) is None
