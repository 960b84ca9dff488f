"""How the volume of past sessions was spread, measured from minute bars."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl

from marketdata import calendar
from marketdata.lake import BarLake, bar_schema
from marketdata.types import Timeframe
from marketdata.volume_profile import PARTS, volume_profile

BEFORE = date(2012, 7, 5)
HALF_DAY = date(2012, 7, 3)


def minute(at: datetime, volume: int, symbol: str = "AAPL") -> dict[str, object]:
    return {"symbol": symbol, "at": at, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": float(volume)}


def written(lake: BarLake, days: list[date]) -> None:
    """Store sessions whose first tenth trades nine shares of ten, and some volume outside of hours."""
    bars = []
    for day in days:
        opening, closing = calendar.session_open(day), calendar.session_close(day)
        tenth = (closing - opening) / 10
        bars += [minute(opening, 900), minute(opening + tenth * 5, 100)]
        bars += [minute(opening - timedelta(minutes=5), 5_000), minute(closing, 5_000), minute(opening, 7, "IBM")]
    lake.write(pl.DataFrame(bars, schema=bar_schema(Timeframe.MINUTE)), Timeframe.MINUTE, "test")


def test_the_volume_of_regular_hours_is_spread_over_equal_parts_also_on_a_half_day(tmp_path: Path) -> None:
    lake = BarLake(tmp_path)
    days = calendar.latest_sessions(HALF_DAY, 6)
    written(lake, days)
    found = volume_profile(lake=lake, symbol="AAPL", before=BEFORE)
    assert found is not None
    assert (found.sessions, len(found.volumes)) == (6, PARTS)
    assert HALF_DAY <= found.until < BEFORE
    assert (found.volumes[0], found.volumes[PARTS // 2]) == (Decimal(5_400), Decimal(600))
    assert sum(found.volumes) == 6_000


def test_fewer_than_five_sessions_are_no_measure(tmp_path: Path) -> None:
    lake = BarLake(tmp_path)
    assert volume_profile(lake=lake, symbol="AAPL", before=BEFORE) is None
    written(lake, calendar.latest_sessions(HALF_DAY, 4))
    assert volume_profile(lake=lake, symbol="AAPL", before=BEFORE) is None
    written(lake, calendar.latest_sessions(HALF_DAY, 5))
    assert volume_profile(lake=lake, symbol="AAPL", before=BEFORE) is not None
    assert volume_profile(lake=lake, symbol="MSFT", before=BEFORE) is None


def test_what_comes_later_is_not_known(tmp_path: Path) -> None:
    lake = BarLake(tmp_path)
    written(lake, calendar.latest_sessions(HALF_DAY, 6))
    found = volume_profile(lake=lake, symbol="AAPL", before=HALF_DAY)
    assert found is not None
    assert (found.sessions, found.until < HALF_DAY) == (5, True)
