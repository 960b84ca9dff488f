from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from marketdata.errors import FutureTimestampError
from marketdata.freshness import FreshnessMode, check_freshness

FRIDAY, THURSDAY = date(2012, 6, 15), date(2012, 6, 14)
MONDAY_PRE = datetime(2012, 6, 18, 13, 5, tzinfo=UTC)
HALF_AN_HOUR = timedelta(minutes=30)


def bars(**newest: date) -> pl.DataFrame:
    return pl.DataFrame(
        {"symbol": list(newest), "date": list(newest.values())}, schema={"symbol": pl.String, "date": pl.Date}
    )


def test_a_friday_bar_is_fresh_on_monday_before_the_open() -> None:
    report = check_freshness(bars(A=FRIDAY), HALF_AN_HOUR, now=MONDAY_PRE)
    assert report.fresh
    assert report.age_seconds == 0


def test_it_ages_with_the_session() -> None:
    opened = datetime(2012, 6, 18, 13, 30, tzinfo=UTC)
    assert check_freshness(bars(A=FRIDAY), HALF_AN_HOUR, now=opened + HALF_AN_HOUR).fresh
    late = check_freshness(bars(A=FRIDAY), HALF_AN_HOUR, now=opened + timedelta(minutes=31))
    assert not late.fresh
    assert late.stale_symbols == {"A": 31 * 60}


@pytest.mark.parametrize(
    ("mode", "fresh"), [("latest", True), ("oldest", False), ("median", True), ("per_symbol", False)]
)
def test_the_modes_judge_different_ages(mode: FreshnessMode, fresh: bool) -> None:
    frame = bars(A=FRIDAY, B=FRIDAY, C=THURSDAY)
    assert check_freshness(frame, HALF_AN_HOUR, mode, now=MONDAY_PRE).fresh is fresh


def test_stale_symbols_are_listed_and_a_share_of_them_is_tolerated() -> None:
    frame = bars(A=FRIDAY, B=FRIDAY, C=THURSDAY)
    report = check_freshness(frame, HALF_AN_HOUR, now=MONDAY_PRE, min_fresh_pct=60)
    assert report.fresh
    assert report.fresh_symbols == ["A", "B"]
    assert report.stale_symbols == {"C": 390 * 60}
    assert report.detail == "2 of 3 symbols fresh; stale: C 23400 s"


def test_the_newest_row_of_a_symbol_counts() -> None:
    assert check_freshness(pl.concat([bars(A=THURSDAY), bars(A=FRIDAY)]), HALF_AN_HOUR, now=MONDAY_PRE).fresh


@pytest.mark.parametrize("mode", ["latest", "oldest", "median", "per_symbol"])
def test_no_data_is_not_fresh(mode: FreshnessMode) -> None:
    assert not check_freshness(bars(), HALF_AN_HOUR, mode, now=MONDAY_PRE, min_fresh_pct=0).fresh


def test_an_expected_symbol_without_data_counts_as_stale() -> None:
    report = check_freshness(bars(A=FRIDAY), HALF_AN_HOUR, now=MONDAY_PRE, expected=["A", "B"])
    assert not report.fresh
    assert report.missing_symbols == ["B"]


def test_a_future_timestamp_is_an_error() -> None:
    during_friday = datetime(2012, 6, 15, 15, tzinfo=UTC)
    with pytest.raises(FutureTimestampError, match="A is stamped"):
        check_freshness(bars(A=FRIDAY), HALF_AN_HOUR, now=during_friday)


def test_minute_bars_are_judged_by_their_instant() -> None:
    frame = pl.DataFrame({"symbol": ["A"], "at": [datetime(2012, 6, 15, 15, tzinfo=UTC)]})
    report = check_freshness(frame, HALF_AN_HOUR, now=datetime(2012, 6, 15, 15, 10, tzinfo=UTC))
    assert report.age_seconds == 600


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="per_symbol"):
        check_freshness(bars(), HALF_AN_HOUR, "newest", now=MONDAY_PRE)
