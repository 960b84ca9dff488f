"""What a query sees."""

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from django.core.management import CommandError, call_command

from marketdata import ticks
from marketdata.lake import default_lake
from marketdata.models import Instrument
from marketdata.services.ticks import tick_root
from marketdata.types import TradePrint
from tests import factories
from trading.sql.catalog import TABLES
from trading.sql.exports import EXPORTS, KEPT, export, folder
from trading.sql.rendering import as_csv, as_json
from trading.sql.run import Answer, run_query

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def lake(settings, tmp_path):
    settings.LAKE_DIR, settings.VAR_DIR = tmp_path / "lake", tmp_path
    default_lake().write(
        pl.DataFrame(
            {
                "symbol": ["IBM", "IBM", "MSFT"],
                "date": [date(2025, 12, 31), date(2026, 1, 2), date(2026, 1, 2)],
                **{name: [10.0, 11.0, 20.5] for name in ("open", "high", "low", "close")},
                "volume": [100.0, 200.0, 300.0],
            }
        ),
        "1d",
        "test",
    )


def ask(query):
    return run_query(query, now=NOW, asked_by="test")


def test_every_table_can_be_read_empty_or_not_with_the_columns_it_promises():
    for table in TABLES.values():
        assert dict(ask(f"FROM {table.name}").columns) == dict(table.columns)


def test_bars_of_all_years_are_one_table():
    answer = ask("SELECT symbol, count(*) AS n, sum(volume) AS v FROM bars GROUP BY symbol ORDER BY symbol")
    assert answer.rows == [["IBM", "2", "300.0"], ["MSFT", "1", "300.0"]]
    assert answer.tables == ["bars"]


def test_a_corrected_bar_is_seen_by_the_next_query():
    before = ask("SELECT max(close) FROM adjusted_bars").rows
    corrected = default_lake().scan().filter(pl.col("symbol") == "MSFT").with_columns(close=pl.lit(30.0)).collect()
    default_lake().write(corrected, "1d", "test")
    assert (before, ask("SELECT max(close) FROM adjusted_bars").rows) == ([["20.5"]], [["30.0"]])


def test_orders_and_positions_are_exact_copies():
    order = factories.make_order()
    answer = ask("SELECT id, client_order_id, quantity, status, symbol FROM orders")
    assert [answer.rows[0][0], answer.rows[0][1]] == [str(order.pk), order.client_order_id]
    assert Decimal(answer.rows[0][2]) == order.quantity
    assert (answer.rows[0][3], answer.rows[0][4]) == (order.status, order.instrument.symbol)


def test_a_copy_of_orders_is_made_once_until_the_book_changes():
    factories.make_order()
    first = export("orders", NOW)
    assert export("orders", NOW) == first
    factories.make_order()
    assert export("orders", NOW) != first


def test_old_copies_go():
    first = export("orders", NOW)
    stale = folder() / "orders-0-0-old.parquet"
    stale.write_bytes(b"x")
    later = datetime.fromtimestamp(stale.stat().st_mtime, UTC) + KEPT + timedelta(seconds=5)
    export("instruments", later)
    assert not stale.exists()
    assert not first.exists()


def test_every_copy_has_the_columns_of_the_catalogue():
    for name in EXPORTS:
        assert pl.read_parquet_schema(export(name, NOW)).keys() == TABLES[name].columns.keys()


def test_recorded_ticks_are_a_table():
    recorder = ticks.TickRecorder(root=tick_root(), feed="main", clock=lambda: NOW)
    recorder.take([TradePrint("IBM", Decimal("120.05"), NOW, "7")], "alpaca")
    recorder.stop()
    assert ask("SELECT kind, symbol, price, bid, number FROM ticks").rows == [["trade", "IBM", "120.05", None, "7"]]


def test_times_are_shown_in_utc():
    assert ask("SELECT TIMESTAMPTZ '2026-01-01 12:00:00+02' AS t").rows == [["2026-01-01 10:00:00+00"]]


def test_csv_is_data_for_a_spreadsheet():
    answer = Answer(
        [("name", "VARCHAR"), ("n", "DOUBLE"), ("=x", "VARCHAR")],
        [["=1+1", "-1.5", "@cmd"], ["plain, quoted", "2", None], ["\t=2", None, "-2"]],
        "", [], 1,
    )  # fmt: skip
    rows = list(csv.reader(io.StringIO(as_csv(answer))))
    assert rows == [
        ["name", "n", "'=x"],
        ["'=1+1", "-1.5", "'@cmd"],
        ["plain, quoted", "2", ""],
        ["'\t=2", "", "'-2"],
    ]


def test_json_keeps_exact_numbers_as_text_and_is_json():
    answer = ask("SELECT 1 AS i, 1.5::DOUBLE AS d, 'nan'::DOUBLE AS n, 1.10::DECIMAL(9,2) AS m, NULL AS x")
    told = json.loads(json.dumps(as_json(answer), allow_nan=False))
    assert told["rows"] == [[1, 1.5, "nan", "1.10", None]]


def test_the_command_prints_a_table_csv_and_json(capsys):
    Instrument.objects.create(symbol="IBM", name="=SUM(A1)")
    call_command("sql", "SELECT symbol, name FROM instruments", "--csv")
    assert capsys.readouterr().out == "symbol,name\r\nIBM,'=SUM(A1)\r\n"
    call_command("sql", "SELECT symbol FROM instruments", "--json")
    assert json.loads(capsys.readouterr().out)["rows"] == [["IBM"]]
    call_command("sql", "SELECT symbol FROM bars ORDER BY ALL", "--limit", "2")
    told = capsys.readouterr()
    assert "IBM" in told.out
    assert "first 2 rows" in told.err


def test_the_command_lists_tables(capsys):
    call_command("sql", "--tables")
    out = capsys.readouterr().out
    assert all(name in out for name in TABLES)
    call_command("sql", "--tables", "--json")
    assert {table["table"] for table in json.loads(capsys.readouterr().out)} == set(TABLES)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["SELECT 1; SELECT 2"], 2),
        (["SELECT no_such_column FROM bars"], 1),
        (["SELECT sum(a % 7) FROM range(1000000000000) t(a)", "--timeout", "1"], 4),
        (["SELECT 1", "--limit", "0"], 2),
        (["SELECT 1", "--timeout", "601"], 2),
    ],
)
def test_the_exit_code_says_why(arguments, code):
    with pytest.raises(CommandError) as error:
        call_command("sql", *arguments)
    assert error.value.returncode == code
