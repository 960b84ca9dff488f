"""The port of a strategy: bars in, scores and target weights out.

A new strategy is one file in this package that defines `STRATEGY`; see `momentum.py`.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Literal, Protocol

import polars as pl

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


def period_start(cadence: Cadence, trading_date: date) -> date:
    """Return the first calendar day of the period in which one rebalance is due."""
    return trading_date.replace(day=1) if cadence == "monthly" else trading_date
