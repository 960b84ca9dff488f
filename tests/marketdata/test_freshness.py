from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

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


# age is counted in sessions, whatever lies between them


@pytest.mark.parametrize(
    ("last", "now"),
    [
        (date(2012, 6, 15), datetime(2012, 6, 16, 17, 0, tzinfo=UTC)),  # Saturday
        (date(2012, 6, 15), datetime(2012, 6, 18, 13, 29, tzinfo=UTC)),  # Monday, a minute before the open
        (date(2012, 7, 3), datetime(2012, 7, 5, 13, 5, tzinfo=UTC)),  # a half day, then the Fourth of July
        (date(2012, 11, 21), datetime(2012, 11, 23, 14, 5, tzinfo=UTC)),  # Thanksgiving between
        (date(2012, 11, 23), datetime(2012, 11, 26, 14, 5, tzinfo=UTC)),  # the half day after it, then a weekend
        (date(2012, 10, 26), datetime(2012, 10, 31, 13, 5, tzinfo=UTC)),  # two days closed by a hurricane
        (date(2011, 12, 30), datetime(2012, 1, 3, 14, 5, tzinfo=UTC)),  # New Year's holiday on a Monday
        (date(2012, 3, 9), datetime(2012, 3, 12, 13, 5, tzinfo=UTC)),  # the clocks went forward on Sunday
    ],
)
def test_the_last_session_is_fresh_until_the_next_one_has_begun(last: date, now: datetime) -> None:
    report = check_freshness(bars(A=last), timedelta(0), now=now)
    assert (report.fresh, report.age_seconds) == (True, 0)


@pytest.mark.parametrize(
    ("last", "now", "hours"),
    [
        (date(2012, 6, 14), datetime(2012, 6, 18, 13, 5, tzinfo=UTC), 6.5),  # Friday is missing
        (date(2012, 7, 2), datetime(2012, 7, 5, 13, 5, tzinfo=UTC), 3.5),  # the half day is missing: half as old
        (date(2012, 11, 20), datetime(2012, 11, 26, 14, 5, tzinfo=UTC), 10.0),  # a day and a half day
    ],
)
def test_a_session_that_is_missing_counts_with_its_own_length(last: date, now: datetime, hours: float) -> None:
    report = check_freshness(bars(A=last), HALF_AN_HOUR, now=now)
    assert (report.fresh, report.age_seconds) == (False, int(hours * 3600))


def test_a_half_days_bar_before_one_oclock_is_of_the_future() -> None:
    before = datetime(2012, 11, 23, 17, 59, 59, tzinfo=UTC)
    with pytest.raises(FutureTimestampError):
        check_freshness(bars(A=date(2012, 11, 23)), HALF_AN_HOUR, now=before)
    assert check_freshness(bars(A=date(2012, 11, 23)), HALF_AN_HOUR, now=before + timedelta(seconds=1)).fresh


@pytest.mark.parametrize(("share", "fresh"), [(75, True), (75.1, False), (Decimal("74.9"), True), (100, False)])
def test_the_share_that_must_be_fresh_is_exact(share: float | Decimal, fresh: bool) -> None:
    frame = bars(A=FRIDAY, B=FRIDAY, C=FRIDAY, D=THURSDAY)
    report = check_freshness(frame, HALF_AN_HOUR, now=MONDAY_PRE, min_fresh_pct=share)
    assert report.fresh is fresh
    assert (report.fresh_symbols, list(report.stale_symbols)) == (["A", "B", "C"], ["D"])
    assert report.detail == "3 of 4 symbols fresh; stale: D 23400 s"


@pytest.mark.parametrize("mode", ["latest", "oldest", "median", "per_symbol"])
def test_one_row_of_the_future_is_an_error_in_every_mode(mode: FreshnessMode) -> None:
    with pytest.raises(FutureTimestampError, match=r"^B is stamped 2012-06-18T20:00:00"):
        check_freshness(bars(A=FRIDAY, B=date(2012, 6, 18)), HALF_AN_HOUR, mode, now=MONDAY_PRE)
