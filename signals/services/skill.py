"""How well stored scores went together with what came after them."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import polars as pl

from marketdata.selectors import bars as bars_of
from signals.evaluation import daily_ic, information
from signals.labels import next_session_return
from signals.models import Signal

PLACES = 6
LABEL_REACH_DAYS = 14
"""Calendar days that two sessions after a score certainly lie within."""


@dataclass(frozen=True, slots=True)
class Skill:
    """Mean correlation over the days with one, Pearson's and of the ranks, and over how many days; None without any."""

    ic: Decimal | None
    rank_ic: Decimal | None
    days: int


NO_SKILL = Skill(None, None, 0)


def skill_of(signal_sets: Iterable[int]) -> Skill:
    """Correlate the scores of sets with the return from the next close to the one after it, day by day.

    The same label that models are trained on, so that both numbers can stand side by side.
    """
    rows = Signal.objects.filter(signal_set_id__in=list(signal_sets), score__isnull=False).order_by("pk")
    told = rows.values_list("signal_set__as_of_date", "instrument__symbol", "score")
    scores = pl.DataFrame(list(told), schema={"date": pl.Date, "symbol": pl.String, "score": pl.Float64}, orient="row")
    if scores.is_empty():
        return NO_SKILL
    symbols = scores["symbol"].unique().sort().to_list()
    first, last = scores["date"].min(), scores["date"].max()
    bars = bars_of(symbols, start=first, adjustment="total_return")  # type: ignore[arg-type]
    reach = bars.filter(pl.col("date") <= last + pl.duration(days=LABEL_REACH_DAYS))
    joined = scores.join(next_session_return(reach), on=["symbol", "date"], how="left")
    ic = information(daily_ic(joined))
    ranked = information(daily_ic(joined, method="spearman"))
    return Skill(_exact(ic.mean), _exact(ranked.mean), ranked.days)


def _exact(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(f"{value:.{PLACES}f}")
