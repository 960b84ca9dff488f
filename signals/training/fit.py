"""Fit a gradient-boosted model to a dataset, the same way every time."""

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import signals.datasets
import signals.labels
from signals.boosting import lightgbm_library
from signals.datasets import SPLITS, Dataset
from signals.evaluation.report import evaluate, plain
from signals.labels import HORIZONS
from signals.progress import Progress, silent
from signals.training.errors import TrainingError
from signals.training.parameters import MOST_THREADS, booster_parameters, checked, parameters_for
from signals.training.result import TrainedModel

GOLDEN_ROWS = 16
MOST_SEED = 2**31 - 1
THREADS_LINE = re.compile(rb"^\[num_threads: -?\d+\]$", re.MULTILINE)


def train(
    dataset: Dataset,
    *,
    parameters: Mapping[str, Any] | None = None,
    seed: int,
    on_progress: Progress | None = None,
    threads: int = 0,
) -> TrainedModel:
    """Return the model of a dataset; data, code, parameters and seed decide every byte of it, `threads` none.

    Parameters that are not given are Qlib's (`parameters_for`). `threads` 0 means all cores.
    :raises BadParameter: an unknown parameter, or one out of bounds
    :raises TrainingError: the data taught nothing, so that all names would score alike
    :raises Cancelled: `on_progress` wants no more of it
    """
    tell = on_progress or silent
    _require(seed, threads)
    fitted, valid = dataset.part("train"), dataset.part("valid")
    values = parameters_for(fitted.height) if parameters is None else checked(parameters)
    tell(0, values["num_boost_round"], "sorting the features into bins")
    booster = _boost(dataset, fitted, valid, values, seed=seed, threads=threads, tell=tell)
    rounds = booster.best_iteration or booster.current_iteration()
    text = _text(booster, rounds)
    if not sum(booster.feature_importance("split", iteration=rounds)):
        raise TrainingError(
            f"{fitted.height} rows taught nothing: no tree ever split, all names would score alike; more data or "
            f"smaller lambda_l1 ({values['lambda_l1']:g}), lambda_l2 and min_data_in_leaf help"
        )
    tell(values["num_boost_round"], values["num_boost_round"], "measuring")
    inside = dataset.frame.filter(pl.col("split").is_not_null())
    return TrainedModel(
        text=text,
        features=dataset.features,
        feature_version=dataset.feature_version,
        code_version=code_version(),
        data_hash=dataset.data_hash,
        symbols=dataset.symbols,
        first_date=inside["date"].min(),  # type: ignore[arg-type]
        last_date=dataset.splits.test.end,
        splits=dataset.described(),
        parameters=values,
        seed=seed,
        best_iteration=rounds,
        metrics=_metrics(dataset, booster, rounds),
        importance=_importance(booster, rounds),
        golden=_golden(booster, rounds, fitted, dataset.features),
    )


@cache
def code_version() -> str:
    """Return 12 hexadecimal digits over what decides a model besides its data: our files and LightGBM's version."""
    digest = hashlib.sha256(str(lightgbm_library().__version__).encode())
    files = [Path(__file__), Path(__file__).with_name("parameters.py")]
    for path in (*files, Path(str(signals.labels.__file__)), Path(str(signals.datasets.__file__))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _boost(
    dataset: Dataset,
    fitted: pl.DataFrame,
    valid: pl.DataFrame,
    values: Mapping[str, Any],
    *,
    seed: int,
    threads: int,
    tell: Progress,
) -> Any:
    lightgbm = lightgbm_library()
    settings = booster_parameters(values, seed=seed, threads=threads)
    names = list(dataset.features)
    learnt = lightgbm.Dataset(
        fitted.select(names).to_numpy(), fitted["target"].to_numpy(), feature_name=names, params=settings
    )
    held = lightgbm.Dataset(valid.select(names).to_numpy(), valid["target"].to_numpy(), reference=learnt)
    callbacks: list[Any] = [_progress_callback(tell, values["num_boost_round"])]
    if values["early_stopping_rounds"]:
        callbacks.append(lightgbm.early_stopping(values["early_stopping_rounds"], verbose=False))
    return lightgbm.train(
        settings,
        learnt,
        num_boost_round=values["num_boost_round"],
        valid_sets=[held],
        valid_names=["valid"],
        callbacks=callbacks,
    )


def _progress_callback(tell: Progress, rounds: int) -> Any:
    def told(environment: Any) -> None:
        results = environment.evaluation_result_list
        loss = f", validation loss {results[0][2]:.6f}" if results else ""
        tell(environment.iteration + 1, rounds, f"tree {environment.iteration + 1}{loss}")

    return told


def _text(booster: Any, rounds: int) -> bytes:
    """Return the model's text without the number of threads, the one line of it that the machine decides."""
    text: str = booster.model_to_string(num_iteration=rounds)
    return THREADS_LINE.sub(b"[num_threads: 0]", text.encode())


def _metrics(dataset: Dataset, booster: Any, rounds: int) -> dict[str, Any]:
    """Return the evaluation of each split, against the plain returns."""
    told: dict[str, Any] = {}
    for name in SPLITS:
        part = dataset.part(name)
        scores = booster.predict(part.select(dataset.features).to_numpy(), num_iteration=rounds)
        frame = part.select("date", "symbol", "label", *(f"forward_{held}" for held in HORIZONS)).with_columns(
            score=pl.Series(scores, dtype=pl.Float64)
        )
        told[name] = evaluate(frame, returns={held: f"forward_{held}" for held in HORIZONS})
    return told


def _importance(booster: Any, rounds: int) -> dict[str, dict[str, float]]:
    gain = booster.feature_importance("gain", iteration=rounds)
    splits = booster.feature_importance("split", iteration=rounds)
    return {
        name: {"gain": float(of_gain), "splits": int(of_splits)}
        for name, of_gain, of_splits in zip(booster.feature_name(), gain, splits, strict=True)
    }


def _golden(booster: Any, rounds: int, rows: pl.DataFrame, features: tuple[str, ...]) -> dict[str, Any]:
    """Return rows spread over the training data and what the model answers; infinite features are left out."""
    names = list(features)
    finite = rows.filter(~pl.any_horizontal(pl.col(name).is_infinite() for name in names))
    chosen = np.unique(np.linspace(0, finite.height - 1, min(GOLDEN_ROWS, finite.height)).astype(int))
    inputs = finite[chosen.tolist()].select(names).to_numpy()
    answers = booster.predict(inputs, num_iteration=rounds, num_threads=1)
    return {"inputs": plain(inputs.tolist()), "predictions": [float(value) for value in answers]}


def _require(seed: int, threads: int) -> None:
    if not 0 <= seed <= MOST_SEED:
        raise TrainingError(f"seed: got {seed}, allowed is a whole number from 0 to {MOST_SEED}")
    if not 0 <= threads <= MOST_THREADS:
        raise TrainingError(f"threads: got {threads}, allowed are 0 (all cores) to {MOST_THREADS}")
