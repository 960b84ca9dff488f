from datetime import date
from typing import Any

import pytest

from marketdata.errors import QuarantineDecisionError
from marketdata.lake import VALUE_COLUMNS, BarLake
from marketdata.models import QuarantinedBar
from marketdata.services.quarantine import reject_bar, release_bar
from marketdata.types import QualityRule, QuarantineStatus
from tests.marketdata.factories import NOON, WALL, make_instrument

pytestmark = pytest.mark.django_db
REASON = "checked against another source"


def make_bar(fingerprint: str = "x", close: str | None = "10.5", **fields: Any) -> QuarantinedBar:
    payload = {**dict.fromkeys(VALUE_COLUMNS, "10.0"), "close": close}
    values = {
        "instrument": make_instrument(), "timeframe": "1d", "bar_at": NOON,
        "date": date(2012, 6, 14), "payload": payload,
        "rule": QualityRule.OUTLIER_RETURN, "detail": "odd", "source": "test", "fingerprint": fingerprint, **fields,
    }  # fmt: skip
    return QuarantinedBar.objects.create(**values)


def release(bar: QuarantinedBar, operator: str = "kim", reason: str = REASON) -> QuarantinedBar:
    return release_bar(bar=bar, operator=operator, reason=reason, wall_now=WALL)


def test_a_release_is_signed_and_writes_the_bar(lake: BarLake) -> None:
    release(make_bar())
    bar = QuarantinedBar.objects.get()
    assert (bar.status, bar.decided_by, bar.decided_at, bar.reason) == (QuarantineStatus.RELEASED, "kim", WALL, REASON)
    assert lake.scan().collect().rows() == [("AAPL", date(2012, 6, 14), 10.0, 10.0, 10.0, 10.5, 10.0)]


def test_a_released_minute_bar_goes_to_its_minute(lake: BarLake) -> None:
    release(make_bar(timeframe="1m"))
    assert lake.scan("1m").collect()["at"].to_list() == [NOON]


def test_a_rejection_is_signed_and_writes_nothing(lake: BarLake) -> None:
    reject_bar(bar=make_bar(), operator="kim", reason=REASON, wall_now=WALL)
    assert QuarantinedBar.objects.get().status == QuarantineStatus.REJECTED
    assert lake.generation() == ""


def test_a_bar_is_decided_once(lake: BarLake) -> None:
    bar = make_bar()
    release(bar)
    with pytest.raises(QuarantineDecisionError, match="decided by kim"):
        reject_bar(bar=bar, operator="lee", reason=REASON, wall_now=WALL)
    assert QuarantinedBar.objects.get().decided_by == "kim"


@pytest.mark.parametrize(
    ("operator", "reason"), [("", REASON), ("kim", "short"), ("kim", " " * 40), ("kim", "x" * 501)]
)
def test_an_unsigned_decision_is_refused(lake: BarLake, operator: str, reason: str) -> None:
    with pytest.raises(QuarantineDecisionError, match="need"):
        release(make_bar(), operator, reason)
    assert QuarantinedBar.objects.get().status == QuarantineStatus.QUARANTINED


@pytest.mark.parametrize("close", ["nan", "inf", None, "abc"])
def test_what_is_no_number_cannot_be_released_and_stays_undecided(lake: BarLake, close: str | None) -> None:
    with pytest.raises(QuarantineDecisionError, match="cannot be released"):
        release(make_bar(close=close))
    assert QuarantinedBar.objects.get().status == QuarantineStatus.QUARANTINED
    assert lake.generation() == ""


def test_of_contradicting_bars_only_one_can_be_released(lake: BarLake) -> None:
    release(make_bar("x"))
    with pytest.raises(QuarantineDecisionError, match="another bar was released"):
        release(make_bar("y", close="11.0"))
    assert lake.scan().collect()["close"].to_list() == [10.5]


def test_a_lake_that_cannot_be_written_undoes_the_decision(lake: BarLake) -> None:
    lake.root.write_text("a file where the directory should be")
    with pytest.raises(FileExistsError):
        release(make_bar())
    assert QuarantinedBar.objects.get().status == QuarantineStatus.QUARANTINED
