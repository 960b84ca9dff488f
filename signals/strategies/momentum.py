"""Cross-sectional momentum, 12-1.

Jegadeesh and Titman 1993, "Returns to Buying Winners and Selling Losers": names are ranked by their return over the
past twelve months, and the newest month is left out because returns reverse over it (Jegadeesh 1990). Only the long
side is held here. The ranking moves slowly, so targets are renewed once a month as in the paper: daily renewal
would pay costs to follow noise at the edge of the ranking.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal

import polars as pl

from signals.strategies.base import Cadence
from signals.strategies.weighting import equal_weights


@dataclass(frozen=True, slots=True)
class MomentumParameters:
    """Sessions and counts; the defaults are the paper's twelve months and one month."""

    formation_sessions: int = 252
    """The return starts at the close of t − 252 ..."""
    skip_sessions: int = 21
    """... and ends at the close of t − 21."""
    top: int = 2
    """Names held, each with an equal share of the capital."""
    spare_sessions: int = 10
    """Bars that may be missing inside the window (halts, quarantine) before a name has no score."""


@dataclass(frozen=True, slots=True)
class Momentum:
    """Hold the best names of the past year, without its last month."""

    settings: MomentumParameters = field(default_factory=MomentumParameters)
    name: str = "momentum"
    cadence: Cadence = "monthly"

    @property
    def lookback_sessions(self) -> int:
        """Return the formation window, both ends included, and the spare sessions."""
        return self.settings.formation_sessions + 1 + self.settings.spare_sessions

    @property
    def parameters(self) -> Mapping[str, int | float | str]:
        """Return the settings and the cadence."""
        return {**asdict(self.settings), "cadence": self.cadence}

    def scores(self, bars: pl.DataFrame, as_of: date) -> pl.DataFrame:
        """Return close(t − skip) ÷ close(t − formation) − 1 per symbol; null without a full window."""
        start, end = self.settings.formation_sessions, self.settings.skip_sessions
        newest = pl.col("close").reverse()
        window_return = newest.get(end, null_on_oob=True) / newest.get(start, null_on_oob=True) - 1
        return (
            bars.filter(pl.col("date") <= as_of)
            .sort("symbol", "date")
            .group_by("symbol", maintain_order=True)
            .tail(start + 1)
            .group_by("symbol", maintain_order=True)
            .agg(
                score=window_return.cast(pl.Float64),
                feature_date=pl.col("date").last(),
            )
        )

    def weights(self, scores: pl.DataFrame) -> dict[str, Decimal]:
        """Share the capital equally among the `top` best; ties go to the first symbol in the alphabet."""
        best = scores.sort("score", "symbol", descending=[True, False]).head(self.settings.top)
        return equal_weights(dict.fromkeys(best["symbol"].to_list(), 1), names=self.settings.top)


STRATEGY = Momentum()
