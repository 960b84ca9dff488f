"""What comes out of a training, before anybody has registered it."""

from dataclasses import dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """A model's text and everything that is told of it later; values are fit for JSON."""

    text: bytes
    """LightGBM's text format: the same data, code, parameters and seed give the same bytes."""
    features: tuple[str, ...]
    feature_version: str
    code_version: str
    data_hash: str
    symbols: tuple[str, ...]
    first_date: date
    last_date: date
    splits: dict[str, Any]
    parameters: dict[str, Any]
    seed: int
    best_iteration: int
    metrics: dict[str, Any]
    """Per split: see `signals.evaluation.report`."""
    importance: dict[str, dict[str, float]]
    """Feature → `gain` and `splits`."""
    golden: dict[str, Any]
    """`inputs`, rows of features, and `predictions`, what the model answers to them."""
