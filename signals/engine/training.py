"""A training on a worker, whole: the same bytes wherever it runs.

`lightgbm.dask` cuts the rows over workers: each finds borders of bins from its own rows and sums its own part of each
histogram, so the trees depend on how many workers there are. One model is therefore trained by one worker; what scales
out is how many models are trained at once: windows, parameters, strategies (`docs/scale.md`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from signals.datasets import Dataset
from signals.engine.base import Engine
from signals.engine.here import Inline
from signals.progress import Progress, silent
from signals.training import TrainedModel, train


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `train` is told beside the data."""

    parameters: Mapping[str, Any]
    seed: int
    threads: int


def train_on(
    engine: Engine,
    dataset: Dataset,
    *,
    parameters: Mapping[str, Any],
    seed: int,
    threads: int = 0,
    on_progress: Progress = silent,
) -> TrainedModel:
    """Return what `train` returns, from a worker with room; in this process its progress is told tree by tree.

    :raises EngineError: the engine cannot do it, or the training failed there
    """
    wanted = Wanted(dict(parameters), seed, threads)
    if isinstance(engine, Inline):
        return _train(dataset, wanted, on_progress)
    (trained,) = engine.map(_train, [wanted], shared=dataset, progress=on_progress, what="training on a worker")
    return trained


def _train(dataset: Dataset, wanted: Wanted, on_progress: Progress = silent) -> TrainedModel:
    return train(
        dataset, parameters=wanted.parameters, seed=wanted.seed, threads=wanted.threads, on_progress=on_progress
    )
