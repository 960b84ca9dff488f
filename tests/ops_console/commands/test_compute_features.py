"""Features of stored bars into a file."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from marketdata.models import Instrument
from signals.features import FEATURES
from tests.bench import generated_lake
from tests.bench.generated_lake import names
from tests.ops_console.commands.terminal import run

pytestmark = pytest.mark.django_db
FROM = ("--from", "2025-06-02")


@pytest.fixture
def lake():
    for symbol in names(3):
        Instrument.objects.create(symbol=symbol)
    with generated_lake.lake(3, 400):
        yield


def compute(path, *more):
    return run("compute_features", *FROM, "--output", str(path), *more)


def test_a_file_holds_a_row_a_bar_whichever_engine_computes_it(lake, tmp_path):
    outcome = compute(tmp_path / "here.parquet", "--json")
    assert outcome.code == 0, outcome.err
    here = pl.read_parquet(tmp_path / "here.parquet")
    assert (outcome.document["rows"], outcome.document["engine"]) == (here.height, "here")
    assert here.columns == ["symbol", "date", *FEATURES]
    assert here["symbol"].n_unique() == 3
    assert "rows of 3 symbols" in compute(tmp_path / "more.parquet", "--engine", "processes", "--processes", "2").out
    assert_frame_equal(here, pl.read_parquet(tmp_path / "more.parquet"), check_exact=True)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--to", "2020-01-02"), "to = 2020-01-02: allowed is a date from 2025-06-02 on"),
        (("--symbols", "NOPE"), "no bar of 1 symbols from 2025-06-02"),
        (("--engine", "dask"), "scheduler = nothing: allowed is tcp://HOST:PORT"),
        (("--scheduler", "tcp://a:1"), "allowed with engine = dask alone"),
        (("--output", "/no/such/folder/f.parquet"), "allowed: a file in a folder that exists"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(lake, tmp_path, more, told):
    outcome = compute(tmp_path / "f.parquet", *more)
    assert outcome.code in (1, 2)
    assert told in outcome.err
    assert "\n" not in outcome.err.strip()
    assert list(tmp_path.iterdir()) == []
