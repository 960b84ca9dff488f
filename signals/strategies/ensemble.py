"""What several strategies say together: the average of their rankings.

Scores of different strategies have different scales (a return, a z-score, a prediction), so each is turned into ranks
first and only those are averaged (Dwork et al. 2001, "Rank aggregation methods for the web", section 3: Borda's
method). With unequal shares it is the weighted average of the same ranks. The members are handed in
(`CompositeStrategy`), each able to score; an ensemble that is a member short is another strategy, so it refuses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Self

import polars as pl

from signals.errors import MembersMissingError
from signals.portfolio import PortfolioRules, construct
from signals.strategies.base import SCORE_SCHEMA, Cadence, SignalStrategy


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Average the members' rankings, and hold both ends of the result."""

    shares: tuple[tuple[str, float], ...] = (("alpha_baseline", 1.0), ("mean_reversion", 1.0), ("momentum", 1.0))
    """How much each member's ranking counts; only the proportions matter."""
    least_members: int = 2
    """A name that fewer members have a score for gets none."""
    rules: PortfolioRules = field(
        default_factory=lambda: PortfolioRules(top=2, bottom=2, per_name=Decimal("0.25"), turnover=Decimal("0.5"))
    )
    members: tuple[SignalStrategy, ...] = ()
    name: str = "ensemble"
    cadence: Cadence = "daily"

    def __post_init__(self) -> None:
        """Refuse shares that weigh nothing."""
        if not self.shares or any(not share > 0 for _, share in self.shares):
            raise ValueError(f"shares: got {self.shares}, allowed: a number above 0 for each of at least one member")

    @property
    def member_names(self) -> tuple[str, ...]:
        """Return the strategies that have a share."""
        return tuple(name for name, _ in self.shares)

    @property
    def lookback_sessions(self) -> int:
        """Return the longest look-back of the members; 1 before there are any."""
        return max((member.lookback_sessions for member in self.members), default=1)

    @property
    def parameters(self) -> Mapping[str, int | float | str]:
        """Return shares, rules and cadence, and what each member's result depends on."""
        own = {
            **{f"share.{name}": share for name, share in self.shares},
            "least_members": self.least_members,
            **self.rules.as_parameters,
            "cadence": self.cadence,
        }
        return own | {
            f"{member.name}.{name}": value for member in self.members for name, value in member.parameters.items()
        }

    def with_members(self, members: Sequence[SignalStrategy]) -> Self:
        """Return a copy that asks these."""
        return replace(self, members=tuple(members))

    def scores(self, bars: pl.DataFrame, as_of: date) -> pl.DataFrame:
        """Average what the members say about the same bars.

        :raises MembersMissingError: a member was not handed in
        """
        return self.combine({member.name: member.scores(bars, as_of) for member in self.members})

    def combine(self, scores: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Return the average rank of each symbol, −1 worst to 1 best, over the members that have a score for it.

        Only scores on a symbol's newest feature date count. Scores alike share their ranks.
        :raises MembersMissingError: a member has not said anything
        """
        missing = [name for name in self.member_names if name not in scores]
        if missing:
            raise MembersMissingError(self.name, missing)
        said = pl.concat(
            scores[name].select(SCORE_SCHEMA.names()).with_columns(member=pl.lit(name), share=pl.lit(share))
            for name, share in self.shares
        )
        everybody = said.group_by("symbol").agg(pl.col("feature_date").max())
        usable = said.filter(pl.col("score").is_finite()).join(everybody, on=["symbol", "feature_date"], how="semi")
        averaged = (
            usable.with_columns(place=_place().over("member"))
            .group_by("symbol")
            .agg(score=(pl.col("place") * pl.col("share")).sum() / pl.col("share").sum(), members=pl.len())
            .filter(pl.col("members") >= self.least_members)
        )
        return everybody.join(averaged, on="symbol", how="left").select(SCORE_SCHEMA.names()).sort("symbol")

    def weights(self, scores: pl.DataFrame) -> dict[str, Decimal]:
        """Give the best and the worst names a slot each, within the caps."""
        return construct(scores.select("symbol", "score").rows(), self.rules)


def _place() -> pl.Expr:
    """Return the rank within a group scaled to −1 (lowest score) … 1 (highest); equal scores share their ranks."""
    ranks, count = pl.col("score").rank("average"), pl.len()
    return pl.when(count > 1).then((2 * ranks - count - 1) / (count - 1)).otherwise(0.0)


STRATEGY = Ensemble()
