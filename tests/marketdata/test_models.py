"""The database is the witness of every rule about stored market data."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction

from marketdata.models import CorporateAction, Feed, Instrument, QuarantinedBar, Quote
from marketdata.types import ActionKind, FeedKind, QualityRule, QuarantineStatus
from tests.marketdata.factories import NOON, WALL, make_feed, make_instrument, make_quote

pytestmark = pytest.mark.django_db


def refused_by(constraint: str, make: Any, **fields: Any) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        make(**fields)


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"symbol": "aapl"}, "instrument_symbol_form"),
        ({"symbol": ""}, "instrument_symbol_form"),
        ({"symbol": "A", "tick_size": 0}, "instrument_tick_size_positive"),
        ({"symbol": "A", "lot_size": -1}, "instrument_lot_size_positive"),
        ({"symbol": "A", "average_daily_volume": 5}, "instrument_adv_dated"),
    ],
)
def test_an_instrument_that_cannot_be_is_refused(fields: dict[str, Any], constraint: str) -> None:
    refused_by(constraint, Instrument.objects.create, **fields)


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"kind": "other"}, "feed_kind_known"),
        ({"kind": FeedKind.REPLAY, "start_at": NOON}, "feed_replay_has_clock"),
        ({"kind": FeedKind.REPLAY, "anchor_at": NOON}, "feed_replay_has_clock"),
        ({"kind": FeedKind.REPLAY, "start_at": NOON, "anchor_at": WALL, "speed": 0}, "feed_speed_positive"),
        ({"kind": FeedKind.MANUAL}, "feed_manual_has_time"),
        ({"kind": FeedKind.REAL, "paused_at": WALL}, "feed_pause_is_of_replay"),
        ({"kind": FeedKind.REAL, "start_at": NOON, "end_at": NOON - timedelta(days=1)}, "feed_end_after_start"),
        ({"kind": FeedKind.REAL, "state": "odd"}, "feed_state_known"),
    ],
)
def test_a_feed_without_a_clock_is_refused(fields: dict[str, Any], constraint: str) -> None:
    refused_by(constraint, Feed.objects.create, name="x", **fields)


def test_feed_names_are_unique() -> None:
    make_feed()
    refused_by("marketdata_feed_name", make_feed)


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"last": Decimal(0)}, "quote_last_positive"),
        ({"bid": Decimal(-1)}, "quote_bid_positive"),
        ({"ask": Decimal(10) ** 9}, "quote_ask_positive"),
        ({"bid": Decimal(11)}, "quote_not_crossed"),
        ({"bid": None, "ask": None, "last": None}, "quote_not_empty"),
    ],
)
def test_a_quote_that_cannot_be_true_is_refused(fields: dict[str, Any], constraint: str) -> None:
    refused_by(constraint, make_quote, feed=make_feed(), **fields)


@pytest.mark.parametrize(
    ("column", "value"), [("last", "NaN"), ("bid", "NaN"), ("ask", "Infinity"), ("last", "-Infinity")]
)
def test_a_price_that_is_no_number_is_refused_even_from_raw_sql(column: str, value: str) -> None:
    stored = make_quote(make_feed())
    statement = f"UPDATE marketdata_quote SET {column} = %s::numeric WHERE id = %s"
    with pytest.raises((IntegrityError, DataError)), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, [value, stored.pk])


def test_one_quote_a_feed_and_instrument() -> None:
    feed = make_feed()
    make_quote(feed)
    refused_by("quote_feed_instrument_unique", make_quote, feed=feed)


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"kind": ActionKind.SPLIT}, "corporateaction_split_has_ratio"),
        ({"kind": ActionKind.SPLIT, "ratio": 0}, "corporateaction_split_has_ratio"),
        ({"kind": ActionKind.SPLIT, "ratio": 2, "cash_amount": 1}, "corporateaction_split_has_ratio"),
        ({"kind": ActionKind.DIVIDEND}, "corporateaction_dividend_has_cash"),
        ({"kind": ActionKind.DIVIDEND, "cash_amount": -1}, "corporateaction_dividend_has_cash"),
        ({"kind": "spinoff"}, "corporateaction_kind_known"),
    ],
)
def test_a_corporate_action_without_its_number_is_refused(fields: dict[str, Any], constraint: str) -> None:
    instrument = make_instrument()
    refused_by(constraint, CorporateAction.objects.create, instrument=instrument, ex_date=date(2012, 6, 14), **fields)


def test_one_event_of_a_kind_a_day() -> None:
    event = {"instrument": make_instrument(), "kind": ActionKind.SPLIT, "ex_date": date(2012, 6, 14), "ratio": 2}
    CorporateAction.objects.create(**event)
    refused_by("corporateaction_event_unique", CorporateAction.objects.create, **event)


@pytest.mark.parametrize(
    "fields",
    [
        {"status": QuarantineStatus.RELEASED},
        {"status": QuarantineStatus.RELEASED, "decided_by": "kim", "decided_at": WALL},
        {"status": QuarantineStatus.REJECTED, "reason": "a good reason", "decided_at": WALL},
        {"status": QuarantineStatus.QUARANTINED, "decided_by": "kim"},
    ],
)
def test_a_decision_is_signed_with_operator_time_and_reason(fields: dict[str, Any]) -> None:
    bar = {
        "instrument": make_instrument(), "timeframe": "1d", "bar_at": NOON, "date": NOON.date(), "payload": {},
        "rule": QualityRule.DUPLICATE, "fingerprint": "x", **fields,
    }  # fmt: skip
    refused_by("quarantinedbar_decision_signed", QuarantinedBar.objects.create, **bar)


def test_a_deleted_feed_takes_its_quotes_with_it() -> None:
    feed = make_feed()
    make_quote(feed)
    feed.delete()
    assert not Quote.objects.exists()


def test_rows_have_names() -> None:
    feed = make_feed()
    stored = make_quote(feed)
    assert str(feed) == "main"
    assert str(stored.instrument) == "AAPL"
    assert "2012-06-14" in str(stored)
    assert feed.described(WALL) == "set by hand to 2012-06-14 12:00 New York"
