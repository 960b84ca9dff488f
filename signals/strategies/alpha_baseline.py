"""Alpha158 features, scored by a gradient-boosted model, the best names long and the worst short.

The set-up of Qlib's baseline (Yang et al. 2020, "Qlib: An AI-oriented quantitative investment platform"): LightGBM on
158 price and volume features, trained on the return of the session after the next, normalised by day. The model is
handed in (`ModelStrategy`); without one this strategy refuses to score, because any stand-in would be a guess that is
traded. Targets are approached within a turnover cap, so that a ranking that changes by a hair costs a hair.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Self

import polars as pl

from signals.errors import ModelMissingError
from signals.features import LOOKBACK, alpha158_newest
from signals.portfolio import PortfolioRules, construct
from signals.strategies.base import Cadence, ScoringModel

FULL_HISTORY = "ROC60"
"""The feature that looks back furthest: without it a name has too little history."""


@dataclass(frozen=True, slots=True)
class AlphaBaseline:
    """Rank names by a model's prediction and hold both ends of the ranking."""

    rules: PortfolioRules = field(
        default_factory=lambda: PortfolioRules(top=2, bottom=2, per_name=Decimal("0.25"), turnover=Decimal("0.5"))
    )
    model: ScoringModel | None = None
    name: str = "alpha_baseline"
    cadence: Cadence = "daily"

    @property
    def lookback_sessions(self) -> int:
        """Return sessions in which the rows that the newest features look back on are found, gaps allowed for."""
        return 2 * LOOKBACK

    @property
    def parameters(self) -> Mapping[str, int | float | str]:
        """Return rules and cadence, and which model was handed in."""
        known = {**self.rules.as_parameters, "cadence": self.cadence}
        if self.model is None:
            return known
        return {**known, "model_version": self.model.version_id, "feature_version": self.model.feature_version}

    def with_model(self, model: ScoringModel) -> Self:
        """Return a copy that scores with `model`."""
        return replace(self, model=model)

    def scores(self, bars: pl.DataFrame, as_of: date) -> pl.DataFrame:
        """Predict from the features of each symbol's newest bar; null without 60 sessions before it.

        :raises ModelMissingError: no model was handed in
        """
        known = bars.filter(pl.col("date") <= as_of).sort("symbol", "date")
        return self.scores_of_features(alpha158_newest(known))

    def scores_of_features(self, features: pl.DataFrame) -> pl.DataFrame:
        """Predict one score a row.

        :raises ModelMissingError: no model was handed in
        """
        if self.model is None:
            raise ModelMissingError(self.name)
        complete = pl.col(FULL_HISTORY).is_not_null() & pl.col(FULL_HISTORY).is_not_nan()
        predicted = pl.Series("predicted", self.model.predict(features), dtype=pl.Float64)
        return features.with_columns(predicted).select(
            pl.col("symbol"),
            score=pl.when(complete).then(pl.col("predicted")),
            feature_date=pl.col("date"),
        )

    def weights(self, scores: pl.DataFrame) -> dict[str, Decimal]:
        """Give the best and the worst names a slot each, within the caps."""
        return construct(scores.select("symbol", "score").rows(), self.rules)


STRATEGY = AlphaBaseline()
