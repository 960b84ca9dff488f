"""The same numbers on every engine: features, windows and models, byte for byte."""

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from marketdata.adjustment import ACTION_SCHEMA
from signals.backtest.fits import ModelFit
from signals.backtest.history import BarHistory
from signals.backtest.search import search
from signals.backtest.walk_forward import walk_forward
from signals.backtest.windows import Plan
from signals.datasets import make_dataset, splits_of
from signals.engine import Choice, Engine, engine_for
from signals.engine import features as module
from signals.engine.features import features_on, symbol_groups
from signals.engine.training import train_on
from signals.engine.trials import trials_on
from signals.engine.windows import windows_on
from signals.errors import BacktestInputError
from signals.features import FEATURES, alpha158, feature_version
from signals.strategies.registry import get_strategy
from tests.signals.backtest.universes import raw_bars
from tests.signals.engine import works

DAYS = 300
SYMBOLS = 9


@pytest.fixture(params=["processes", "dask"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Return each engine that has more than one worker."""
    address = request.getfixturevalue("cluster") if request.param == "dask" else ""
    with engine_for(Choice(request.param, address, processes=2 if request.param == "processes" else 0)) as found:
        yield found


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    """Return random bars of some symbols, the last of which is young."""
    chance = np.random.default_rng(5)
    days = [date(2010, 1, 4) + timedelta(days=n) for n in range(DAYS)]
    frames = []
    for number in range(SYMBOLS):
        own = days if number < SYMBOLS - 1 else days[-40:]
        close = 50 * np.exp(np.cumsum(chance.normal(0, 0.02, len(own))))
        spread = 1 + np.abs(chance.normal(0, 0.01, (2, len(own))))
        frames.append(
            pl.DataFrame(
                {
                    "symbol": f"S{number:02}",
                    "date": own,
                    "open": close * chance.uniform(0.99, 1.01, len(own)),
                    "high": close * spread[0] * 1.011,
                    "low": close / spread[1] / 1.011,
                    "close": close,
                    "volume": chance.integers(1_000, 9_000, len(own)).astype(float),
                }
            )
        )
    return pl.concat(frames).sort("symbol", "date")


@pytest.mark.parametrize("most", [1, 2, 3, 8, 50])
def test_groups_are_whole_symbols_in_order(bars: pl.DataFrame, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(module, "FEWEST_ROWS", 200)
    groups = symbol_groups(bars, most=most)
    assert 1 <= len(groups) <= most
    assert_frame_equal(pl.concat(groups), bars)
    names = [set(group["symbol"].unique()) for group in groups]
    assert sum(len(one) for one in names) == len(set().union(*names)) == SYMBOLS


def test_features_are_the_same_bytes(engine: Engine, bars: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEWEST_ROWS", 500)
    here, there = alpha158(bars), features_on(engine, bars)
    assert here.columns == there.columns
    assert_frame_equal(here.select("symbol", "date"), there.select("symbol", "date"))
    for name in FEATURES:
        assert here[name].to_numpy().tobytes() == there[name].to_numpy().tobytes(), name


def test_a_model_is_the_same_bytes(engine: Engine, bars: pl.DataFrame) -> None:
    days = bars["date"].unique().sort().to_list()
    splits = splits_of(days, valid=0.2, test=0.2, embargo=5)
    dataset = make_dataset(alpha158(bars), bars, names=FEATURES, feature_version=feature_version(), splits=splits)
    wanted = {"num_boost_round": 8, "early_stopping_rounds": 0, "lambda_l1": 0.0, "lambda_l2": 0.0, "num_leaves": 7}
    with engine_for(Choice()) as here:
        expected = train_on(here, dataset, parameters=wanted, seed=3)
    assert train_on(engine, dataset, parameters=wanted, seed=3).text == expected.text


def test_windows_decide_the_same(engine: Engine) -> None:
    history = BarHistory(raw_bars(), pl.DataFrame(schema=ACTION_SCHEMA))
    sessions = history.bars["date"].unique().sort().to_list()
    model = {"num_boost_round": 3, "early_stopping_rounds": 0, "num_leaves": 7, "lambda_l1": 0.0, "lambda_l2": 0.0}
    fit = ModelFit(get_strategy("alpha_baseline"), history, model, seed=3, embargo=5, threads=1)
    plan = Plan(train=150, valid=40, test=60, embargo=5)
    expected = walk_forward(sessions, plan, fit)
    told: list[tuple[int, int, str]] = []
    found = walk_forward(sessions, plan, fit, progress=lambda *words: told.append(words), run=windows_on(engine))
    assert len(found.windows) >= 2
    assert_frame_equal(found.decisions, expected.decisions, check_exact=True)
    assert any("windows" in words[2] for words in told)


def test_one_worker_scatters_no_windows() -> None:
    with engine_for(Choice()) as here:
        assert windows_on(here) is None


SPACE = {"a": {"low": 0, "high": 50}, "b": {"choices": ["x", "y"]}}


def test_a_search_tries_and_finds_the_same(engine: Engine) -> None:
    expected = search(SPACE, works.hill, trials=18, seed=3, batch=5)
    assert search(SPACE, works.hill, trials=18, seed=3, batch=5, evaluate=trials_on(engine)) == expected
    assert [trial.number for trial in expected.trials] == list(range(18))


@pytest.mark.parametrize("batch", [0, 257])
def test_a_batch_has_its_bounds(batch: int) -> None:
    with pytest.raises(BacktestInputError, match="batch"):
        search(SPACE, works.hill, trials=3, seed=1, batch=batch)
