"""How the volume of an instrument was spread over past sessions, measured from minute bars of the lake."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import polars as pl

from marketdata import calendar
from marketdata.lake import BarLake
from marketdata.types import Timeframe

PARTS = 78
"""Parts of a session, five minutes each of a full one; a half day has as many, shorter ones."""
SESSIONS = 20
FEWEST_SESSIONS = 5


@dataclass(frozen=True, slots=True)
class VolumeProfile:
    """Shares traded in equal parts of the session, summed over so many sessions, the last of them `until`."""

    volumes: tuple[Decimal, ...]
    sessions: int
    until: date


def volume_profile(*, lake: BarLake, symbol: str, before: date) -> VolumeProfile | None:
    """Return the profile of the last sessions before a date; None when fewer than five of them have minute bars.

    Bars outside regular hours do not count.
    """
    days = calendar.latest_sessions(calendar.previous_session(before), SESSIONS)
    if not lake.years(Timeframe.MINUTE):
        return None
    hours = pl.DataFrame(
        {
            "day": days,
            "opens_at": [calendar.session_open(day) for day in days],
            "closes_at": [calendar.session_close(day) for day in days],
        },
        schema={"day": pl.Date(), "opens_at": pl.Datetime("us", "UTC"), "closes_at": pl.Datetime("us", "UTC")},
    )
    bars = lake.scan(Timeframe.MINUTE, symbols=[symbol], start=days[0], end=days[-1]).select("at", "volume").collect()
    inside = (
        bars.with_columns(day=pl.col("at").dt.convert_time_zone("America/New_York").dt.date())
        .join(hours, on="day")
        .filter((pl.col("at") >= pl.col("opens_at")) & (pl.col("at") < pl.col("closes_at")))
        .with_columns(
            part=(pl.col("at") - pl.col("opens_at")).dt.total_seconds()
            * PARTS
            // (pl.col("closes_at") - pl.col("opens_at")).dt.total_seconds()
        )
    )
    sessions = inside["day"].n_unique()
    if sessions < FEWEST_SESSIONS or not inside["volume"].sum():
        return None
    found = dict(inside.group_by("part").agg(pl.col("volume").sum()).iter_rows())
    volumes = tuple(Decimal(int(found.get(part, 0))) for part in range(PARTS))
    return VolumeProfile(volumes, sessions, max(inside["day"].to_list()))
