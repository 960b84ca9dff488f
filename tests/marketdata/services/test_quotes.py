import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from marketdata.models import Quote
from marketdata.services.quotes import quote_problem, store_quotes
from marketdata.signals import quotes_changed
from marketdata.types import QuoteDrop
from tests.marketdata.factories import NOON, WALL, make_feed, make_instrument, quote

pytestmark = pytest.mark.django_db


def test_many_quotes_are_stored_in_one_statement(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    feed = make_feed()
    symbols = [f"S{number}" for number in range(50)]
    for symbol in symbols:
        make_instrument(symbol)
    with django_assert_num_queries(1):
        report = store_quotes(feed=feed, quotes=[quote(symbol) for symbol in symbols], wall_now=WALL)
    assert report.stored == 50
    assert Quote.objects.filter(feed=feed, last=10, updated_at=WALL).count() == 50


def test_a_newer_quote_replaces_the_whole_view() -> None:
    feed = make_feed()
    make_instrument()
    store_quotes(feed=feed, quotes=[quote()], wall_now=WALL)
    store_quotes(
        feed=feed, quotes=[quote(bid=None, ask=None, last=Decimal(11), at=NOON + timedelta(seconds=1))], wall_now=WALL
    )
    stored = Quote.objects.get()
    assert (stored.bid, stored.ask, stored.last) == (None, None, Decimal(11))


def test_a_quote_never_moves_back_in_time() -> None:
    feed = make_feed()
    make_instrument()
    store_quotes(feed=feed, quotes=[quote()], wall_now=WALL)
    report = store_quotes(feed=feed, quotes=[quote(last=Decimal(9), at=NOON - timedelta(seconds=1))], wall_now=WALL)
    assert (report.stored, report.dropped[QuoteDrop.OUT_OF_ORDER]) == (0, 1)
    assert Quote.objects.get().last == 10


def test_an_equal_quote_is_not_written_again_and_a_correction_of_the_same_instant_is() -> None:
    feed = make_feed()
    make_instrument()
    store_quotes(feed=feed, quotes=[quote()], wall_now=WALL)
    again = store_quotes(feed=feed, quotes=[quote()], wall_now=WALL + timedelta(seconds=1))
    assert (again.stored, sum(again.dropped.values())) == (0, 0)
    assert Quote.objects.get().updated_at == WALL
    assert store_quotes(feed=feed, quotes=[quote(last=Decimal(12), ask=Decimal(12))], wall_now=WALL).stored == 1


def test_the_newest_of_one_batch_wins() -> None:
    feed = make_feed()
    make_instrument()
    batch = [quote(last=Decimal(12)), quote(last=Decimal(9), at=NOON - timedelta(seconds=1))]
    report = store_quotes(feed=feed, quotes=batch, wall_now=WALL)
    assert (report.stored, report.dropped) == (1, {QuoteDrop.OUT_OF_ORDER: 1, QuoteDrop.UNKNOWN_SYMBOL: 0})
    assert Quote.objects.get().last == 12


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"last": Decimal("NaN")}, QuoteDrop.NOT_FINITE),
        ({"bid": Decimal("-Infinity")}, QuoteDrop.NOT_FINITE),
        ({"last": Decimal(0)}, QuoteDrop.NON_POSITIVE),
        ({"ask": Decimal(-1)}, QuoteDrop.NON_POSITIVE),
        ({"last": Decimal(10) ** 9}, QuoteDrop.TOO_LARGE),
        ({"bid": Decimal("10.02")}, QuoteDrop.CROSSED),
        ({"bid": None, "ask": None, "last": None}, QuoteDrop.EMPTY),
    ],
)
def test_a_quote_that_cannot_be_true_is_dropped_and_counted(fields: dict[str, Any], reason: QuoteDrop) -> None:
    feed = make_feed()
    make_instrument()
    report = store_quotes(feed=feed, quotes=[quote(**fields)], wall_now=WALL)
    assert (report.stored, report.dropped[reason]) == (0, 1)
    assert not Quote.objects.exists()


def test_an_unknown_symbol_is_dropped_and_the_others_are_stored() -> None:
    feed = make_feed()
    make_instrument()
    report = store_quotes(feed=feed, quotes=[quote("NOPE"), quote()], wall_now=WALL)
    assert (report.stored, report.dropped[QuoteDrop.UNKNOWN_SYMBOL]) == (1, 1)


def test_a_locked_market_is_no_crossed_one() -> None:
    assert quote_problem(quote(bid=Decimal(10), ask=Decimal(10))) is None


def test_news_of_what_changed_is_sent_after_the_commit(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    feed, apple, _ = make_feed(), make_instrument("AAPL"), make_instrument("IBM")
    heard: list[tuple[int, list[int]]] = []

    def listen(feed_id: int, instrument_ids: list[int], **_: object) -> None:
        heard.append((feed_id, instrument_ids))

    quotes_changed.connect(listen)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            store_quotes(feed=feed, quotes=[quote("AAPL")], wall_now=WALL)
            assert heard == []
        with django_capture_on_commit_callbacks(execute=True):
            store_quotes(feed=feed, quotes=[quote("AAPL")], wall_now=WALL)
    finally:
        quotes_changed.disconnect(listen)
    assert heard == [(feed.pk, [apple.pk])]


PRICES = st.one_of(st.none(), st.decimals(allow_nan=True, allow_infinity=True), st.decimals(0, 100, places=2))


@given(PRICES, PRICES, PRICES)
def test_whatever_passes_the_check_passes_the_database(
    bid: Decimal | None, ask: Decimal | None, last: Decimal | None
) -> None:
    update = quote(bid=bid, ask=ask, last=last)
    problem = quote_problem(update)
    prices = [price for price in (bid, ask, last) if price is not None]
    sane = bool(prices) and all(price.is_finite() and 0 < price < 10**9 for price in prices)
    crossed = sane and bid is not None and ask is not None and bid > ask
    assert (problem is None) == (sane and not crossed)


@pytest.mark.django_db(transaction=True)
def test_writers_of_the_same_quotes_in_any_order_do_not_deadlock() -> None:
    feed = make_feed()
    symbols = [f"S{number}" for number in range(20)]
    for symbol in symbols:
        make_instrument(symbol)
    barrier = threading.Barrier(4)
    errors: list[BaseException] = []

    def write(reverse: bool) -> None:
        try:
            barrier.wait(10)
            for second in range(20):
                at = NOON + timedelta(seconds=second)
                batch = [quote(symbol, at=at) for symbol in (reversed(symbols) if reverse else symbols)]
                store_quotes(feed=feed, quotes=batch, wall_now=WALL)
        except Exception as error:  # noqa: BLE001 - handed to the main thread
            errors.append(error)
        finally:
            connection.close()

    writers = [threading.Thread(target=write, args=(bool(number % 2),)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert errors == []
    assert set(Quote.objects.values_list("at", flat=True)) == {NOON + timedelta(seconds=19)}
