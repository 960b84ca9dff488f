"""What trips the breaker by itself: each cause below, at and above its limit, and when it cannot be read."""

from dataclasses import replace
from decimal import Decimal

import pytest

from risk.breaker_rules import CAUSES, Cause, Reading, Snapshot, Verdict, judge, readings_of
from risk.breaker_rules.readings import loss_pct
from risk.errors import RiskError
from tests.risk.cases import D, make_values

GOOD = Snapshot(
    equity=D(100_000),
    day_base_equity=D(100_000),
    week_base_equity=D(100_000),
    session_peak_equity=D(100_000),
    peak_equity=D(100_000),
    broker_errors=0,
    rejects=0,
    feed_age_seconds=0,
    reconciliation="clean",
    has_line=True,
    clock_skew_ms=0,
)
LIMITS = make_values()
# cause -> field of the snapshot, one below the limit, the limit, one above, whether the limit itself trips
EDGES = {
    Cause.DAILY_LOSS: ("day_base_equity", "101999.99", "102040.81632653062", "102040.83", True),
    Cause.WEEKLY_LOSS: ("week_base_equity", "105263.14", "105263.15789473685", "105263.17", True),
    Cause.INTRADAY_LOSS: ("session_peak_equity", "103092.77", "103092.7835051547", "103092.80", True),
    Cause.DRAWDOWN: ("peak_equity", "111111.10", "111111.1111111112", "111111.12", True),
    Cause.BROKER_ERRORS: ("broker_errors", 9, 10, 11, False),
    Cause.REJECT_BURST: ("rejects", 9, 10, 11, False),
    Cause.STALE_FEED: ("feed_age_seconds", 1799, 1800, 1801, False),
    Cause.CLOCK_SKEW: ("clock_skew_ms", 999, 1000, 1001, False),
}


def seen(cause: Cause, **fields: object) -> Reading:
    return {reading.cause: reading for reading in readings_of(replace(GOOD, **fields), LIMITS)}[cause]


def value_of(raw: object) -> object:
    return D(raw) if isinstance(raw, str) else raw


@pytest.mark.parametrize("cause", EDGES)
def test_166_each_cause_at_one_below_its_limit_at_it_and_one_above(cause: Cause) -> None:
    field, below, at, above, trips_at = EDGES[cause]
    assert not seen(cause, **{field: value_of(below)}).is_over
    assert seen(cause, **{field: value_of(at)}).is_over == trips_at == CAUSES[cause].trips_at_limit
    over = seen(cause, **{field: value_of(above)})
    assert over.verdict == Verdict.OVER
    assert over.limit == getattr(LIMITS, CAUSES[cause].limit_name)
    assert "allowed" in over.sentence


MISSING = [
    (cause, word)
    for cause, edge in EDGES.items()
    for word in ((None,) if isinstance(edge[2], int) else (None, "NaN", "sNaN", "Infinity"))
]


@pytest.mark.parametrize(("cause", "missing"), MISSING)
def test_a_number_that_is_missing_or_none_trips_as_unreadable(cause: Cause, missing: str | None) -> None:
    field = EDGES[cause][0]
    reading = seen(cause, **{field: None if missing is None else D(missing)})
    assert reading.verdict == Verdict.UNREADABLE
    judged = judge([reading], streaks={"clock_skew": 29}, confirmations=60)
    assert judged.cause == Cause.UNREADABLE
    assert CAUSES[cause].label in judged.reason


def test_a_clock_that_nobody_has_read_yet_has_half_a_minute() -> None:
    reading = seen(Cause.CLOCK_SKEW, clock_skew_ms=None)
    assert judge([reading], streaks={"clock_skew": 28}, confirmations=1).streaks == {"clock_skew": 29}
    assert judge([reading], streaks={"clock_skew": 28}, confirmations=1).tripping == ()
    assert judge([reading], streaks={"clock_skew": 29}, confirmations=1).cause == Cause.UNREADABLE


def test_an_unreadable_equity_makes_every_loss_unreadable() -> None:
    losses = [Cause.DAILY_LOSS, Cause.WEEKLY_LOSS, Cause.INTRADAY_LOSS, Cause.DRAWDOWN]
    assert {seen(cause, equity=D("NaN")).verdict for cause in losses} == {Verdict.UNREADABLE}
    assert {seen(cause, equity=None).verdict for cause in losses} == {Verdict.UNREADABLE}


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ("clean", Verdict.GOOD),
        ("pending", Verdict.WARNING),
        ("forced", Verdict.WARNING),
        ("broken", Verdict.OVER),
        ("", Verdict.UNREADABLE),
        ("Clean", Verdict.UNREADABLE),
    ],
)
def test_only_a_clean_book_is_good(state: str, verdict: Verdict) -> None:
    assert seen(Cause.RECONCILIATION, reconciliation=state).verdict == verdict


def test_a_desk_without_a_line_is_not_asked_for_the_clock_of_a_broker() -> None:
    assert Cause.CLOCK_SKEW not in {
        reading.cause for reading in readings_of(replace(GOOD, has_line=False, clock_skew_ms=None), LIMITS)
    }


def test_133_a_clock_that_is_behind_counts_as_one_that_is_ahead() -> None:
    assert seen(Cause.CLOCK_SKEW, clock_skew_ms=-1001).verdict == Verdict.OVER


def test_a_quiet_account_has_nine_good_readings() -> None:
    found = readings_of(GOOD, LIMITS)
    assert [reading.cause for reading in found] == list(CAUSES)
    assert {reading.verdict for reading in found} == {Verdict.GOOD}
    assert judge(found, streaks={}, confirmations=1).tripping == ()


@pytest.mark.parametrize(
    ("lost", "verdict"), [("1599", Verdict.GOOD), ("1600", Verdict.WARNING), ("1999", Verdict.WARNING)]
)
def test_four_fifths_of_a_limit_warn(lost: str, verdict: Verdict) -> None:
    assert seen(Cause.DAILY_LOSS, equity=D(100_000) - D(lost)).verdict == verdict


def test_a_name_may_have_a_price_age_of_its_own() -> None:
    assert seen(Cause.STALE_FEED, feed_age_seconds=5000, feed_age_limit=D(6000)).verdict == Verdict.WARNING
    over = seen(Cause.STALE_FEED, feed_age_seconds=10, feed_age_limit=D(0), stale_name="AAPL")
    assert over.verdict == Verdict.OVER
    assert "(AAPL)" in over.sentence


@pytest.mark.parametrize(
    ("base", "equity", "pct"),
    [
        ("100", "98", "2"),
        ("100", "101", "0"),
        ("100", "-10", "110"),
        ("0", "0", "0"),
        ("0", "-1", "100"),
        ("0", "5", "0"),
    ],
)
def test_loss_is_counted_of_its_base(base: str, equity: str, pct: str) -> None:
    assert loss_pct(D(base), D(equity)) == D(pct)


def test_163_one_bad_price_trips_nothing_and_a_good_one_begins_anew() -> None:
    over, good = readings_of(replace(GOOD, equity=D(90_000)), LIMITS), readings_of(GOOD, LIMITS)
    first = judge(over, streaks={}, confirmations=2)
    assert first.tripping == ()
    between = judge(good, streaks=first.streaks, confirmations=2)
    assert between.streaks == {}
    again = judge(over, streaks=between.streaks, confirmations=2)
    assert again.tripping == ()
    confirmed = judge(over, streaks=again.streaks, confirmations=2)
    assert {reading.cause for reading in confirmed.tripping} == {
        Cause.DAILY_LOSS,
        Cause.WEEKLY_LOSS,
        Cause.INTRADAY_LOSS,
        Cause.DRAWDOWN,
    }
    assert confirmed.cause == Cause.DAILY_LOSS


def test_facts_trip_at_once() -> None:
    for field, value in (("broker_errors", 11), ("rejects", 11), ("reconciliation", "broken"), ("clock_skew_ms", 5000)):
        judged = judge(readings_of(replace(GOOD, **{field: value}), LIMITS), streaks={}, confirmations=60)
        assert len(judged.tripping) == 1, field


def test_a_reason_fits_into_the_event_and_names_every_cause() -> None:
    worst = replace(GOOD, equity=D(1), broker_errors=999, rejects=999, feed_age_seconds=10**6, clock_skew_ms=10**6)
    judged = judge(readings_of(worst, LIMITS), streaks={}, confirmations=1)
    assert len(judged.tripping) == 8
    assert 10 <= len(judged.reason) <= 500
    assert "2% allowed" in judged.reason


def test_without_anything_that_trips_there_is_no_cause() -> None:
    with pytest.raises(RiskError):
        _ = judge([], streaks={}, confirmations=1).cause


def test_how_much_of_a_limit_is_used() -> None:
    assert seen(Cause.DAILY_LOSS, equity=D(99_000)).share_pct == Decimal(50)
    assert seen(Cause.RECONCILIATION).share_pct is None
