"""What is learnt in each window of a walk forward: a model, parameters, or nothing. Values that can be sent
elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from signals.backtest.decisions import decide
from signals.backtest.history import BarHistory
from signals.backtest.search import search
from signals.backtest.walk_forward import Decider
from signals.backtest.windows import Window
from signals.datasets import Dataset, Span, Splits, make_dataset
from signals.errors import BacktestInputError, ModelMissingError
from signals.features import FEATURES, feature_version
from signals.progress import Progress, silent
from signals.services.model_sources import models_wanted, ready
from signals.strategies.base import SignalStrategy
from signals.training import TrainedModel, parameters_for, train

Judge = Callable[[SignalStrategy, Sequence[date]], float | None]


@dataclass(frozen=True, slots=True)
class Decide:
    """A strategy that is ready, asked about sessions."""

    strategy: SignalStrategy
    history: BarHistory

    def __call__(self, sessions: Sequence[date]) -> pl.DataFrame:
        """Return its decisions."""
        return decide(self.strategy, self.history, sessions)


@dataclass(frozen=True, slots=True)
class NoFit:
    """Learn nothing: the strategy is the same in each window."""

    strategy: SignalStrategy
    history: BarHistory

    def __call__(self, window: Window, progress: Progress = silent) -> Decider:
        """Return the strategy as it is."""
        return Decide(self.strategy, self.history)


@dataclass(frozen=True, slots=True)
class SearchFit:
    """Choose parameters anew on the training sessions of each window."""

    strategy: SignalStrategy
    history: BarHistory
    space: Mapping[str, Any]
    trials: int
    seed: int
    judge: Judge

    def __call__(self, window: Window, progress: Progress = silent) -> Decider:
        """Search on the window's training and validation sessions, and return the best."""
        known = [*window.train, *window.valid]
        found = search(
            self.space,
            lambda chosen: self.judge(with_settings(self.strategy, chosen), known),
            trials=self.trials,
            seed=self.seed + window.number,
            progress=progress,
        )
        return Decide(with_settings(self.strategy, found.best.parameters), self.history)


@dataclass(frozen=True, slots=True)
class WindowModel:
    """A model that was trained a moment ago in this process; no version of the registry."""

    features: tuple[str, ...]
    feature_version: str
    booster: Any
    version_id: int = 0

    def predict(self, frame: pl.DataFrame) -> np.ndarray:
        """Return one score a row, in the frame's order."""
        rows = frame.select(self.features).to_numpy()
        return np.asarray(self.booster.predict(rows, num_threads=1), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class ModelFit:
    """Train the strategy's model, or its members', on each window; early stopping looks at the validation sessions."""

    strategy: SignalStrategy
    history: BarHistory
    parameters: Mapping[str, Any]
    seed: int
    embargo: int
    threads: int = 0

    def __call__(self, window: Window, progress: Progress = silent) -> Decider:
        """Return the strategy with a model of this window."""
        if not window.valid:
            raise BacktestInputError("valid", 0, "sessions to stop the training by, from 10")
        model = self._train(window, progress)

        def source(name: str) -> WindowModel:
            if name not in models_wanted(self.strategy):
                raise ModelMissingError(name)
            return model

        return Decide(ready(self.strategy, source), self.history)

    def _train(self, window: Window, progress: Progress) -> WindowModel:
        import lightgbm

        dataset = self._dataset(window)
        parameters = parameters_for(dataset.part("train").height, self.parameters)
        trained: TrainedModel = train(
            dataset, parameters=parameters, seed=self.seed, on_progress=progress, threads=self.threads
        )
        # The text was written by this very process a moment ago, so it needs no signature.
        booster = lightgbm.Booster(model_str=trained.text.decode())
        return WindowModel(trained.features, trained.feature_version, booster)

    def _dataset(self, window: Window) -> Dataset:
        """Return the rows of the window; its test part serves figures alone and is not learnt from."""
        first, last = window.train[0], window.test[-1]
        features = self.history.features.filter(pl.col("date").is_between(first, last))
        learnt, held, judged = (Span(part[0], part[-1]) for part in (window.train, window.valid, window.test))
        splits = Splits(learnt, held, judged, self.embargo)
        bars = self.history.until(last)
        return make_dataset(features, bars, names=FEATURES, feature_version=feature_version(), splits=splits)


def with_settings(strategy: SignalStrategy, chosen: Mapping[str, Any]) -> SignalStrategy:
    """Return a copy of a strategy with other settings.

    :raises BacktestInputError: the strategy has no such setting, or the value is of another type
    """
    if not chosen:
        return strategy
    settings = getattr(strategy, "settings", None)
    if not is_dataclass(settings) or isinstance(settings, type):
        raise BacktestInputError("settings", ", ".join(chosen), f"none: {strategy.name} has no settings to choose")
    known = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    for name, value in chosen.items():
        if name not in known:
            raise BacktestInputError(f"settings.{name}", value, f"only {', '.join(sorted(known))}")
        if isinstance(value, bool) != isinstance(known[name], bool) or not _fits(value, known[name]):
            raise BacktestInputError(f"settings.{name}", value, f"a value like {known[name]!r}")
    typed = {name: type(known[name])(value) if known[name] is not None else value for name, value in chosen.items()}
    copy: SignalStrategy = replace(strategy, settings=replace(settings, **typed))  # type: ignore[type-var]
    return copy


def _fits(value: object, example: object) -> bool:
    if isinstance(example, float):
        return isinstance(value, (int, float))
    return example is None or isinstance(value, type(example))
