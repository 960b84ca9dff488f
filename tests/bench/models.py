"""Models: a session scored end to end, and a training beside LightGBM called directly on the same numbers.

Scored are 5 and 500 symbols: features from the cache, the model this process holds, its predictions. The training is of
as many rows as `BENCH_ROWS` says (600,000 with `BENCH_ROWS=600000`, as in Qlib's figures; fewer by default), both in
turns and in processor time, so that what else the machine does counts for neither.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import polars as pl
from django.test.utils import override_settings

from marketdata import calendar
from marketdata.clock import wall_now
from signals import registry
from signals.boosting import lightgbm_library
from signals.datasets import Dataset, make_dataset
from signals.feature_store import features_for, precompute
from signals.features import FEATURES, LOOKBACK, feature_version
from signals.training import QLIB_PARAMETERS, TrainedModel, train
from signals.training.parameters import booster_parameters, parameters_for
from tests.bench import generated_lake
from tests.bench.figures import Figures, latencies, verdict
from tests.bench.plan import Effort

STRATEGY = "alpha_baseline"
FEW, MANY = 5, 500
MOST_MILLISECONDS = {FEW: 10.0, MANY: 200.0}
SMALL_ROWS, FULL_ROWS = 20_000, 60_000
NAMES = 100
SMALL_TREES, TREES = 20, 100


def measure(effort: Effort) -> Figures:
    """Measure scoring and training."""
    full = effort.repeats > 1
    rows = int(os.environ.get("BENCH_ROWS", FULL_ROWS if full else SMALL_ROWS))
    trees = TREES if full else SMALL_TREES
    dataset = invented(rows)
    trained, training = _training(dataset, trees=trees, repeats=3 if full else 1)
    scoring = _scoring(trained, repeats=200 if full else 50)
    overhead = training["overhead of the training"]
    return {
        "scoring": scoring,
        "training": training,
        "targets": {
            **{
                f"{count} symbols end to end, p50 ms": verdict(
                    scoring[f"{count} symbols"]["p50_ms"], most=MOST_MILLISECONDS[count]
                )
                for count in (FEW, MANY)
            },
            "training over LightGBM's own": verdict(overhead, most=1.05),
        },
    }


def _scoring(trained: TrainedModel, *, repeats: int) -> Figures:
    """Score a session again and again, as a run does; beside it the prediction alone."""
    names = generated_lake.names(MANY)
    with (
        generated_lake.lake(MANY, 2 * LOOKBACK + 10),
        tempfile.TemporaryDirectory(prefix="portcullis-bench-models-") as folder,
        override_settings(MODEL_DIR=Path(folder), MODEL_SIGNING_KEY="b" * 40, MODEL_APPROVALS=1),
    ):
        session = calendar.latest_sessions(generated_lake.LAST, 1)[-1]
        version = registry.store(strategy=STRATEGY, trained=trained, created_by="bench", now=wall_now())
        registry.activate(version.pk, actor="bench", reason="to be measured", now=wall_now())
        precompute(symbols=names, session=session)
        told: Figures = {"trees": version.rounds, "bytes": version.size_bytes}
        for count in (FEW, MANY):
            wanted = names[:count]
            source = features_for(symbols=wanted, session=session).source
            told[f"{count} symbols"] = {**latencies(_times(lambda wanted=wanted: score(wanted, session), repeats))}
            told[f"{count} symbols"]["features from"] = source
            frame = features_for(symbols=wanted, session=session).frame
            told |= _predictions(frame, registry.active_model(STRATEGY), count, repeats)
        registry.live_models.forget()
    return told


def _predictions(frame: pl.DataFrame, model: registry.LoadedModel, count: int, repeats: int) -> Figures:
    """Measure our prediction and LightGBM's own of the same rows, as it comes (all cores)."""
    rows = frame.select(FEATURES).to_numpy()
    return {
        f"{count} symbols, prediction alone": latencies(_times(lambda: model.predict(frame), repeats)),
        f"{count} symbols, LightGBM's own": latencies(_times(lambda: model.booster.predict(rows), repeats)),
    }


def score(symbols: list[str], session: Any) -> np.ndarray:
    """Score a session: features, the active model, its predictions."""
    rows = features_for(symbols=symbols, session=session)
    return registry.active_model(STRATEGY).predict(rows.frame)


def _training(dataset: Dataset, *, trees: int, repeats: int) -> tuple[TrainedModel, Figures]:
    """Train in turns with LightGBM called directly: the same rows and parameters, one thread, processor time."""
    fitted = dataset.part("train").height
    chosen = {"num_boost_round": trees, "early_stopping_rounds": 0, "lambda_l1": 0.0, "lambda_l2": 1.0}
    parameters = parameters_for(fitted, chosen)
    arrays = [
        (dataset.part(name).select(FEATURES).to_numpy(), dataset.part(name)["target"].to_numpy())
        for name in ("train", "valid")
    ]
    ours, theirs, rest = [], [], []
    for _ in range(repeats):
        began = process_time()
        direct(arrays, parameters)
        theirs.append(process_time() - began)
        marks: list[float] = []

        def tell(done: int, total: int, what: str, marks: list[float] = marks) -> None:
            if done == 0 or what == "measuring":
                marks.append(process_time())

        trained = train(dataset, parameters=parameters, seed=7, threads=1, on_progress=tell)
        ours.append(marks[1] - marks[0])
        rest.append(process_time() - marks[1])
    return trained, {
        "rows": fitted,
        "features": len(FEATURES),
        "trees": trees,
        "Qlib's leaves": QLIB_PARAMETERS["num_leaves"],
        "seconds": round(median(ours), 3),
        "LightGBM's own seconds": round(median(theirs), 3),
        "overhead of the training": round(median(a / b for a, b in zip(ours, theirs, strict=True)), 3),
        "metrics, hash and golden rows, seconds": round(median(rest), 3),
    }


def direct(arrays: list[tuple[np.ndarray, np.ndarray]], parameters: dict[str, Any]) -> None:
    """Bin and train with nothing of ours."""
    lightgbm = lightgbm_library()
    settings = booster_parameters(parameters, seed=7, threads=1)
    (rows, target), (held, held_target) = arrays
    learnt = lightgbm.Dataset(rows, target, feature_name=list(FEATURES), params=settings)
    valid = lightgbm.Dataset(held, held_target, reference=learnt)
    lightgbm.train(settings, learnt, num_boost_round=parameters["num_boost_round"], valid_sets=[valid])


def invented(rows: int) -> Dataset:
    """Return a dataset of so many rows for training: features of no meaning, a label that knows two of them."""
    days = calendar.latest_sessions(generated_lake.LAST, max(60, round(rows / NAMES / 0.7)))
    chance = np.random.default_rng(11)
    values = chance.normal(size=(len(days) * NAMES, len(FEATURES)))
    signal = (values[:, 0] + values[:, 1]).reshape(len(days), NAMES)
    returns = 0.01 * chance.normal(size=signal.shape)
    returns[2:] += 0.003 * signal[:-2]
    keys = {
        "symbol": generated_lake.names(NAMES) * len(days),
        "date": pl.Series([day for day in days for _ in range(NAMES)], dtype=pl.Date),
    }
    features = pl.DataFrame(keys | {name: values[:, place] for place, name in enumerate(FEATURES)})
    bars = pl.DataFrame(keys | {"close": (100 * np.cumprod(1 + returns, axis=0)).ravel()})
    return make_dataset(features, bars, names=FEATURES, feature_version=feature_version())


def _times(work: Callable[[], object], repeats: int) -> list[float]:
    """Return milliseconds of each repeat, after three that do not count."""
    for _ in range(3):
        work()
    taken = []
    for _ in range(repeats):
        began = perf_counter()
        work()
        taken.append(1_000 * (perf_counter() - began))
    return taken
