"""What a model learns to predict: the return of the session after the next, against the other names of the day.

A score of session t is known after its close, so the first price one may trade at is that of session t + 1. The label
of t is therefore the return from the close of t + 1 to that of t + 2 (Qlib's `Ref($close, -2)/Ref($close, -1) - 1`).
"""

from collections.abc import Sequence
from datetime import date

import polars as pl

from marketdata import calendar

HORIZON = 2
"""Sessions from a row to the newest close its label knows."""
HORIZONS = (1, 2, 5, 10)
"""Sessions held, for the decay of a score's information."""


def next_session_return(bars: pl.DataFrame) -> pl.DataFrame:
    """Return `symbol, date, label`: close[t + 2] ÷ close[t + 1] − 1, one row a bar, sorted by symbol and date.

    t + 1 and t + 2 are exchange sessions, not the symbol's next rows: where either has no usable close the label is
    null, and so it is at the end.
    """
    return forward_returns(bars, horizons=(1,)).rename({"forward_1": "label"})


def forward_returns(bars: pl.DataFrame, horizons: Sequence[int] = HORIZONS) -> pl.DataFrame:
    """Return `symbol, date, forward_H…`: close[t + 1 + H] ÷ close[t + 1] − 1 by exchange sessions."""
    schema = {"symbol": pl.String, "date": pl.Date, "close": pl.Float64}
    rows = with_session_number(bars.select(pl.col(name).cast(kind) for name, kind in schema.items()))
    usable = rows.filter((pl.col("close") > 0) & pl.col("close").is_finite()).select("symbol", "session", "close")
    for ahead in sorted({1, *(1 + horizon for horizon in horizons)}):
        later = usable.with_columns(pl.col("session") - ahead).rename({"close": f"close_{ahead}"})
        rows = rows.join(later, on=["symbol", "session"], how="left")
    returns = [(pl.col(f"close_{1 + days}") / pl.col("close_1") - 1).alias(f"forward_{days}") for days in horizons]
    return rows.select("symbol", "date", *returns).sort("symbol", "date")


def normalised_by_day(frame: pl.DataFrame, *, label: str = "label") -> pl.DataFrame:
    """Return the frame with `target`: the z-score of the label among the names of its date.

    (x − mean) ÷ deviation with ddof 1, as Qlib's `CSZScoreNorm`. A z-score and no rank: with the squared loss a rank
    would give the best name of a quiet day the weight of the best of a violent one, and with few names most of the
    size of a move would be lost. A date with fewer than two labels, or with labels all equal, has no target.
    """
    known = pl.col(label).is_finite() & pl.col(label).is_not_null()
    value = pl.when(known).then(pl.col(label))
    spread = value.std(ddof=1).over("date")
    score = (value - value.mean().over("date")) / spread
    return frame.with_columns(pl.when(spread > 0).then(score).alias("target"))


def with_session_number(frame: pl.DataFrame) -> pl.DataFrame:
    """Add `session`: the position of the date among all exchange sessions between the frame's first and last date.

    A date that is no session of the calendar counts as one all the same: it has a bar.
    """
    days = session_days(frame)
    numbers = pl.DataFrame({"date": days, "session": range(len(days))}, schema={"date": pl.Date, "session": pl.Int64})
    return frame.join(numbers, on="date", how="left")


def session_days(frame: pl.DataFrame) -> list[date]:
    """Return the exchange sessions between the frame's first and last date, and any other date it has, ascending."""
    days = set(frame["date"].unique().to_list())
    if not days:
        return []
    return sorted(days | set(calendar.sessions_between(min(days), max(days))))
