"""What a query cannot do, tried against the real engine in its process."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trading.sql import run as asking
from trading.sql.run import EngineBusy, Limits, QueryFailed, QueryLate, QueryRefused, run_query

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
REFUSED = {
    "two statements": "SELECT 1; SELECT 2",
    "one behind a comment": "SELECT 1 /* ; */; DROP VIEW bars",
    "nothing but a comment": "-- nothing",
    "a file": "SELECT * FROM read_csv('/etc/passwd')",
    "a file as a table": "SELECT * FROM '/etc/passwd'",
    "a file in quotes": 'SELECT * FROM "/etc/passwd"',
    "a file's text": "SELECT content FROM read_text('/etc/passwd')",
    "a file's bytes": "SELECT * FROM read_blob('/etc/hostname')",
    "a file, nested": "SELECT (SELECT max(x) FROM (SELECT * FROM parquet_scan('/tmp/*')) t(x))",
    "a file in a CTE": "WITH a AS (SELECT * FROM read_json_auto('/etc/passwd')) SELECT * FROM a",
    "a listing": "SELECT * FROM glob('/etc/*')",
    "a sniff": "FROM sniff_csv('/etc/passwd')",
    "a query in a text": "SELECT * FROM query('SELECT * FROM read_csv(''/etc/passwd'')')",
    "a table by its text": "SELECT * FROM query_table('bars')",
    "the network": "SELECT * FROM read_parquet('https://example.org/x.parquet')",
    "the network as a table": "SELECT * FROM 'http://127.0.0.1:8000/x.csv'",
    "PostgreSQL": "SELECT * FROM postgres_scan('host=/tmp', 'public', 'execution_order')",
    "a copy": "COPY (SELECT 1) TO '/tmp/stolen.csv'",
    "a copy in a CTE": "WITH a AS (COPY (SELECT 1) TO '/tmp/stolen.csv') SELECT * FROM a",
    "an insert in a CTE": "WITH a AS (INSERT INTO bars VALUES (1) RETURNING *) SELECT * FROM a",
    "an attached database": "ATTACH '/tmp/other.db'",
    "an extension": "INSTALL httpfs",
    "a loaded extension": "LOAD httpfs",
    "a setting": "SET memory_limit = '100GB'",
    "a reset": "RESET lock_configuration",
    "a pragma": "PRAGMA database_list",
    "a call": "CALL duckdb_settings()",
    "an export": "EXPORT DATABASE '/tmp/stolen'",
    "a macro": "CREATE MACRO f() AS 1",
    "a secret": "CREATE SECRET (TYPE s3)",
    "a prepared statement": "PREPARE v AS SELECT 1",
    "an explanation that runs": "EXPLAIN ANALYZE SELECT 1",
    "a parameter": "SELECT $1",
    "settings": "SELECT * FROM duckdb_settings()",
    "settings as a view": "SELECT * FROM duckdb_settings",
    "secrets": "SELECT * FROM duckdb_secrets()",
    "the catalogue": "SELECT * FROM information_schema.tables",
    "old names of the catalogue": "SELECT * FROM sqlite_master",
    "a setting's value": "SELECT current_setting('allowed_paths')",
    "the environment": "SELECT getenv('HOME')",
    "other databases": "SELECT * FROM system.main.duckdb_tables",
    "databases": "SHOW DATABASES",
    "a bracket that closes ours": "SELECT 1) UNION ALL (SELECT 2",
    "a comment that opens": "SELECT 1 /* ",
    "no SQL at all": "DROP everything",
    "a serialized query": "SELECT * FROM json_execute_serialized_sql('{}')",
    "an empty query": "   ",
    "more than a person writes": "SELECT " + "1 + " * 20_000 + "1",
}


def ask(query, **limits):
    return run_query(query, now=NOW, asked_by="test", limits=Limits(**limits))


@pytest.fixture(autouse=True)
def lake(settings, tmp_path):
    settings.LAKE_DIR, settings.VAR_DIR = tmp_path / "lake", tmp_path


@pytest.mark.parametrize("query", REFUSED.values(), ids=REFUSED.keys())
def test_only_one_reading_select_runs(query):
    with pytest.raises(QueryRefused) as refusal:
        ask(query)
    assert "\n" not in str(refusal.value)
    assert not Path("/tmp/stolen.csv").exists()


def test_a_nested_depth_that_breaks_the_engine_costs_the_engine_only():
    with pytest.raises(QueryFailed):
        ask("SELECT " + "(" * 9_900 + "1" + ")" * 9_900)
    assert ask("SELECT 1").rows == [["1"]]


def test_a_query_without_end_is_stopped():
    with pytest.raises(QueryLate, match="longer than 1 s"):
        ask("SELECT sum(a % 7) FROM range(1000000000000) t(a)", seconds=1)


def test_one_that_does_not_stop_is_killed(monkeypatch):
    monkeypatch.setattr(asking, "GRACE_SECONDS", -0.5)
    with pytest.raises(QueryLate, match="killed"):
        ask("SELECT sum(a % 7) FROM range(1000000000000) t(a)", seconds=1)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT list(a) FROM range(1000000000) t(a)",
        "SELECT length(repeat('x', 3000000000))",
        "SELECT string_agg(repeat('y', 1000000), '') FROM range(100000)",
    ],
)
def test_memory_is_bounded(query):
    with pytest.raises(QueryFailed):
        ask(query, memory_megabytes=256)


def test_a_result_without_end_is_cut():
    answer = ask("SELECT * FROM range(100000000000)", rows=7)
    assert (len(answer.rows), answer.truncated) == (7, "the first 7 rows")


def test_a_result_of_large_cells_is_cut():
    answer = ask("SELECT repeat('x', 100000) FROM range(100)", bytes=350_000)
    assert 0 < len(answer.rows) < 5
    assert "more would exceed" in answer.truncated


def test_a_result_that_just_fits_is_whole():
    assert ask("SELECT * FROM range(7)", rows=7).truncated == ""


def test_the_engine_sees_no_environment_and_writes_no_file(monkeypatch, tmp_path):
    monkeypatch.setenv("PORTCULLIS_SECRET_OF_TEST", "x")
    with asking._engine(Limits()) as process:
        environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        asking._ask(process, {"query": "SELECT 1", "tables": [], "limits": Limits().as_message()}, Limits())
        limits = Path(f"/proc/{process.pid}/limits").read_text()
    assert b"PORTCULLIS" not in environment
    assert next(line.split()[3:5] for line in limits.splitlines() if line.startswith("Max file size")) == ["0", "0"]


def test_queries_take_turns():
    with asking._turn(), asking._turn(), pytest.raises(EngineBusy, match="2 queries are running"):
        ask("SELECT 1")
    assert ask("SELECT 1").rows == [["1"]]


def test_no_process_is_left_behind():
    with pytest.raises(QueryRefused):
        ask("SELECT 1; SELECT 2")
    with asking._engine(Limits()) as process:
        pass
    assert process.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
