"""Recording what the stream tells: never waiting, never half a file, never silently."""

import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from marketdata import ticks
from marketdata.types import BandNews, BidAsk, TickLossReason, TradeChange, TradePrint

AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
IBM = Decimal("120.05")


@pytest.fixture
def lost():
    return []


@pytest.fixture
def recorder(tmp_path, lost):
    def note(reason, count):
        lost.append((reason, count))

    return ticks.TickRecorder(root=tmp_path, feed="main", clock=lambda: AT, on_loss=note, most_waiting=5, rows_a_file=3)


def trade(second=0, symbol="IBM"):
    return TradePrint(symbol, IBM, AT + timedelta(seconds=second), str(second))


def stored(root):
    return ticks.scan(file.path for file in ticks.files(root)).sort("at", "kind").collect()


def test_events_come_back_as_they_were_told(recorder, tmp_path):
    recorder.take([trade(), BidAsk("IBM", Decimal("120.00"), None, AT)], "alpaca iex")
    recorder.take([TradeChange("IBM", "0", None, AT + timedelta(seconds=1))], "alpaca iex")
    recorder.take([BandNews("IBM", IBM, IBM, "B", AT)], "alpaca iex")
    recorder.stop()
    rows = stored(tmp_path).select("kind", "symbol", "at", "received_at", "price", "bid", "ask", "number", "source")
    assert rows.rows() == [
        ("quote", "IBM", AT, AT, None, 120.0, None, "", "alpaca iex"),
        ("trade", "IBM", AT, AT, 120.05, None, None, "0", "alpaca iex"),
        ("trade_change", "IBM", AT + timedelta(seconds=1), AT, None, None, None, "0", "alpaca iex"),
    ]


def test_files_lie_by_feed_kind_and_new_york_day(recorder, tmp_path):
    late = datetime(2026, 3, 3, 1, 0, tzinfo=UTC)
    recorder.take([TradePrint("IBM", IBM, late), trade()], "x")
    recorder.stop()
    assert [(file.feed, file.kind, file.day) for file in ticks.files(tmp_path)] == [("main", "trade", date(2026, 3, 2))]


def test_a_file_holds_no_more_than_its_rows(recorder, tmp_path):
    recorder.take([trade(second) for second in range(5)], "x")
    assert recorder.flush() == 5
    assert sorted(pl.read_parquet(file.path).height for file in ticks.files(tmp_path)) == [2, 3]


def test_what_does_not_fit_is_dropped_counted_and_told(recorder, lost, tmp_path):
    recorder.take([trade(second) for second in range(9)], "x")
    recorder.stop()
    assert lost == [(TickLossReason.BUFFER_FULL, 4)]
    assert (recorder.counts["dropped"], recorder.counts["written"]) == (4, 5)
    assert stored(tmp_path).height == 5


def test_a_disk_that_refuses_costs_ticks_and_nothing_else(recorder, lost, monkeypatch, tmp_path):
    monkeypatch.setattr(ticks, "LEAST_FREE_BYTES", 1 << 62)
    recorder.take([trade()], "x")
    assert recorder.flush() == 0
    assert lost == [(TickLossReason.NOT_WRITTEN, 1)]
    monkeypatch.undo()
    recorder.take([trade()], "x")
    assert recorder.flush() == 1


def test_a_full_batch_is_written_in_the_background_without_waiting_for_the_timer(tmp_path):
    recorder = ticks.TickRecorder(root=tmp_path, feed="main", clock=lambda: AT, rows_a_file=2)
    written = threading.Event()
    real = recorder._write

    def write(batch):
        real(batch)
        written.set()

    recorder._write = write
    recorder.start()
    recorder.take([trade(), trade(1)], "x")
    assert written.wait(10)
    recorder.stop()
    assert stored(tmp_path).height == 2


def test_stop_writes_what_waits_and_ends_the_thread(tmp_path):
    ended = threading.Event()
    recorder = ticks.TickRecorder(root=tmp_path, feed="main", clock=lambda: AT, on_end=ended.set)
    recorder.start()
    recorder.take([trade()], "x")
    recorder.stop()
    assert ended.is_set()
    assert stored(tmp_path).height == 1


def test_taking_does_not_wait_for_a_slow_disk(tmp_path):
    recorder = ticks.TickRecorder(root=tmp_path, feed="main", clock=lambda: AT, rows_a_file=1)
    writing, go_on = threading.Event(), threading.Event()

    def write(batch):
        writing.set()
        assert go_on.wait(10)

    recorder._write = write
    recorder.start()
    recorder.take([trade()], "x")
    assert writing.wait(10)
    recorder.take([trade(1)], "x")  # returns although the disk is held
    go_on.set()
    recorder.stop()
    assert recorder.counts["written"] == 2


def test_a_half_written_file_is_not_seen(recorder, tmp_path):
    recorder.take([trade()], "x")
    recorder.stop()
    folder = ticks.files(tmp_path)[0].path.parent
    (folder / ".150000-abc.tmp").write_bytes(b"PAR1 half")
    assert len(ticks.files(tmp_path)) == 1


def test_days_beyond_the_retention_go_and_others_stay(recorder, tmp_path):
    recorder.take([trade(), TradePrint("IBM", IBM, AT - timedelta(days=10))], "x")
    recorder.stop()
    assert ticks.prune(tmp_path, date(2026, 3, 1)) == 1
    assert [file.day for file in ticks.files(tmp_path)] == [date(2026, 3, 2)]


def test_a_day_that_is_over_becomes_one_file_with_every_row_in_order(recorder, tmp_path):
    for second in (3, 1, 2):
        recorder.take([trade(second)], "x")
        recorder.flush()
    assert ticks.compact(tmp_path, date(2026, 3, 2)) == 0, "the day is not over"
    assert ticks.compact(tmp_path, date(2026, 3, 3)) == 3
    assert len(ticks.files(tmp_path)) == 1
    frame = pl.read_parquet(ticks.files(tmp_path)[0].path, hive_partitioning=False)
    assert frame["number"].to_list() == ["1", "2", "3"]
    assert ticks.compact(tmp_path, date(2026, 3, 3)) == 0
