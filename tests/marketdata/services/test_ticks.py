"""Ticks of the installation."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command

from marketdata.models import TickLoss
from marketdata.services.live import LiveMarket
from marketdata.services.ticks import keep_ticks, note_loss, read_ticks, recorder_for, tick_days
from marketdata.types import BidAsk, TickLossReason, TradePrint
from tests import factories

pytestmark = pytest.mark.django_db

AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def lake(settings, tmp_path):
    settings.LAKE_DIR = tmp_path


@pytest.fixture
def feed():
    return factories.make_feed()


def record(feed, *events):
    recorder = recorder_for(feed, lambda: AT)
    recorder.take(events, "alpaca iex")
    recorder.flush()


def test_what_the_stream_tells_is_recorded_and_what_a_poll_answers_is_not(feed):
    market = LiveMarket(feed=feed, provider=None, clock=lambda: AT, recorder=recorder_for(feed, lambda: AT))
    market.buffer.told([TradePrint("IBM", Decimal(120), AT)], source="alpaca iex", streamed=True)
    market.buffer.told([TradePrint("IBM", Decimal(121), AT)], source="alpaca iex", streamed=False)
    market.recorder.flush()
    assert read_ticks(feed=feed.name, day=AT.date())["price"].to_list() == [120.0]


def test_ticks_are_read_by_day_kind_and_symbol(feed):
    record(
        feed, TradePrint("IBM", Decimal(1), AT), TradePrint("MSFT", Decimal(2), AT), BidAsk("IBM", None, Decimal(3), AT)
    )
    assert read_ticks(feed=feed.name, day=AT.date()).height == 3
    assert read_ticks(feed=feed.name, day=AT.date(), kinds=["trade"], symbols=["MSFT"])["price"].to_list() == [2.0]
    assert read_ticks(feed=feed.name, day=date(2026, 3, 3)).is_empty()
    assert read_ticks(feed="other", day=AT.date()).is_empty()


def test_what_is_stored_is_counted_by_day(feed):
    record(feed, TradePrint("IBM", Decimal(1), AT))
    record(feed, TradePrint("IBM", Decimal(2), AT))
    (day,) = tick_days()
    assert (day.feed, day.kind, day.day, day.files, day.rows) == (feed.name, "trade", AT.date(), 2, 2)
    assert day.bytes > 0


def test_losses_are_counted_once_a_day(feed):
    for seconds in (0, 5):
        note_loss(feed=feed, reason=TickLossReason.BUFFER_FULL, count=3, wall_now=AT + timedelta(seconds=seconds))
    row = TickLoss.objects.get()
    assert (row.count, row.day, row.first_at, row.last_at) == (6, AT.date(), AT, AT + timedelta(seconds=5))


def test_old_days_go_and_past_ones_become_one_file(feed, settings):
    settings.TICK_RETENTION_DAYS = 30
    record(feed, TradePrint("IBM", Decimal(1), AT - timedelta(days=40)))
    record(feed, TradePrint("IBM", Decimal(1), AT - timedelta(days=3)))
    record(feed, TradePrint("IBM", Decimal(2), AT - timedelta(days=3)))
    kept = keep_ticks(wall_now=AT)
    assert (kept.deleted, kept.merged) == (1, 2)
    assert [(day.files, day.rows) for day in tick_days()] == [(1, 2)]


def test_recording_can_be_switched_off(feed, settings):
    settings.TICK_RECORDING = False
    assert recorder_for(feed, lambda: AT) is None


def test_the_command_shows_and_cleans(feed, capsys):
    call_command("ticks")
    assert "no ticks are stored" in capsys.readouterr().out
    record(feed, TradePrint("IBM", Decimal(1), AT))
    call_command("ticks", "--json")
    (day,) = json.loads(capsys.readouterr().out)
    assert (day["day"], day["feed"], day["kind"], day["rows"]) == ("2026-03-02", feed.name, "trade", 1)
    call_command("ticks")
    assert "recorded ticks" in capsys.readouterr().out
    call_command("ticks", "--clean", "--days", "1", "--json")
    assert json.loads(capsys.readouterr().out) == {"deleted": 1, "put_together": 0}
    for wrong in (["--days", "3"], ["--clean", "--days", "0"]):
        with pytest.raises(CommandError, match="--days"):
            call_command("ticks", *wrong)
