"""Features from the cache: the same bits as computed ones, and never those of bars that have changed."""

from datetime import date
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
import redis

from marketdata import selectors
from marketdata.calendar import sessions_between
from marketdata.lake import default_lake
from marketdata.models import CorporateAction
from signals import feature_store
from signals.errors import NotASessionError
from signals.feature_store import features_for, precompute
from signals.features import FEATURES, alpha158
from signals.progress import Cancelled
from tests import factories

pytestmark = pytest.mark.django_db

SESSION = date(2012, 6, 14)
SYMBOLS = ("AAPL", "IBM", "MSFT")
GONE = "redis://127.0.0.1:1/0"


def store(symbols=SYMBOLS, last=SESSION, close=None):
    """Put two years of bars into the lake; a close for the last one changes it."""
    days = sessions_between(date(2010, 6, 1), last)
    frames = []
    for number, symbol in enumerate(symbols):
        moves, widths, volumes = (np.random.default_rng((number, part)) for part in range(3))
        prices = 100 * np.exp(np.cumsum(moves.normal(0, 0.02, len(days))))
        if close is not None:
            prices[-1] = close
        spread = 1 + widths.random(len(days)) / 50
        columns = {"open": prices, "high": prices * spread, "low": prices / spread, "close": prices}
        volume = volumes.integers(1_000, 9_000, len(days)).astype(float)
        frames.append(pl.DataFrame({"symbol": [symbol] * len(days), "date": days, **columns, "volume": volume}))
    default_lake().write(pl.concat(frames), "1d", "test")


@pytest.fixture(autouse=True)
def lake(settings, tmp_path):
    settings.LAKE_DIR = tmp_path / "lake"
    store()
    feature_store._cache_at.cache_clear()
    yield
    feature_store._cache_at.cache_clear()


@pytest.fixture
def no_bars(monkeypatch):
    """Let nobody read bars."""

    def refuse(*args, **kwargs):
        raise AssertionError("the lake was read")

    return lambda: monkeypatch.setattr(feature_store, "bars", refuse)


def bits(rows):
    return rows.frame.select(FEATURES).to_numpy().tobytes()


def test_the_second_question_is_answered_without_the_lake_and_with_the_same_bits(no_bars):
    first = features_for(symbols=SYMBOLS, session=SESSION)
    no_bars()
    second = features_for(symbols=SYMBOLS, session=SESSION)
    assert (first.source, second.source) == ("computed", "cache")
    assert bits(first) == bits(second)
    assert first.frame.equals(second.frame, null_equal=True)
    assert first.frame.columns == ["symbol", "date", *FEATURES]
    assert first.frame["symbol"].to_list() == list(SYMBOLS)


def test_a_row_equals_the_last_row_of_the_whole_history_bit_for_bit():
    whole = alpha158(selectors.bars(SYMBOLS, end=SESSION, adjustment="total_return", as_of=SESSION))
    newest = whole.filter(pl.col("date") == SESSION).select(FEATURES).to_numpy()
    assert bits(features_for(symbols=SYMBOLS, session=SESSION)) == np.ascontiguousarray(newest).tobytes()


def test_what_is_cached_and_what_is_not_come_together():
    features_for(symbols=SYMBOLS[:2], session=SESSION)
    rows = features_for(symbols=[*reversed(SYMBOLS), "IBM"], session=SESSION)
    assert rows.source == "mixed"
    assert rows.frame["symbol"].to_list() == list(SYMBOLS)


def test_a_corrected_bar_is_never_served_stale():
    before = features_for(symbols=SYMBOLS, session=SESSION)
    store(close=250.0)
    after = features_for(symbols=SYMBOLS, session=SESSION)
    assert after.source == "computed"
    assert bits(before) != bits(after)


def test_a_corporate_action_that_was_told_late_asks_for_its_symbol_alone_anew():
    features_for(symbols=SYMBOLS, session=SESSION)
    instrument = factories.make_instrument("IBM")
    fields = {"instrument": instrument, "kind": "dividend", "cash_amount": Decimal(1), "source": "test"}
    action = CorporateAction.objects.create(ex_date=date(2012, 6, 1), **fields)
    assert features_for(symbols=SYMBOLS, session=SESSION).source == "mixed"
    assert features_for(symbols=["AAPL"], session=SESSION).source == "cache"
    paid = bits(features_for(symbols=["IBM"], session=SESSION))
    CorporateAction.objects.filter(pk=action.pk).update(cash_amount=Decimal(30))
    assert bits(features_for(symbols=["IBM"], session=SESSION)) != paid


def test_what_happens_after_the_session_changes_nothing():
    before = features_for(symbols=SYMBOLS, session=SESSION)
    instrument = factories.make_instrument("IBM")
    CorporateAction.objects.create(
        instrument=instrument, kind="split", ratio=Decimal(2), ex_date=date(2012, 6, 15), source="test"
    )
    store(last=date(2012, 6, 29))
    after = features_for(symbols=SYMBOLS, session=SESSION)
    assert after.source == "computed", "its year's file was written"
    assert bits(before) == bits(after)
    store(last=SESSION)
    assert features_for(symbols=SYMBOLS, session=SESSION).source == "cache", "nothing was new"


def test_a_symbol_without_a_bar_of_the_session_is_missing_and_known_to_be(no_bars):
    first = features_for(symbols=[*SYMBOLS, "NONE"], session=SESSION)
    no_bars()
    second = features_for(symbols=[*SYMBOLS, "NONE"], session=SESSION)
    assert (first.missing, second.missing, second.source) == (("NONE",), ("NONE",), "cache")
    assert second.frame.height == 3


def test_a_symbol_with_few_rows_has_the_features_of_few_rows():
    days = sessions_between(date(2012, 6, 12), SESSION)
    prices = {name: [10.0, 11.0, 12.0] for name in ("open", "high", "low", "close")}
    young = pl.DataFrame({"symbol": ["YOUNG"] * 3, "date": days, **prices, "volume": [1.0, 2.0, 3.0]})
    default_lake().write(young, "1d", "test")
    rows = features_for(symbols=["YOUNG"], session=SESSION)
    assert rows.frame.height == 1
    assert np.array_equal(
        rows.frame.select(FEATURES).to_numpy(),
        alpha158(young).tail(1).select(FEATURES).to_numpy(),
        equal_nan=True,
    )


def test_without_redis_features_are_computed_and_it_is_said(settings):
    cached = features_for(symbols=SYMBOLS, session=SESSION)
    settings.REDIS_URL = GONE
    rows = features_for(symbols=SYMBOLS, session=SESSION)
    assert rows.source == "computed"
    assert "Redis gives no answer" in rows.reason
    assert bits(rows) == bits(cached)


def test_redis_that_failed_is_not_waited_for_with_each_question(settings, monkeypatch):
    settings.REDIS_URL = GONE
    features_for(symbols=SYMBOLS, session=SESSION)

    def refuse(*args, **kwargs):
        raise AssertionError("it was asked again at once")

    monkeypatch.setattr(redis.Redis, "mget", refuse)
    assert features_for(symbols=SYMBOLS, session=SESSION).source == "computed"


def test_a_value_of_another_length_is_no_row(settings):
    key = feature_store._keys(["IBM"], SESSION)["IBM"]
    redis.Redis.from_url(settings.REDIS_URL).set(key, b"short", ex=60)
    assert features_for(symbols=["IBM"], session=SESSION).source == "computed"


def test_rows_leave_the_cache_by_themselves(settings):
    settings.FEATURE_CACHE_HOURS = 2
    features_for(symbols=["IBM"], session=SESSION)
    key = feature_store._keys(["IBM"], SESSION)["IBM"]
    assert 7_000 < redis.Redis.from_url(settings.REDIS_URL).ttl(key) <= 7_200


def test_a_day_that_is_no_session_is_refused():
    with pytest.raises(NotASessionError):
        features_for(symbols=SYMBOLS, session=date(2012, 6, 16))


def test_nothing_asked_for_is_nothing():
    rows = features_for(symbols=[], session=SESSION)
    assert (rows.frame.height, rows.missing, rows.source) == (0, (), "cache")


def test_a_precompute_fills_the_cache_once_and_tells_how_far_it_is(monkeypatch, no_bars):
    monkeypatch.setattr(feature_store, "GROUP", 2)
    told = []
    done = precompute(symbols=[*SYMBOLS, "NONE"], session=SESSION, on_progress=lambda *step: told.append(step[:2]))
    assert (done.rows, done.missing, done.there_before, done.stored) == (3, ("NONE",), 0, True)
    assert told == [(0, 4), (2, 4), (4, 4)]
    no_bars()
    assert precompute(symbols=SYMBOLS, session=SESSION).there_before == 3
    assert features_for(symbols=SYMBOLS, session=SESSION).source == "cache"


def test_a_precompute_can_be_canceled_between_groups(monkeypatch):
    monkeypatch.setattr(feature_store, "GROUP", 1)

    def cancel(done, total, what):
        if done == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        precompute(symbols=SYMBOLS, session=SESSION, on_progress=cancel)
    assert features_for(symbols=SYMBOLS, session=SESSION).source == "mixed"


def test_a_precompute_without_redis_says_that_nothing_was_kept(settings):
    settings.REDIS_URL = GONE
    done = precompute(symbols=SYMBOLS, session=SESSION)
    assert (done.rows, done.stored) == (3, False)
    assert "Redis" in done.reason


def test_cached_rows_cost_one_query(django_assert_max_num_queries):
    features_for(symbols=SYMBOLS, session=SESSION)
    with django_assert_max_num_queries(1):
        features_for(symbols=SYMBOLS, session=SESSION)
