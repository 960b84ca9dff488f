"""No signal knows anything of what comes after its close, and the same data, code and seed give the same signals."""

import random
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from marketdata.derivation import derive_actions
from marketdata.lake import BarLake
from marketdata.models import CorporateAction
from marketdata.providers.sample import SAMPLE_NAMES, SampleProvider
from marketdata.services.actions import store_actions
from marketdata.services.instruments import ensure_instruments
from signals.models import ModelVersion, SignalSet
from signals.registry import store
from signals.services.generation import generate_signals
from signals.services.model_sources import pinned, ready
from signals.services.replay_models import train_on_past
from signals.services.scoring import known_bars, material_for
from signals.strategies.base import rules_of
from signals.strategies.registry import get_strategy, strategy_names
from signals.training import TrainedModel
from tests.factories import WALL_NOW

pytestmark = pytest.mark.django_db
FIRST, AS_OF, TRAINED_TO = date(2004, 1, 2), date(2005, 2, 25), date(2004, 12, 31)
"""The close before Apple's split of 2005-02-28."""
SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT")
SEED = 20050228
PRICES = ("open", "high", "low", "close", "volume")
Said = dict[str, tuple[float | None, int | None, Decimal, date | None, str]]


@cache
def history() -> pl.DataFrame:
    """The sample's bars from before the training to half a year after the close."""
    return SampleProvider().bars(SYMBOLS, start=date(2003, 7, 1), end=date(2005, 8, 31))


def shuffled_after(as_of: date, seed: int) -> pl.DataFrame:
    """Return the bars with every row after a date put at another date of its symbol, prices and volumes scaled."""
    chance = random.Random(seed)
    past = history().filter(pl.col("date") <= as_of)
    parts = [past]
    for (symbol,), rows in history().filter(pl.col("date") > as_of).group_by("symbol", maintain_order=True):
        values = rows.select(PRICES).sample(fraction=1, shuffle=True, seed=chance.randrange(2**31))
        factor = chance.uniform(0.2, 5.0)
        scaled = values.with_columns(pl.col(name) * factor for name in PRICES[:4])
        parts.append(rows.drop(PRICES).hstack(scaled).select(past.columns))
        assert symbol
    return pl.concat(parts)


@cache
def trained() -> TrainedModel:
    return train_on_past(symbols=SYMBOLS, first=FIRST, last=TRAINED_TO, seed=7)


@pytest.fixture
def world(db: None, settings: Any, tmp_path: Path) -> Path:
    settings.MODEL_DIR = tmp_path / "models"
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # every row is computed from the bars of its lake
    settings.LAKE_DIR = tmp_path / "whole"
    BarLake(settings.LAKE_DIR).write(history(), "1d", "sample")
    ensure_instruments(symbols=SAMPLE_NAMES)
    store_actions(actions=derive_actions(history()).actions, source="sample")
    return tmp_path


def version() -> ModelVersion:
    return store(strategy="alpha_baseline", trained=trained(), created_by="ann", now=WALL_NOW)


def said_by(name: str, model: ModelVersion) -> Said:
    """Generate anew, from bars alone, and return everything that was stored."""
    SignalSet.objects.all().delete()
    strategy = get_strategy(name)
    held = {"IBM": Decimal("0.25"), "MSFT": Decimal("-0.1")} if rules_of(strategy) else {}
    made = generate_signals(
        strategy=strategy,
        symbols=SYMBOLS,
        as_of=AS_OF,
        wall_now=WALL_NOW,
        models=pinned({"alpha_baseline": model.pk}),
        present=held,
    )
    rows = made.signals.select_related("instrument").order_by("instrument__symbol")
    return {
        row.instrument.symbol: (row.score, row.rank, row.target_weight, row.feature_date, row.excluded_reason)
        for row in rows
    } | {"": (None, None, Decimal(0), made.feature_date, made.data_hash)}


@pytest.mark.parametrize("name", strategy_names())
def test_shuffling_all_that_comes_after_changes_no_signal(name: str, world: Path, settings: Any) -> None:
    model = version()
    before = said_by(name, model)
    assert any(said[2] for said in before.values()), "it wants to hold something"
    settings.LAKE_DIR = world / "shuffled"
    changed = shuffled_after(AS_OF, SEED)
    assert not changed.equals(history())
    BarLake(settings.LAKE_DIR).write(changed, "1d", "sample")
    CorporateAction.objects.filter(ex_date__gt=AS_OF).delete()
    assert said_by(name, model) == before


@pytest.mark.parametrize("name", strategy_names())
def test_a_change_of_the_last_close_is_seen(name: str, world: Path, settings: Any) -> None:
    """The control: the comparison above notices what it should notice."""
    model = version()
    before = said_by(name, model)
    settings.LAKE_DIR = world / "changed"
    close = pl.when((pl.col("date") == AS_OF) & (pl.col("symbol") == "IBM")).then(pl.col("low"))
    BarLake(settings.LAKE_DIR).write(history().with_columns(close=close.otherwise(pl.col("close"))), "1d", "sample")
    assert said_by(name, model) != before


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("name", strategy_names())
def test_the_same_data_code_and_seed_give_the_same_signals(name: str) -> None:
    again = train_on_past(symbols=SYMBOLS, first=FIRST, last=TRAINED_TO, seed=7)
    assert again.text == trained().text
    assert said_by(name, version()) == said_by(name, version())


def test_training_does_not_look_beyond_its_last_session(world: Path, settings: Any) -> None:
    whole = trained()
    settings.LAKE_DIR = world / "after_training"
    BarLake(settings.LAKE_DIR).write(shuffled_after(TRAINED_TO, SEED), "1d", "sample")
    again = train_on_past(symbols=SYMBOLS, first=FIRST, last=TRAINED_TO, seed=7)
    assert again.text == whole.text


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("name", ["alpha_baseline", "ensemble"])
def test_features_ready_made_and_bars_give_the_same_scores(name: str) -> None:
    """Research scores bars, the desk scores stored features: one definition, the same numbers."""

    able = ready(get_strategy(name), pinned({"alpha_baseline": version().pk}))
    desk = material_for(able, SYMBOLS, AS_OF).score()
    research = able.scores(known_bars(SYMBOLS, AS_OF, able.lookback_sessions), AS_OF).sort("symbol")
    assert desk.equals(research.select(desk.columns))
