"""Is the data recent enough to decide on?

Age is counted in trading time: a Friday bar is fresh on Monday before the open.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Literal, get_args

import polars as pl

from marketdata.calendar import session_close, trading_seconds_between
from marketdata.errors import FutureTimestampError

FreshnessMode = Literal["latest", "oldest", "median", "per_symbol"]


@dataclass(frozen=True, slots=True)
class FreshnessReport:
    """The verdict. Ages are trading seconds; `age_seconds` is the one the mode judges (None without any data)."""

    fresh: bool
    mode: FreshnessMode
    max_age_seconds: int
    age_seconds: int | None
    fresh_symbols: list[str]
    stale_symbols: dict[str, int]
    missing_symbols: list[str]

    @property
    def detail(self) -> str:
        """Say the verdict in a line."""
        total = len(self.fresh_symbols) + len(self.stale_symbols) + len(self.missing_symbols)
        stale = [f"{symbol} {age} s" for symbol, age in self.stale_symbols.items()]
        late = ", ".join([*stale, *(f"{symbol} without data" for symbol in self.missing_symbols)])
        return f"{len(self.fresh_symbols)} of {total} symbols fresh" + (f"; stale: {late}" if late else "")


def check_freshness(
    frame: pl.DataFrame,
    max_age: timedelta,
    mode: FreshnessMode = "per_symbol",
    *,
    now: datetime,
    min_fresh_pct: float | Decimal = 100.0,
    expected: list[str] | None = None,
) -> FreshnessReport:
    """Judge the newest row of each symbol; `frame` has `symbol` and `date` (sessions) or `at` (instants, UTC).

    `latest`, `oldest` and `median` judge one age; `per_symbol` asks for at least `min_fresh_pct` of the symbols to be
    fresh and lists the others, to be excluded. `expected` symbols without a row count as stale.
    :raises FutureTimestampError: a row is later than `now`
    """
    if mode not in get_args(FreshnessMode):
        raise ValueError(f"mode {mode!r} is not allowed: {', '.join(get_args(FreshnessMode))} are")
    limit = int(max_age.total_seconds())
    ages = _ages(frame, now)
    fresh = sorted(symbol for symbol, age in ages.items() if age <= limit)
    missing = sorted(set(expected or ()) - set(ages))
    judged = _judged(list(ages.values()), mode)
    if mode == "per_symbol":
        total = len(ages) + len(missing)
        verdict = total > 0 and len(fresh) * 100 >= min_fresh_pct * total and bool(fresh)
    else:
        verdict = judged is not None and judged <= limit and not (mode == "oldest" and missing)
    stale = {symbol: ages[symbol] for symbol in sorted(ages) if ages[symbol] > limit}
    return FreshnessReport(verdict, mode, limit, judged, fresh, stale, missing)


def _ages(frame: pl.DataFrame, now: datetime) -> dict[str, int]:
    key = "at" if "at" in frame.columns else "date"
    newest = frame.group_by("symbol").agg(pl.col(key).max()).sort("symbol")
    ages: dict[str, int] = {}
    for symbol, stamp in newest.iter_rows():
        at = _instant(stamp)
        if at > now:
            raise FutureTimestampError(symbol, at, now)
        ages[symbol] = trading_seconds_between(at, now)
    return ages


def _instant(stamp: date | datetime) -> datetime:
    """Return when a row was complete: a daily bar at its session's close."""
    return stamp if isinstance(stamp, datetime) else session_close(stamp)


def _judged(ages: list[int], mode: FreshnessMode) -> int | None:
    if not ages:
        return None
    if mode == "latest":
        return min(ages)
    return int(median(ages)) if mode == "median" else max(ages)
