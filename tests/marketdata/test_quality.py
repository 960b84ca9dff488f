from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from marketdata.adjustment import ACTION_SCHEMA
from marketdata.calendar import sessions_between
from marketdata.derivation import derive_actions
from marketdata.lake import bar_schema
from marketdata.quality import Gap, GateResult, check_bars
from marketdata.types import QualityRule

NOW = datetime(2012, 7, 1, tzinfo=UTC)
DAYS = sessions_between(date(2012, 6, 11), date(2012, 6, 20))
NO_ACTIONS = pl.DataFrame(schema=ACTION_SCHEMA)


def bar(day: date, close: float = 10.0, **fields: Any) -> dict[str, Any]:
    values = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 100.0}
    return {"symbol": "X", "date": day, **values, **fields}


def judge(*rows: dict[str, Any], **arguments: Any) -> GateResult:
    frame = pl.DataFrame(list(rows), schema=bar_schema())
    return check_bars(frame, **{"actions": NO_ACTIONS, "outlier_threshold": 0.3, "now": NOW, **arguments})


def series(*closes: float, **arguments: Any) -> GateResult:
    return judge(*(bar(day, close) for day, close in zip(DAYS, closes, strict=False)), **arguments)


def rules(result: GateResult) -> list[tuple[date, QualityRule]]:
    return [(finding.at.date(), finding.rule) for finding in result.findings]


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"close": float("nan")}, QualityRule.NOT_FINITE),
        ({"high": float("inf")}, QualityRule.NOT_FINITE),
        ({"open": None}, QualityRule.NOT_FINITE),
        ({"volume": None}, QualityRule.NOT_FINITE),
        ({"low": 0.0}, QualityRule.NON_POSITIVE_PRICE),
        ({"open": -1.0}, QualityRule.NON_POSITIVE_PRICE),
        ({"volume": 0.0}, QualityRule.NON_POSITIVE_VOLUME),
        ({"volume": -5.0}, QualityRule.NON_POSITIVE_VOLUME),
        ({"high": 9.0, "low": 8.0}, QualityRule.OHLC_INCONSISTENT),
        ({"low": 10.005}, QualityRule.OHLC_INCONSISTENT),
        ({"date": date(2012, 6, 16)}, QualityRule.NOT_A_SESSION),
        ({"date": date(2012, 7, 2)}, QualityRule.FUTURE_DATE),
    ],
)
def test_md3_a_bar_that_breaks_a_rule_is_kept_out_with_the_rule(fields: dict[str, Any], rule: QualityRule) -> None:
    result = judge(bar(DAYS[0], **fields))
    assert [finding.rule for finding in result.findings] == [rule]
    assert result.accepted.is_empty()


def test_a_sound_bar_passes() -> None:
    result = judge(bar(DAYS[0]))
    assert (result.accepted.height, result.findings, result.gaps) == (1, [], [])


def test_a_return_above_the_threshold_is_an_outlier_and_the_next_day_is_not() -> None:
    assert rules(series(10, 10, 4.8, 4.9, 5)) == [(DAYS[2], QualityRule.OUTLIER_RETURN)]


def test_the_day_after_a_wrong_print_is_not_an_outlier() -> None:
    assert rules(series(10, 100, 10.1, 10)) == [(DAYS[1], QualityRule.OUTLIER_RETURN)]


def test_a_split_explains_exactly_its_own_fall() -> None:
    split = pl.DataFrame([("X", "split", DAYS[2], 2.0, None)], schema=ACTION_SCHEMA, orient="row")
    assert rules(series(10, 10, 5.1, 5, actions=split)) == []
    assert rules(series(10, 10, 2.5, 2.5, actions=split)) == [(DAYS[2], QualityRule.OUTLIER_RETURN)]
    assert rules(series(10, 10, 10, actions=split)) == [(DAYS[2], QualityRule.OUTLIER_RETURN)]


def test_the_first_return_is_measured_from_the_history() -> None:
    history = pl.DataFrame([bar(DAYS[0], 10.0)], schema=bar_schema())
    assert rules(judge(bar(DAYS[1], 5.0), history=history)) == [(DAYS[1], QualityRule.OUTLIER_RETURN)]
    assert rules(judge(bar(DAYS[1], 9.0), history=history)) == []


def test_a_threshold_is_not_broken_by_reaching_it() -> None:
    assert rules(series(10, 13)) == []


def test_of_identical_bars_one_is_kept_and_of_contradicting_ones_none() -> None:
    same = judge(bar(DAYS[0]), bar(DAYS[0]), bar(DAYS[1]))
    assert (same.accepted.height, rules(same)) == (2, [(DAYS[0], QualityRule.DUPLICATE)])
    contradicting = judge(bar(DAYS[0]), bar(DAYS[0], 10.1), bar(DAYS[1]))
    assert (contradicting.accepted.height, len(contradicting.findings)) == (1, 2)


def test_missing_sessions_are_gaps_and_weekends_are_not() -> None:
    assert judge(bar(DAYS[0]), bar(DAYS[2]), bar(DAYS[5])).gaps == [Gap("X", day) for day in (DAYS[1], *DAYS[3:5])]


def test_a_gap_is_counted_from_the_history() -> None:
    history = pl.DataFrame([bar(DAYS[0])], schema=bar_schema())
    assert judge(bar(DAYS[2]), history=history).gaps == [Gap("X", DAYS[1])]


def test_a_bar_kept_out_is_no_gap() -> None:
    assert judge(bar(DAYS[0]), bar(DAYS[1], volume=0.0), bar(DAYS[2])).gaps == []


def test_minute_bars_are_judged_by_their_own_values() -> None:
    at = datetime(2012, 6, 14, 13, 30, tzinfo=UTC)
    rows = [{"symbol": "X", "at": at, **{key: bar(DAYS[0])[key] for key in ("open", "high", "low", "close", "volume")}}]
    frame = pl.DataFrame(rows, schema=bar_schema("1m"))
    result = check_bars(frame, actions=NO_ACTIONS, outlier_threshold=0.3, now=NOW, timeframe="1m")
    assert result.accepted.equals(frame)
    early = check_bars(frame, actions=NO_ACTIONS, outlier_threshold=0.3, now=at.replace(hour=1), timeframe="1m")
    assert [(finding.at, finding.rule) for finding in early.findings] == [(at, QualityRule.FUTURE_DATE)]


def test_every_row_of_the_sample_passes_but_the_fall_of_apple(sample: pl.DataFrame) -> None:
    actions = derive_actions(sample).actions
    result = check_bars(sample, actions=actions, outlier_threshold=0.3, now=NOW.replace(year=2014))
    assert [(finding.symbol, finding.at.date(), finding.rule) for finding in result.findings] == [
        ("AAPL", date(2000, 9, 29), QualityRule.OUTLIER_RETURN)
    ]
    assert "-51.9%" in result.findings[0].detail
    assert result.accepted.height == 12_153
    assert result.gaps == []
