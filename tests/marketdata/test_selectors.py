from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from pytest_django import DjangoAssertNumQueries

from marketdata import selectors
from marketdata.adjustment import adjust
from marketdata.derivation import derive_actions
from marketdata.errors import FeedMissingError, PriceUnavailableError
from marketdata.lake import BarLake
from marketdata.services.actions import store_actions
from marketdata.types import PriceUnavailable
from tests.marketdata.factories import NOON, WALL, make_feed, make_instrument, make_quote

pytestmark = pytest.mark.django_db


def reason_of(symbol: str = "AAPL", **arguments: Any) -> PriceUnavailable:
    with pytest.raises(PriceUnavailableError) as caught:
        selectors.latest_price(symbol, **arguments)
    assert caught.value.symbol == symbol
    return caught.value.reason


def test_md5_the_latest_price_comes_with_its_time_and_source() -> None:
    make_quote(make_feed())
    point = selectors.latest_price("AAPL")
    assert (point.price, point.at, point.source, point.stale) == (Decimal(10), NOON, "test", False)
    assert isinstance(point.price, Decimal)


def test_md5_there_is_no_price_without_instrument_or_quote() -> None:
    make_feed()
    assert reason_of("NOPE") == PriceUnavailable.NO_INSTRUMENT
    make_instrument("AAPL")
    assert reason_of("AAPL") == PriceUnavailable.NO_QUOTE


def test_there_is_no_price_before_the_platform_was_started() -> None:
    with pytest.raises(FeedMissingError):
        selectors.latest_price("AAPL")


def test_md5_a_stale_price_is_refused_and_shown_only_when_asked_for() -> None:
    make_quote(make_feed())
    now = NOON + timedelta(minutes=31)
    assert reason_of(now=now) == PriceUnavailable.STALE
    assert selectors.latest_price("AAPL", now=now, allow_stale=True).stale
    assert not selectors.latest_price("AAPL", now=now, max_age_seconds=3600).stale
    assert reason_of(now=NOON + timedelta(seconds=11), max_age_seconds=10) == PriceUnavailable.STALE


def test_the_age_of_a_price_is_trading_time() -> None:
    close = datetime(2012, 6, 15, 20, tzinfo=UTC)
    make_quote(make_feed(), at=close)
    assert selectors.latest_price("AAPL", now=datetime(2012, 6, 18, 13, 30, tzinfo=UTC)).price == 10


def test_a_price_of_the_future_is_refused() -> None:
    make_quote(make_feed())
    assert reason_of(now=NOON - timedelta(seconds=6)) == PriceUnavailable.FUTURE
    assert selectors.latest_price("AAPL", now=NOON - timedelta(seconds=5)).price == 10


def test_without_a_trade_the_mid_is_the_price_and_one_side_is_none() -> None:
    feed = make_feed()
    make_quote(feed, "AAPL", last=None)
    make_quote(feed, "IBM", last=None, ask=None)
    assert selectors.latest_price("AAPL").price == 10
    assert reason_of("IBM") == PriceUnavailable.NO_QUOTE


def test_md5_a_mid_needs_both_sides() -> None:
    feed = make_feed()
    make_quote(feed, "AAPL", bid=Decimal(10), ask=Decimal(11))
    make_quote(feed, "IBM", bid=None)
    assert selectors.mid_price("AAPL").price == Decimal("10.5")
    with pytest.raises(PriceUnavailableError, match="no two-sided quote"):
        selectors.mid_price("IBM")
    with pytest.raises(PriceUnavailableError, match="stale"):
        selectors.mid_price("AAPL", now=NOON + timedelta(hours=1))


def test_a_feed_sees_its_own_quotes_only() -> None:
    make_quote(make_feed())
    other = make_feed("run")
    assert reason_of(feed=other) == PriceUnavailable.NO_QUOTE


def test_many_prices_take_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    feed = make_feed()
    make_quote(feed, "AAPL")
    make_quote(feed, "IBM", at=NOON - timedelta(hours=1))
    with django_assert_num_queries(1):
        prices, missing = selectors.latest_prices(["AAPL", "IBM", "NOPE"], feed=feed, now=NOON)
    assert list(prices) == ["AAPL"]
    assert {symbol: error.reason for symbol, error in missing.items()} == {"IBM": "stale", "NOPE": "no_quote"}


def test_one_price_takes_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    feed = make_feed()
    make_quote(feed)
    with django_assert_num_queries(1):
        selectors.latest_price("AAPL", feed=feed, now=NOON)


def test_bars_are_adjusted_as_known_at_a_date(lake: BarLake, sample: pl.DataFrame) -> None:
    lake.write(sample, "1d", "sample")
    store_actions(actions=derive_actions(sample).actions, source="sample")
    window: dict[str, Any] = {"start": date(2005, 2, 24), "end": date(2005, 3, 1)}
    assert selectors.bars(["AAPL"], **window)["close"].to_list() == [88.93, 88.99, 44.86, 44.5]
    before = selectors.bars(["AAPL"], **window, adjustment="split", as_of=date(2005, 2, 25))
    assert before["close"].to_list() == [88.93, 88.99]
    after = selectors.bars(["AAPL"], **window, adjustment="split", as_of=date(2005, 2, 28))
    assert after["close"].to_list() == [44.465, 44.495, 44.86]


def test_md2_stored_actions_reproduce_the_source_too(sample: pl.DataFrame) -> None:
    derived = derive_actions(sample)
    store_actions(actions=derived.actions, source="sample")
    adjusted = adjust(sample, selectors.corporate_actions_frame(), mode="total_return", as_of=None)
    error = adjusted["close"] * adjusted["symbol"].replace_strict(derived.later_factors) / adjusted["adj_close"] - 1
    assert max(error.abs().to_list()) < 1e-4


def test_coverage_tells_what_the_lake_holds(lake: BarLake, sample: pl.DataFrame) -> None:
    lake.write(sample.filter(pl.col("symbol") == "FB"), "1d", "sample")
    assert selectors.coverage().rows() == [("FB", date(2012, 5, 18), date(2013, 3, 1), 196)]


def test_the_default_clock_is_the_feeds_own() -> None:
    make_quote(make_feed(market_at=NOON + timedelta(hours=2)))
    assert reason_of() == PriceUnavailable.STALE
    assert WALL > NOON
