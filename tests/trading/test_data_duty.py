"""Features and ticks are seen to by the clock, and the worker does the work."""

from datetime import UTC, datetime

import polars as pl
import pytest

from execution.models import Account
from marketdata.lake import bar_schema, default_lake
from marketdata.models import Instrument
from marketdata.services.feeds import set_market_time
from signals.feature_store import features_for
from tests import factories
from trading import tasks
from trading.services import data_duty

pytestmark = pytest.mark.django_db
WALL = datetime(2026, 3, 2, 15, tzinfo=UTC)
EVENING = datetime(2012, 6, 15, 21, tzinfo=UTC)


@pytest.fixture
def asked(monkeypatch):
    found = []
    monkeypatch.setattr(data_duty, "enqueue", lambda *task: found.append(task))
    monkeypatch.setattr(data_duty, "_asked", {})
    return found


@pytest.fixture
def account(settings, tmp_path):
    settings.LAKE_DIR = tmp_path
    return factories.make_account()


def store(close):
    row = ("X", datetime(2012, 6, 15, tzinfo=UTC).date(), close, close, close, close, 5.0)
    default_lake().write(pl.DataFrame([row], schema=bar_schema(), orient="row"), "1d", "test")


def look(account: Account, at: datetime) -> None:
    set_market_time(feed=account.feed, at=at)
    data_duty.ask_for_features(Account.objects.select_related("feed").get(pk=account.pk), WALL)


def test_features_are_asked_for_once_a_session_and_again_when_its_bars_change(account, asked):
    look(account, EVENING)
    look(account, EVENING)
    assert asked == [("precompute_features", "2012-06-15")]
    store(10.0)
    look(account, EVENING)
    assert len(asked) == 2
    store(10.0)
    look(account, datetime(2012, 6, 17, 12, tzinfo=UTC))
    assert len(asked) == 2, "Sunday's last session is Friday's, and nothing was written"


def test_nothing_is_asked_for_while_the_market_is_open(account, asked):
    look(account, datetime(2012, 6, 15, 15, tzinfo=UTC))
    assert asked == []


def test_the_worker_fills_the_cache(account):
    store(10.0)
    Instrument.objects.create(symbol="X")
    assert tasks.precompute_features("2012-06-15") == "1 rows, 0 there before"
    assert features_for(symbols=["X"], session=EVENING.date()).source == "cache"


def test_too_many_symbols_are_left_to_a_job(account, monkeypatch):
    monkeypatch.setattr(tasks, "MOST_PRECOMPUTED", 0)
    Instrument.objects.create(symbol="X")
    assert "work for a job" in tasks.precompute_features("2012-06-15")


def test_the_worker_keeps_the_ticks(account):
    assert tasks.keep_ticks(account.pk) == "0 files deleted, 0 put together"
    assert {"keep_ticks", "precompute_features"} <= set(tasks.TASKS)
