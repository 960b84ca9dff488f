"""Signals are stored once, with what they were made from, and refuse what they must not use."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata import calendar
from marketdata.lake import BarLake, default_lake
from marketdata.services.instruments import ensure_instruments
from signals.errors import FutureFeatureError, NotASessionError, UnknownStrategyError, UnknownSymbolsError
from signals.features import feature_version
from signals.models import ExcludedReason, Signal, SignalSet
from signals.selectors import excluded_symbols, latest_signal_set, signals, target_weights
from signals.services.generation import admit, generate_signals
from signals.services.model_sources import models_wanted, ready
from signals.strategies.base import SCORE_SCHEMA, SignalStrategy
from signals.strategies.momentum import Momentum, MomentumParameters
from signals.strategies.registry import code_version, get_strategy, strategy_names
from tests.factories import WALL_NOW
from tests.signals.bars import random_walk
from tests.signals.scoring_models import ranked_by_week

SESSIONS = calendar.sessions_between(date(2011, 1, 3), date(2012, 3, 30))
AS_OF = SESSIONS[280]
SYMBOLS = ("AAA", "BBB", "CCC")


def session_bars(symbol: str, seed: int, days: list[date]) -> pl.DataFrame:
    close = pl.Series(random_walk(len(days), seed))
    prices = dict.fromkeys(("open", "high", "low", "close"), close)
    return pl.DataFrame({"symbol": [symbol] * len(days), "date": days, **prices, "volume": [1e6] * len(days)})


@pytest.fixture
def lake(db: None, settings: Any, tmp_path: Path) -> BarLake:
    settings.LAKE_DIR = tmp_path
    ensure_instruments(symbols=SYMBOLS)
    bars = [session_bars(symbol, seed, SESSIONS) for seed, symbol in enumerate(SYMBOLS)]
    default_lake().write(pl.concat(bars), "1d", "test")
    return default_lake()


def generate(strategy: SignalStrategy | None = None, as_of: date = AS_OF, symbols: Any = SYMBOLS) -> SignalSet:
    return generate_signals(
        strategy=strategy or get_strategy("momentum"), symbols=symbols, as_of=as_of, wall_now=WALL_NOW
    )


@pytest.mark.usefixtures("lake")
def test_set_remembers_what_it_was_made_from() -> None:
    made = generate()
    assert (made.strategy, made.as_of_date, made.feature_date) == ("momentum", AS_OF, AS_OF)
    assert made.universe == ["AAA", "BBB", "CCC"]
    assert made.parameters["formation_sessions"] == 252
    assert made.code_version == code_version(Momentum)
    ranked = list(made.signals.order_by("rank").values_list("rank", flat=True))
    assert ranked == [1, 2, 3]
    assert sum(target_weights(made).values()) == 1
    assert list(target_weights(made)) == ["AAA", "BBB", "CCC"]


@pytest.mark.usefixtures("lake")
def test_same_inputs_are_one_set_and_others_another() -> None:
    first = generate()
    assert generate(symbols=("CCC", "BBB", "AAA")).pk == first.pk
    assert generate(symbols=("AAA", "BBB")).pk != first.pk
    assert generate(Momentum(MomentumParameters(top=1))).pk != first.pk
    assert generate(as_of=SESSIONS[281]).pk != first.pk
    assert SignalSet.objects.count() == 4


def test_corrected_bar_makes_another_set_and_a_later_bar_does_not(lake: BarLake) -> None:
    first = generate()
    later = session_bars("AAA", 99, SESSIONS).filter(pl.col("date") > AS_OF)
    lake.write(later, "1d", "correction")
    assert generate().pk == first.pk
    lake.write(session_bars("AAA", 99, SESSIONS).filter(pl.col("date") == SESSIONS[200]), "1d", "correction")
    assert generate().pk != first.pk


def test_symbol_without_todays_bar_is_excluded_as_stale(lake: BarLake) -> None:
    ensure_instruments(symbols=["DDD", "EEE", "FFF"])
    lake.write(session_bars("DDD", 5, SESSIONS[:280]), "1d", "test")
    lake.write(session_bars("EEE", 6, SESSIONS[200:]), "1d", "test")
    made = generate(symbols=(*SYMBOLS, "DDD", "EEE", "FFF"))
    assert excluded_symbols(made) == {"DDD": "stale_feature", "EEE": "insufficient_history", "FFF": "no_bars"}
    assert not set(target_weights(made)) & {"DDD", "EEE", "FFF"}
    stale = Signal.objects.get(instrument__symbol="DDD")
    assert (stale.feature_date, stale.score) == (SESSIONS[279], None)
    assert stale.target_weight == 0


@pytest.mark.usefixtures("lake")
def test_unknown_symbols_days_without_a_session_and_strategies_are_refused() -> None:
    with pytest.raises(UnknownSymbolsError, match="NOPE, ZZZ"):
        generate(symbols=("AAA", "ZZZ", "NOPE"))
    with pytest.raises(NotASessionError, match="2012-02-20"):
        generate(as_of=date(2012, 2, 20))
    with pytest.raises(UnknownStrategyError, match="known: alpha_baseline, ensemble, mean_reversion, momentum"):
        get_strategy("magic")
    assert not SignalSet.objects.exists()


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize("name", strategy_names())
def test_every_strategy_gives_valid_weights(name: str) -> None:
    strategy = ready(get_strategy(name), ranked_by_week)
    made = generate(strategy)
    weights = target_weights(made)
    assert weights
    assert sum(abs(weight) for weight in weights.values()) <= 1
    assert made.parameters == dict(strategy.parameters)
    assert (made.model_version_id is not None) == bool(models_wanted(strategy))
    assert made.feature_version == (feature_version() if models_wanted(strategy) else "")


def scores(*rows: tuple[str, float | None, date]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCORE_SCHEMA, orient="row")


def test_feature_of_the_future_is_an_error_not_an_exclusion() -> None:
    with pytest.raises(FutureFeatureError, match="feature of AAA is dated 2012-01-04, after the as-of date 2012-01-03"):
        admit(scores(("AAA", 1.0, date(2012, 1, 4))), symbols=["AAA"], as_of=date(2012, 1, 3))


@given(st.lists(st.floats() | st.none(), max_size=8), st.integers(0, 2))
def test_only_finite_fresh_scores_are_admitted(values: list[float | None], age: int) -> None:
    rows = [(f"S{index}", value, AS_OF - timedelta(days=age)) for index, value in enumerate(values)]
    admitted = admit(scores(*rows), symbols=[*(row[0] for row in rows), "MISSING"], as_of=AS_OF)
    kept = admitted.scores["symbol"].to_list()
    assert set(kept) | set(admitted.excluded) == {row[0] for row in rows} | {"MISSING"}
    assert not set(kept) & set(admitted.excluded)
    assert admitted.excluded["MISSING"] == ExcludedReason.NO_BARS
    assert admitted.scores["score"].is_finite().all()
    assert age == 0 or not kept
    assert admitted.scores["score"].to_list() == sorted(admitted.scores["score"], reverse=True)


@pytest.mark.usefixtures("lake")
def test_selectors_find_sets_and_signals() -> None:
    early, late = generate(as_of=SESSIONS[279]), generate()
    assert latest_signal_set("momentum") == late
    assert latest_signal_set("momentum", until=SESSIONS[279]) == early
    assert latest_signal_set("mean_reversion") is None
    assert signals(strategy="momentum", as_of=AS_OF, symbol="AAA").get().signal_set == late
    assert signals().count() == 6
    assert str(late) == f"momentum as of {AS_OF}"
