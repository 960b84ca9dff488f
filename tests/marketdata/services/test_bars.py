import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from marketdata.calendar import sessions_between
from marketdata.errors import MarketDataError
from marketdata.lake import BarLake, bar_schema
from marketdata.models import BarImport, Instrument, QuarantinedBar
from marketdata.services.bars import import_frame
from marketdata.services.quarantine import reject_bar, release_bar
from marketdata.types import ImportState, QualityRule
from tests.faults.killing import database_environment
from tests.marketdata.factories import WALL

pytestmark = pytest.mark.django_db

DAYS = [*sessions_between(date(2011, 12, 28), date(2012, 1, 6)), *sessions_between(date(2013, 1, 2), date(2013, 1, 4))]
REASON = "checked against another source"


def bars(*closes: float, symbol: str = "X", days: list[date] | None = None) -> pl.DataFrame:
    rows = [
        (symbol, day, close, close * 1.01, close * 0.99, close, 100.0)
        for day, close in zip(days or DAYS, closes or [10.0] * len(DAYS), strict=False)
    ]
    return pl.DataFrame(rows, schema=bar_schema(), orient="row")


def bring_in(frame: pl.DataFrame, **arguments: Any) -> Any:
    return import_frame(frame=frame, **{"source": "test", "wall_now": WALL, **arguments})


def test_bars_go_into_the_lake_and_their_instruments_are_created(lake: BarLake) -> None:
    report = bring_in(bars())
    assert (report.rows, report.written.inserted, report.kept_out) == (10, 10, 0)
    assert lake.scan().collect().equals(bars())
    assert Instrument.objects.get().symbol == "X"


def test_importing_again_changes_nothing(lake: BarLake) -> None:
    frame = bars(10, 10, 2, 2)
    assert bring_in(frame).changed
    generation = lake.generation()
    again = bring_in(frame)
    assert not again.changed
    assert (again.kept_out, again.newly_quarantined, again.written.unchanged) == (1, 0, 3)
    assert lake.generation() == generation
    assert (QuarantinedBar.objects.count(), BarImport.objects.count()) == (1, 1)


def test_md3_a_bad_bar_waits_in_quarantine_and_readers_do_not_see_it(lake: BarLake) -> None:
    report = bring_in(bars(10, 10, 2, 2.1))
    assert (report.kept_out, report.newly_quarantined) == (1, 1)
    kept = QuarantinedBar.objects.get()
    assert (kept.date, kept.rule, kept.payload["close"], kept.source) == (
        DAYS[2],
        QualityRule.OUTLIER_RETURN,
        "2.0",
        "test",
    )
    assert lake.scan().collect()["date"].to_list() == [DAYS[0], DAYS[1], DAYS[3]]


def test_md3_nothing_is_dropped_silently(lake: BarLake) -> None:
    frame = pl.concat([bars(), bars(float("nan"), 10.0, -4.0), bars(10.0)])
    report = bring_in(frame)
    assert lake.scan().collect().height + report.kept_out == report.rows
    assert QuarantinedBar.objects.count() == len(set(QuarantinedBar.objects.values_list("fingerprint", flat=True)))


def test_a_released_bar_is_read_and_stays_through_another_import(lake: BarLake) -> None:
    frame = bars(10, 10, 2, 2.1)
    bring_in(frame)
    release_bar(bar=QuarantinedBar.objects.get(), operator="kim", reason=REASON, wall_now=WALL)
    assert lake.scan().collect().equals(frame)
    report = bring_in(frame)
    assert (report.changed, report.kept_out, report.written.unchanged) == (False, 0, 4)


def test_a_released_bar_comes_back_into_a_lake_that_was_lost(lake: BarLake) -> None:
    frame = bars(10, 10, 2, 2.1)
    bring_in(frame)
    release_bar(bar=QuarantinedBar.objects.get(), operator="kim", reason=REASON, wall_now=WALL)
    anew = BarLake(lake.root.parent / "anew")
    bring_in(frame, lake=anew)
    assert anew.scan().collect().equals(frame)


def test_a_rejected_bar_stays_out_of_every_later_import(lake: BarLake) -> None:
    frame = bars(10, 10, 2, 2.1)
    bring_in(frame)
    reject_bar(bar=QuarantinedBar.objects.get(), operator="kim", reason=REASON, wall_now=WALL)
    assert bring_in(frame).kept_out == 1
    assert DAYS[2] not in lake.scan().collect()["date"].to_list()


def test_the_first_bar_is_measured_against_the_lake(lake: BarLake) -> None:
    bring_in(bars(10, 10))
    assert bring_in(bars(4, days=DAYS[2:])).kept_out == 1


def test_the_first_bar_is_measured_against_a_quarantined_one_too(lake: BarLake) -> None:
    bring_in(bars(10, 10, 4))
    assert bring_in(bars(4.1, days=DAYS[3:])).kept_out == 0


def test_missing_sessions_are_reported_and_stored(lake: BarLake) -> None:
    report = bring_in(bars(10, 10, days=[DAYS[0], DAYS[2]]))
    assert [(gap.symbol, gap.date) for gap in report.gaps] == [("X", DAYS[1])]
    assert BarImport.objects.get().gaps == [["X", DAYS[1].isoformat()]]


class Interrupted(Exception):
    """The machine went away in the middle of an import."""


def test_md1_an_interrupted_import_goes_on_after_the_years_it_has(lake: BarLake) -> None:
    def stop_in_2012(done: int, total: int) -> None:
        if done > 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        bring_in(bars(), on_progress=stop_in_2012)
    record = BarImport.objects.get()
    assert (record.state, record.cursor) == (ImportState.RUNNING, 2012)
    report = bring_in(bars())
    assert (report.resumed_rows, report.written.inserted) == (7, 3)
    record.refresh_from_db()
    assert (record.state, record.cursor, record.finished_at) == (ImportState.DONE, 2013, WALL)
    assert lake.scan().collect().equals(bars())


def test_progress_ends_at_all_rows(lake: BarLake) -> None:
    seen: list[tuple[int, int]] = []
    bring_in(bars(), on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(3, 10), (7, 10), (10, 10)]


def test_a_correction_of_the_source_replaces_the_bar(lake: BarLake) -> None:
    bring_in(bars(10, 10))
    assert bring_in(bars(10, 10.5)).written.updated == 1
    assert lake.scan().collect()["close"].to_list() == [10.0, 10.5]


@pytest.mark.parametrize("symbol", ["aapl", "", "TOO-LONG-A-SYMBOL", "A B"])
def test_a_symbol_no_exchange_uses_is_refused_before_anything_is_written(lake: BarLake, symbol: str) -> None:
    with pytest.raises(MarketDataError, match="is not allowed"):
        bring_in(bars(symbol=symbol))
    assert not BarImport.objects.exists()
    assert lake.generation() == ""


def test_a_bar_without_a_date_is_refused(lake: BarLake) -> None:
    with pytest.raises(MarketDataError, match="without a symbol or a date"):
        bring_in(bars().with_columns(date=pl.lit(None, pl.Date)))


# killed in the middle: a process of its own imports three years and dies at a place


KILLED_IMPORT = """
import os, signal, sys
import django
django.setup()
from datetime import UTC, datetime
from pathlib import Path
import polars as pl
from django.conf import settings
from marketdata import lake
from marketdata.models import BarImport
from marketdata.services.bars import import_frame

settings.LAKE_DIR = Path(sys.argv[1])
place = sys.argv[3]
saves, renames = [], []
rename, save = lake._rename, BarImport.save

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def counted_rename(temporary, path):
    if path.name == lake.FILE_NAME:
        renames.append(path)
        if place == "before the second file" and len(renames) == 2:
            die()
    rename(temporary, path)
    if place == "after the second file" and len(renames) == 2 and path.name == lake.FILE_NAME:
        die()

def counted_save(self, *args, **kwargs):
    save(self, *args, **kwargs)
    saves.append(self.cursor)
    if place == "after the first year" and self.cursor is not None:
        die()

lake._rename, BarImport.save = counted_rename, counted_save
import_frame(frame=pl.read_parquet(sys.argv[2]), source="test", wall_now=datetime.fromisoformat(sys.argv[4]))
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("place", ["after the first year", "before the second file", "after the second file"])
def test_an_import_that_is_killed_goes_on_without_doubling(lake: BarLake, tmp_path: Path, place: str) -> None:
    path = tmp_path / "bars.parquet"
    bars().write_parquet(path)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_IMPORT, str(lake.root), str(path), place, WALL.isoformat()],
        env=database_environment(),
        check=False,
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    record = BarImport.objects.get()
    assert (record.state, record.cursor) == (ImportState.RUNNING, 2011)
    seen = []
    report = bring_in(bars(), on_progress=lambda done, total: seen.append((done, total)))
    assert report.resumed_rows == 3
    assert seen == [(3, 10), (7, 10), (10, 10)]
    assert lake.scan().collect().equals(bars())
    record.refresh_from_db()
    assert (record.state, BarImport.objects.count()) == (ImportState.DONE, 1)
    assert not list(lake.root.glob("timeframe=*/year=*/.*"))
    assert not bring_in(bars()).changed


def test_an_import_whose_listener_gives_up_keeps_what_is_done(lake: BarLake) -> None:
    def give_up(done: int, total: int) -> None:
        if done > 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        bring_in(bars(), on_progress=give_up)
    record = BarImport.objects.get()
    assert (record.state, record.cursor, record.written) == (ImportState.RUNNING, 2012, 7)
    assert bring_in(bars()).resumed_rows == 7
    record.refresh_from_db()
    assert (record.state, record.written) == (ImportState.DONE, 10)
