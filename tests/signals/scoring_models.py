"""Models whose every answer can be told beforehand."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from signals.features import feature_version
from signals.models import ModelVersion
from tests.signals.registry.candidates import NOW


@dataclass(frozen=True)
class WeekModel:
    """Scores a name by the return of its last five sessions: `ROC5` is the close of then ÷ the close of now."""

    version_id: int
    features: tuple[str, ...] = ("ROC5", "ROC60")
    feature_version: str = ""

    def predict(self, frame: pl.DataFrame) -> np.ndarray:
        """Return one score a row."""
        return 1 / frame["ROC5"].to_numpy() - 1


def ranked_by_week(strategy: str) -> WeekModel:
    """Return a registered model of the kind, as a source of models does."""
    version, _ = ModelVersion.objects.get_or_create(
        strategy=strategy,
        number=1,
        defaults={
            "sha256": "0" * 64,
            "size_bytes": 1,
            "identity": "week",
            "features": list(WeekModel.features),
            "feature_version": feature_version(),
            "code_version": "week",
            "data_hash": "",
            "symbols": [],
            "first_date": NOW.date(),
            "last_date": NOW.date(),
            "splits": {},
            "parameters": {},
            "seed": 0,
            "rounds": 1,
            "metrics": {},
            "importance": {},
            "golden": {},
            "created_by": "tests",
            "created_at": NOW,
        },
    )
    return WeekModel(version.pk, feature_version=feature_version())
