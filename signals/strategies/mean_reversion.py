"""Short-horizon reversal with z-score bands.

Lehmann 1990 and Jegadeesh 1990 found that last week's losers beat last week's winners. The 5-session return is
compared with its own past 60 values; bands to enter and to leave come from Avellaneda and Lee 2010, "Statistical
arbitrage in the US equities market", section 3: far out to enter, well inside to leave, so that a name on the edge is
not traded back and forth.

A band needs to know whether the trade is on. Instead of remembering it, the path of z over the last 60 sessions is
walked again each time: the result depends on bars alone, and no trade outlives 60 sessions.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal

import polars as pl

from signals.strategies.base import Cadence
from signals.strategies.weighting import equal_weights

_NO_DISPERSION = 1e-9
"""A standard deviation of returns below this is a constant price with rounding noise."""


@dataclass(frozen=True, slots=True)
class MeanReversionParameters:
    """Windows in sessions, bands in standard deviations."""

    return_sessions: int = 5
    distribution_sessions: int = 60
    holding_sessions: int = 60
    """How far back an entry may lie."""
    enter: float = 1.25
    leave: float = 0.5
    spare_sessions: int = 10


@dataclass(frozen=True, slots=True)
class MeanReversion:
    """Buy what fell unusually far in a week, sell what rose, leave when it is ordinary again."""

    settings: MeanReversionParameters = field(default_factory=MeanReversionParameters)
    name: str = "mean_reversion"
    cadence: Cadence = "daily"

    @property
    def _rows(self) -> int:
        s = self.settings
        return s.return_sessions + s.distribution_sessions + s.holding_sessions

    @property
    def lookback_sessions(self) -> int:
        """Return the rows the walk needs and the spare sessions."""
        return self._rows + self.settings.spare_sessions

    @property
    def parameters(self) -> Mapping[str, int | float | str]:
        """Return the settings and the cadence."""
        return {**asdict(self.settings), "cadence": self.cadence}

    def scores(self, bars: pl.DataFrame, as_of: date) -> pl.DataFrame:
        """Return −z while a trade is on and 0 while none is; null without a full distribution window."""
        window = (
            bars.filter(pl.col("date") <= as_of)
            .sort("symbol", "date")
            .group_by("symbol", maintain_order=True)
            .tail(self._rows)
        )
        return (
            window.with_columns(z=self._z_score())
            .with_columns(side=self._side())
            .group_by("symbol", maintain_order=True)
            .agg(
                score=(-pl.col("z") * pl.col("side").abs()).last().cast(pl.Float64),
                feature_date=pl.col("date").last(),
            )
        )

    def weights(self, scores: pl.DataFrame) -> dict[str, Decimal]:
        """Give each open trade one slot of capital ÷ number of scored names, long or short."""
        directions = {symbol: (score > 0) - (score < 0) for symbol, score in scores.select("symbol", "score").rows()}
        return equal_weights(directions, names=max(len(directions), 1))

    def _z_score(self) -> pl.Expr:
        s = self.settings
        move = pl.col("close") / pl.col("close").shift(s.return_sessions) - 1
        mean = move.rolling_mean(s.distribution_sessions)
        deviation = move.rolling_std(s.distribution_sessions)
        usable = pl.when(deviation.is_null()).then(None).when(deviation > _NO_DISPERSION).then(deviation)
        return ((move - mean) / usable.otherwise(float("nan"))).over("symbol")

    def _side(self) -> pl.Expr:
        """Walk the bands: +1 from `z ≤ −enter` until `z ≥ −leave`, −1 from `z ≥ enter` until `z ≤ leave`."""
        s, z = self.settings, pl.col("z").fill_nan(None)
        long = pl.when(z <= -s.enter).then(1).when(z >= -s.leave).then(0)
        short = pl.when(z >= s.enter).then(-1).when(z <= s.leave).then(0)
        walked = [side.otherwise(None).forward_fill().fill_null(0) for side in (long, short)]
        return (walked[0] + walked[1]).over("symbol")


STRATEGY = MeanReversion()
