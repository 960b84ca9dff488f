"""The port of a strategy: bars in, scores and target weights out.

A new strategy is one file in this package that defines `STRATEGY`; see `momentum.py`, and `docs/strategies.md`.

Implementations are pure. One that needs more than bars says so by having one of the smaller ports below, and is handed
what it needs by whoever calls it: a model (`ModelStrategy`) or the other strategies (`CompositeStrategy`). It gets them
as a value, in a copy of itself (`with_model`, `with_members`), and never looks for them: so the same copy on the same
bars gives the same scores in research, in a replay pinned to an old model and on the desk, no strategy file opens a
database or a file, and which model was used is known to the one who handed it in and stores it with the signals.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Literal, Protocol, Self, runtime_checkable

import numpy as np
import polars as pl

from signals.portfolio import PortfolioRules

Cadence = Literal["daily", "monthly"]

SCORE_SCHEMA = pl.Schema({"symbol": pl.String, "score": pl.Float64, "feature_date": pl.Date})
"""What `scores` returns: a null score means too little history, `feature_date` is the newest bar used."""


class SignalStrategy(Protocol):
    """One way to turn bars into target weights. Implementations are pure and hold no state between calls."""

    @property
    def name(self) -> str:
        """Return the slug; `execution.Strategy` uses the same."""
        ...

    @property
    def lookback_sessions(self) -> int:
        """Return how many sessions of bars, the as-of session included, `scores` wants to see."""
        ...

    @property
    def cadence(self) -> Cadence:
        """Return how often targets are renewed; in between, positions are left as they are."""
        ...

    @property
    def parameters(self) -> Mapping[str, int | float | str]:
        """Return every number the result depends on; it is stored and hashed with the signals."""
        ...

    def scores(self, bars: pl.DataFrame, as_of: date) -> pl.DataFrame:
        """Score each symbol on what was known at the close of `as_of`; rows after it are never used.

        `bars` is long: `symbol, date, open, high, low, close, volume`, adjusted for splits and dividends as known
        on `as_of`. The answer has the columns of `SCORE_SCHEMA`, one row per symbol.
        """
        ...

    def weights(self, scores: pl.DataFrame) -> dict[str, Decimal]:
        """Return signed fractions of the strategy's capital, 6 decimal places, Σ|weight| ≤ 1.

        `scores` holds only rows with a finite score. Symbols that are left out have the weight 0.
        """
        ...


class ScoringModel(Protocol):
    """What a strategy needs of a model; the registry's `LoadedModel` is one, and so is any object in a test."""

    @property
    def version_id(self) -> int:
        """Return the version's key, to be stored with what it says."""
        ...

    @property
    def features(self) -> tuple[str, ...]:
        """Return the names of the features it wants."""
        ...

    @property
    def feature_version(self) -> str:
        """Return the version of the definitions it was trained on."""
        ...

    def predict(self, frame: pl.DataFrame) -> np.ndarray:
        """Return one score a row, float64, in the frame's order."""
        ...


@runtime_checkable
class ModelStrategy(SignalStrategy, Protocol):
    """A strategy that scores with a trained model."""

    @property
    def model(self) -> ScoringModel | None:
        """Return the model it was handed; None in the strategy as its file defines it, which cannot score."""
        ...

    def with_model(self, model: ScoringModel) -> Self:
        """Return a copy that scores with `model`."""
        ...

    def scores_of_features(self, features: pl.DataFrame) -> pl.DataFrame:
        """Score ready features (`symbol, date` and the model's), one row a symbol, as `scores` would from bars."""
        ...


@runtime_checkable
class CompositeStrategy(SignalStrategy, Protocol):
    """A strategy that scores with the scores of others."""

    @property
    def member_names(self) -> tuple[str, ...]:
        """Return the strategies it asks."""
        ...

    def with_members(self, members: Sequence[SignalStrategy]) -> Self:
        """Return a copy that asks these, each able to score."""
        ...

    @property
    def members(self) -> tuple[SignalStrategy, ...]:
        """Return the strategies it was handed; empty in the strategy as its file defines it, which cannot score."""
        ...

    def combine(self, scores: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Return one score a symbol from the members' scores, by member."""
        ...


@runtime_checkable
class CappedStrategy(Protocol):
    """A strategy whose weights follow portfolio rules; whoever knows what is held applies the rest of them."""

    @property
    def rules(self) -> PortfolioRules:
        """Return counts and caps."""
        ...


def rules_of(strategy: SignalStrategy) -> PortfolioRules | None:
    """Return the portfolio rules of a strategy that has some."""
    return strategy.rules if isinstance(strategy, CappedStrategy) else None


def period_start(cadence: Cadence, trading_date: date) -> date:
    """Return the first calendar day of the period in which one rebalance is due."""
    return trading_date.replace(day=1) if cadence == "monthly" else trading_date
