"""From a version to a model that predicts: verify, parse the very bytes that were verified, ask the golden rows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from signals.boosting import lightgbm_library
from signals.models import ModelVersion
from signals.registry.artefacts import read_verified
from signals.registry.errors import ArtefactError

Parser = Callable[[bytes], Any]

GOLDEN_TOLERANCE = 1e-9
"""Another machine may add the leaves in another order; nothing else may differ."""
ROWS_OF_ONE_THREAD = 4_096
"""Fewer rows are scored sooner by one thread than by waking several."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that was verified and asked its golden rows; safe to use from several threads."""

    version_id: int
    strategy: str
    number: int
    features: tuple[str, ...]
    feature_version: str
    booster: Any = field(repr=False)

    def predict(self, frame: pl.DataFrame) -> np.ndarray:
        """Return one score a row, float64, in the frame's order; NaN features are values like any other.

        :raises ValueError: a feature is missing from the frame
        """
        there = set(frame.columns)
        missing = [name for name in self.features if name not in there]
        if missing:
            shown = ", ".join(missing[:5]) + ("…" if len(missing) > 5 else "")
            raise ValueError(f"{self.strategy} {self.number} wants {len(missing)} features that are missing: {shown}")
        if frame.is_empty():
            return np.empty(0)
        return self.predict_rows(frame.select(self.features).to_numpy())

    def predict_rows(self, rows: np.ndarray) -> np.ndarray:
        """Return one score a row of `(n, features)` in the model's order."""
        threads = 1 if len(rows) < ROWS_OF_ONE_THREAD else 0
        return np.asarray(self.booster.predict(rows, num_threads=threads), dtype=np.float64)


def parse_booster(content: bytes) -> Any:
    """Parse LightGBM's text format. Only for bytes that were verified: a crafted text can write out of bounds.

    :raises ArtefactError: it is no model
    """
    lightgbm = lightgbm_library()
    try:
        return lightgbm.Booster(model_str=content.decode("utf-8"))
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError, ValueError) as error:
        raise ArtefactError(f"the file is no LightGBM model: {error}") from error


def load(version: ModelVersion, *, parse: Parser = parse_booster) -> LoadedModel:
    """Return the model of a version.

    :raises ArtefactError: the file is missing, altered, unsigned, or answers its golden rows otherwise than in training
    """
    booster = parse(read_verified(version))
    features = tuple(version.features)
    if tuple(booster.feature_name()) != features:
        raise ArtefactError(
            f"{version}: the file's {booster.num_feature()} features are not the {len(features)} stored"
        )
    model = LoadedModel(version.pk, version.strategy, version.number, features, version.feature_version, booster)
    _ask_golden_rows(model, version)
    return model


def _ask_golden_rows(model: LoadedModel, version: ModelVersion) -> None:
    inputs, expected = golden_arrays(version.golden, len(model.features))
    if not len(inputs):
        raise ArtefactError(f"{version} has no golden rows: nothing tells that it answers as it did in training")
    answered = model.predict_rows(inputs)
    worst = int(np.argmax(np.abs(answered - expected)))
    if not np.allclose(answered, expected, rtol=GOLDEN_TOLERANCE, atol=GOLDEN_TOLERANCE, equal_nan=False):
        raise ArtefactError(
            f"{version}: golden row {worst} gives {answered[worst]:.12g}, in training it gave {expected[worst]:.12g}"
        )


def golden_arrays(golden: dict[str, Any], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return stored golden rows as `(n, features)` and `(n,)`; null is NaN."""
    inputs = np.array(
        [[np.nan if value is None else value for value in row] for row in golden.get("inputs", [])], dtype=np.float64
    ).reshape(-1, width)
    return inputs, np.array(golden.get("predictions", []), dtype=np.float64)
