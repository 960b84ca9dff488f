"""Invented panels: features with a little truth in them, bars, and small models trained on them. No database."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl

from marketdata import calendar
from signals.datasets import Dataset, Splits, make_dataset
from signals.training import TrainedModel, train

NAMES = ("F0", "F1", "F2", "F3")
QUICK = {
    "learning_rate": 0.1,
    "num_leaves": 7,
    "min_data_in_leaf": 10,
    "lambda_l1": 0.0,
    "lambda_l2": 1.0,
    "num_boost_round": 30,
    "early_stopping_rounds": 10,
}


def sessions(count: int, start: date = date(2010, 1, 4)) -> list[date]:
    """Return exchange sessions."""
    return calendar.sessions_between(start, date(start.year + 2 + count // 200, 12, 31))[:count]


def panel(
    *, days: int = 240, symbols: int = 8, seed: int = 1, start: date = date(2010, 1, 4)
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return features and bars: F0 says something about the label, the others are noise, some of it missing."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=(days, symbols))
    returns = 0.01 * random.normal(size=(days, symbols))
    returns[2:] += 0.01 * truth[:-2]  # the return from t + 1 to t + 2 knows F0 of t
    closes = 100 * np.cumprod(1 + returns, axis=0)
    noise = random.normal(size=(days, symbols, len(NAMES) - 1))
    noise[random.random(noise.shape) < 0.05] = np.nan
    keys = {
        "symbol": np.tile([f"S{index:02d}" for index in range(symbols)], days),
        "date": [day for day in sessions(days, start) for _ in range(symbols)],
    }
    features = pl.DataFrame(keys | {"F0": truth.ravel()} | {f"F{1 + k}": noise[..., k].ravel() for k in range(3)})
    bars = pl.DataFrame(keys | {"close": closes.ravel()})
    return features, bars


def dataset(*, names: Sequence[str] = NAMES, splits: Splits | None = None, **given: int) -> Dataset:
    """Return a small dataset."""
    features, bars = panel(**given)
    return make_dataset(features, bars, names=names, feature_version="0123456789ab", splits=splits)


def trained(
    *, seed: int = 7, rounds: int = 30, parameters: dict[str, object] | None = None, **given: int
) -> TrainedModel:
    """Return a model trained in a moment; another seed is another model."""
    chosen = {**QUICK, "feature_fraction": 0.5, "num_boost_round": rounds, **(parameters or {})}
    return train(dataset(**given), parameters=chosen, seed=seed, threads=1)
