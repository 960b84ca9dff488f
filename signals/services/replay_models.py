"""A model for a replay: trained on the past of the replayed range alone, registered, and never made active by this."""

from collections.abc import Sequence
from datetime import date, datetime

import polars as pl

from marketdata import calendar
from marketdata.selectors import bars as bars_of
from signals.datasets import DatasetError, make_dataset, splits_of
from signals.features import FEATURES, LOOKBACK, alpha158, feature_version
from signals.models import ModelVersion
from signals.progress import Progress
from signals.registry import store
from signals.training import TrainedModel, train

MADE_BY = "paper_run"
ONE_THREAD = 1
"""A few thousand rows are learnt sooner by one thread than by several that wait for each other."""


def trained_for_replay(
    *,
    strategy: str,
    symbols: Sequence[str],
    first: date,
    last: date,
    seed: int,
    now: datetime,
    on_progress: Progress | None = None,
) -> ModelVersion:
    """Register what `train_on_past` makes as a candidate; the same training again is the same version.

    :raises DatasetError, TrainingError: the bars do not suffice
    :raises ArtefactError, SigningKeyError: the file cannot be stored
    """
    trained = train_on_past(symbols=symbols, first=first, last=last, seed=seed, on_progress=on_progress)
    return store(strategy=strategy, trained=trained, created_by=MADE_BY, now=now)


def train_on_past(
    *, symbols: Sequence[str], first: date, last: date, seed: int, on_progress: Progress | None = None
) -> TrainedModel:
    """Train on the sessions from `first` to `last`.

    Training, validation and test follow each other inside the range, with an embargo between them; prices are adjusted
    as known on `last`, and no later close is looked at. Features of the first rows may look back beyond `first`.
    :raises DatasetError, TrainingError: the bars do not suffice
    """
    days = calendar.sessions_between(first, last) if first <= last else []
    if not days:
        raise DatasetError(f"training: there is no session from {first} to {last}")
    bars = bars_of(symbols, end=last, adjustment="total_return", as_of=last).sort("symbol", "date")
    history = bars.filter(pl.col("date") < days[0]).group_by("symbol", maintain_order=True).tail(LOOKBACK)
    inside = bars.filter(pl.col("date") >= days[0])
    if inside.is_empty():
        raise DatasetError(f"training: no bars are stored of {', '.join(symbols)} from {first} to {last}")
    features = alpha158(pl.concat([history, inside]).sort("symbol", "date")).filter(pl.col("date") >= days[0])
    dataset = make_dataset(features, inside, names=FEATURES, feature_version=feature_version(), splits=splits_of(days))
    return train(dataset, seed=seed, on_progress=on_progress, threads=ONE_THREAD)
