import multiprocessing
from datetime import UTC, date, datetime
from pathlib import Path
from time import perf_counter

import polars as pl
import pytest

from marketdata import lake as lake_module
from marketdata.lake import FILE_NAME, BarLake, WriteReport, bar_schema, default_lake

DAYS = [date(2012, 6, 14), date(2012, 6, 15), date(2013, 1, 2)]


def frame(symbol: str = "AAPL", days: list[date] | None = None, close: float = 10.0) -> pl.DataFrame:
    rows = [(symbol, day, 10.0, 11.0, 9.0, close, 100.0) for day in days or DAYS]
    return pl.DataFrame(rows, schema=bar_schema(), orient="row")


def test_bars_come_back_as_written_sorted_by_symbol_and_date(lake: BarLake) -> None:
    assert lake.write(frame("MSFT"), "1d", "test") == WriteReport(inserted=3)
    lake.write(frame("AAPL"), "1d", "test")
    assert lake.scan().collect().equals(pl.concat([frame("AAPL"), frame("MSFT")]))


def test_a_year_is_a_file(lake: BarLake) -> None:
    lake.write(frame(), "1d", "test")
    assert lake.years() == [2012, 2013]
    assert (lake.root / "timeframe=1d" / "year=2012" / FILE_NAME).exists()


def test_writing_the_same_bars_again_touches_no_file(lake: BarLake) -> None:
    lake.write(frame(), "1d", "test")
    path = lake.root / "timeframe=1d" / "year=2012" / FILE_NAME
    before, generation = path.stat().st_mtime_ns, lake.generation()
    assert lake.write(frame(), "1d", "test") == WriteReport(unchanged=3)
    assert (path.stat().st_mtime_ns, lake.generation()) == (before, generation)


def test_a_correction_replaces_the_bar_and_no_other(lake: BarLake) -> None:
    lake.write(frame(), "1d", "test")
    assert lake.write(frame(days=DAYS[:1], close=10.5), "1d", "fix") == WriteReport(updated=1)
    assert lake.scan().collect()["close"].to_list() == [10.5, 10.0, 10.0]


def test_the_last_of_two_bars_in_one_write_wins(lake: BarLake) -> None:
    both = pl.concat([frame(days=DAYS[:1]), frame(days=DAYS[:1], close=10.5)])
    assert lake.write(both, "1d", "test") == WriteReport(inserted=1)
    assert lake.scan().collect()["close"].to_list() == [10.5]


def test_reads_are_cut_by_symbol_and_inclusive_dates(lake: BarLake) -> None:
    lake.write(pl.concat([frame("AAPL"), frame("MSFT")]), "1d", "test")
    read = lake.scan(symbols=["MSFT"], start=DAYS[1], end=DAYS[2]).collect()
    assert read["date"].to_list() == DAYS[1:]
    assert set(read["symbol"]) == {"MSFT"}


def test_an_empty_lake_reads_as_an_empty_frame_of_bars(lake: BarLake) -> None:
    assert lake.scan().collect().schema == bar_schema()
    assert lake.generation() == ""


def test_minute_bars_have_instants_and_live_beside_daily_ones(lake: BarLake) -> None:
    row = ("AAPL", datetime(2012, 6, 14, 13, 30, tzinfo=UTC), 10.0, 11.0, 9.0, 10.0, 5.0)
    lake.write(pl.DataFrame([row], schema=bar_schema("1m"), orient="row"), "1m", "test")
    assert lake.scan("1m", end=date(2012, 6, 14)).collect().rows() == [row]
    assert lake.scan("1m", end=date(2012, 6, 13)).collect().is_empty()
    assert lake.scan("1d").collect().is_empty()


def test_a_large_lake_is_read_from_its_files_by_year(lake: BarLake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketdata.lake.MAX_CACHED_BYTES", 0)
    lake.write(frame(), "1d", "test")
    plan = lake.scan(start=date(2013, 1, 1), symbols=["AAPL"])
    assert "year=2012" not in plan.explain()
    assert plan.collect()["date"].to_list() == DAYS[2:]


def test_another_writer_is_seen_through_the_cache(lake: BarLake) -> None:
    lake.write(frame("AAPL"), "1d", "test")
    assert lake.frame().height == 3
    BarLake(lake.root).write(frame("MSFT"), "1d", "test")
    assert lake.frame().height == 6
    assert lake.frame() is lake.frame()


def test_an_unfinished_file_of_a_dead_writer_is_not_read(lake: BarLake) -> None:
    lake.write(frame(), "1d", "test")
    (lake.root / "timeframe=1d" / "year=2012" / ".dead.parquet").write_bytes(b"half a file")
    assert BarLake(lake.root).scan().collect().height == 3


def _write(root: Path, symbol: str) -> None:
    BarLake(root).write(frame(symbol), "1d", "test")


def test_writers_in_several_processes_lose_no_bar(lake: BarLake) -> None:
    symbols = ["A", "B", "C", "D"]
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(lake.root, symbol)) for symbol in symbols]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert lake.scan().collect().height == 12


def test_the_default_lake_is_one_object_a_root(lake: BarLake) -> None:
    assert default_lake() is lake


def test_a_year_of_five_symbols_is_read_in_milliseconds(lake: BarLake, sample: pl.DataFrame) -> None:
    lake.write(sample, "1d", "sample")
    symbols = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
    lake.frame()
    times = []
    for _ in range(10):
        started = perf_counter()
        lake.scan(symbols=symbols, start=date(2011, 12, 1), end=date(2013, 2, 1)).collect()
        times.append(perf_counter() - started)
    assert min(times) < 0.010


def test_a_writer_that_dies_between_a_file_and_its_word_leaves_no_reader_with_old_bars(
    lake: BarLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.write(frame(days=[date(2012, 6, 14)], close=10.0), "1d", "test")
    reader = BarLake(lake.root)
    assert reader.scan().collect()["close"].to_list() == [10.0]
    real = lake_module._replace

    def die(path: Path, content: bytes) -> None:
        if not content.startswith(lake_module.WRITING.encode()):
            raise KeyboardInterrupt
        real(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(lake_module, "_replace", die)
        with pytest.raises(KeyboardInterrupt):
            lake.write(frame(days=[date(2012, 6, 14)], close=10.5), "1d", "test")
    assert reader.scan().collect()["close"].to_list() == [10.5]
    assert lake.write(frame(days=[date(2012, 6, 14)], close=10.5), "1d", "test").unchanged == 1
    assert not lake.generation().startswith(lake_module.WRITING), "the next writer ends what was left"


def test_what_a_dead_writer_left_is_swept_by_the_next(lake: BarLake) -> None:
    lake.write(frame(days=[date(2012, 6, 14)], close=10.0), "1d", "test")
    half = lake.files("1d")[0].with_name(".0123.parquet")
    half.write_bytes(b"PAR1")
    lake.write(frame(days=[date(2012, 6, 15)], close=10.0), "1d", "test")
    assert not half.exists()


def test_the_stamp_of_a_range_changes_with_its_bars_alone(lake: BarLake) -> None:
    lake.write(frame(days=[date(2011, 6, 14), date(2012, 6, 14)]), "1d", "test")
    before = lake.stamp("1d", date(2011, 1, 1), date(2011, 12, 31))
    both = lake.stamp("1d", date(2011, 1, 1), date(2012, 12, 31))
    lake.write(frame(days=[date(2012, 6, 14)], close=10.5), "1d", "test")
    assert lake.stamp("1d", date(2011, 1, 1), date(2011, 12, 31)) == before
    assert lake.stamp("1d", date(2011, 1, 1), date(2012, 12, 31)) != both
