"""Imports and precomputed features as jobs."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from marketdata.lake import default_lake
from marketdata.models import BarImport, Instrument
from marketdata.types import ImportState
from signals import feature_store
from signals.feature_store import features_for
from signals.parameters import BadParameter
from signals.progress import Cancelled
from trading.data.tasks import check_import, check_precompute, import_folder, run_import, run_precompute
from trading.job_kinds import KINDS, checks_of, runs_of
from trading.services.jobs import ask

pytestmark = pytest.mark.django_db
HEADER = "symbol,date,open,high,low,close,volume"


@pytest.fixture(autouse=True)
def lake(settings, tmp_path):
    settings.LAKE_DIR, settings.VAR_DIR = tmp_path / "lake", tmp_path
    import_folder().mkdir()
    feature_store._cache_at.cache_clear()
    yield default_lake()
    feature_store._cache_at.cache_clear()


def silent(done, total, what):
    pass


def write(name="bars.csv", years=(2011, 2012)):
    rows = [f"X,{year}-06-{day},1,1,1,1,5" for year in years for day in (14, 15)]
    (import_folder() / name).write_text("\n".join([HEADER, *rows]))


def test_the_kinds_are_in_the_table():
    assert checks_of(KINDS["import"]) is check_import
    assert runs_of(KINDS["precompute"]) is run_precompute


def test_an_import_can_be_asked_for():
    now = datetime(2026, 3, 2, 15, tzinfo=UTC)
    job = ask("import", {"source": "sample", "symbols": ["FB"]}, asked_by="ann", now=now)
    assert job.parameters["symbols"] == ["FB"]


def test_the_sample_is_imported_with_progress(lake):
    told = []
    result = run_import(check_import({"source": "sample", "symbols": ["FB"]}), lambda *step: told.append(step))
    assert (result["inserted"], result["gap_count"]) == (196, 0)
    assert told[-1] == (196, 196, "bars of the sample")
    assert lake.scan().collect().height == 196


def test_a_file_of_the_import_directory_is_imported(lake):
    write()
    result = run_import(check_import({"source": "file", "file": "bars.csv", "start": "2012-01-01"}), silent)
    assert (result["rows"], result["inserted"]) == (2, 2)
    assert lake.scan().collect()["date"].to_list() == [date(2012, 6, 14), date(2012, 6, 15)]


def test_a_canceled_import_goes_on_when_it_is_asked_for_again(lake):
    write()
    asked = check_import({"source": "file", "file": "bars.csv"})

    def cancel(done, total, what):
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        run_import(asked, cancel)
    assert BarImport.objects.get().state == ImportState.RUNNING
    result = run_import(asked, silent)
    assert (result["resumed_rows"], result["inserted"]) == (2, 2)
    assert BarImport.objects.get().state == ImportState.DONE


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "source"),
        ({"source": "yahoo"}, "source"),
        ({"source": "alpaca"}, "symbols, start"),
        ({"source": "alpaca", "symbols": ["IBM"]}, "symbols, start"),
        ({"source": "sample", "start": "2012-02-01", "end": "2012-01-01"}, "end"),
        ({"source": "sample", "timeframe": "1m"}, "timeframe"),
        ({"source": "sample", "file": "bars.csv"}, "file"),
        ({"source": "file"}, "file"),
        ({"source": "file", "file": "gone.csv"}, "file"),
        ({"source": "file", "file": "../secret_key"}, "file"),
        ({"source": "file", "file": "/etc/passwd"}, "file"),
        ({"source": "file", "file": "link.csv"}, "file"),
        ({"source": "sample", "surprise": 1}, "surprise"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_by_its_field(given, field, tmp_path):
    (tmp_path / "outside.csv").write_text(HEADER)
    (import_folder() / "link.csv").symlink_to(tmp_path / "outside.csv")
    with pytest.raises(BadParameter) as refusal:
        check_import(given)
    assert refusal.value.field == field


def test_features_are_put_into_the_cache_for_every_tradable_symbol():
    days = [date(2012, 6, 14), date(2012, 6, 15)]
    prices = {name: [10.0, 11.0] for name in ("open", "high", "low", "close")}
    default_lake().write(
        pl.DataFrame({"symbol": ["X", "X"], "date": days, **prices, "volume": [1.0, 2.0]}), "1d", "test"
    )
    Instrument.objects.create(symbol="X")
    Instrument.objects.create(symbol="NONE")
    Instrument.objects.create(symbol="OFF", tradable=False)
    result = run_precompute(check_precompute({"session": "2012-06-15"}), silent)
    assert (result["rows"], result["missing"], result["stored"]) == (1, ["NONE"], True)
    assert features_for(symbols=["X"], session=days[1]).source == "cache"


@pytest.mark.parametrize(
    "given", [{}, {"session": "2012-06-16"}, {"session": "soon"}, {"session": "2012-06-15", "x": 1}]
)
def test_a_precompute_needs_a_session(given):
    with pytest.raises(BadParameter):
        check_precompute(given)
