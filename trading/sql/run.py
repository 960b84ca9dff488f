"""Ask a query: start the engine's process, hand it the files it needs, take its rows, end it when the time is up."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Timer
from time import perf_counter
from typing import Any

import structlog
from django.conf import settings

from marketdata.lake import default_lake
from marketdata.services.ticks import tick_files
from marketdata.types import Timeframe
from trading.sql.catalog import TABLES
from trading.sql.exports import EXPORTS, export, folder

log = structlog.get_logger(__name__)

LONGEST_QUERY = 20_000
GRACE_SECONDS = 15
"""What starting, preparing and an interruption may take besides the query's own time, until the process is killed."""
AT_ONCE = 2
"""Queries of all processes together: the machine trades as well."""
START = "import sys; sys.path.insert(0, sys.argv[1]); from trading.sql.child import main; main()"


class QueryFailed(Exception):
    """The query was refused, failed, took too long, or has to wait; the text says which, in a line."""


class QueryRefused(QueryFailed):
    """It may not run at all."""


class QueryLate(QueryFailed):
    """It took too long."""


class EngineBusy(QueryFailed):
    """As many queries as are allowed at once run already."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may use."""

    rows: int = 1_000
    seconds: int = 10
    memory_megabytes: int = 1_024
    threads: int = 2
    bytes: int = 32 * 1024 * 1024

    def as_message(self) -> dict[str, int]:
        """Return them for the engine."""
        return {name: getattr(self, name) for name in self.__slots__}


MOST_ROWS = 1_000_000
MOST_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Answer:
    """Columns as (name, kind), rows as texts (None where there is no value); `truncated` says what is shown if not all.

    `milliseconds` is everything: the engine's start, the copies it needed, the query, the way back.
    """

    columns: list[tuple[str, str]]
    rows: list[list[str | None]]
    truncated: str
    tables: list[str]
    milliseconds: int


def run_query(query: str, *, now: datetime, asked_by: str, limits: Limits | None = None) -> Answer:
    """Run one SELECT over the tables of `catalog.TABLES` and return its rows; `now` is wall time.

    :raises QueryRefused: not one SELECT that only reads these tables
    :raises QueryLate: the time is up
    :raises EngineBusy: others are asking
    :raises QueryFailed: the engine says why
    """
    limits, began = limits or Limits(), perf_counter()
    if not query.strip():
        raise QueryRefused("there is no query: write one SELECT")
    if len(query) > LONGEST_QUERY:
        raise QueryRefused(f"a query of {len(query)} characters is not allowed: at most {LONGEST_QUERY} are")
    with _turn(), _engine(limits) as process:
        tables, told = _converse(process, query, limits, now)
    answer = Answer(
        columns=[(name, kind) for name, kind in told["columns"]],
        rows=told["rows"],
        truncated=told["truncated"],
        tables=tables,
        milliseconds=int((perf_counter() - began) * 1000),
    )
    log.info("sql_answered", asked_by=asked_by, tables=tables, rows=len(answer.rows), milliseconds=answer.milliseconds)
    return answer


def _converse(
    process: "subprocess.Popen[str]", query: str, limits: Limits, now: datetime
) -> tuple[list[str], dict[str, Any]]:
    first = _ask(process, {"query": query, "tables": list(TABLES), "limits": limits.as_message()}, limits)
    if "refused" in first:
        raise QueryRefused(first["refused"])
    tables = [str(name) for name in first["tables"]]
    told = _ask(process, {name: source(name, now) for name in tables}, limits)
    if told.get("late"):
        raise QueryLate(f"{told['failed']}, which is the limit")
    if "failed" in told:
        raise QueryFailed(str(told["failed"]))
    return tables, told


def source(table: str, now: datetime) -> dict[str, Any]:
    """Return the files behind a table and its columns."""
    lake = default_lake()
    files: Sequence[Path]
    if table == "bars":
        files = lake.files(Timeframe.DAY)
    elif table == "minute_bars":
        files = lake.files(Timeframe.MINUTE)
    elif table == "ticks":
        files = tick_files()
    else:
        assert table in EXPORTS, table
        files = [export(table, now)]
    return {"files": [str(file) for file in files], "columns": dict(TABLES[table].columns)}


@contextmanager
def _engine(limits: Limits) -> "Iterator[subprocess.Popen[str]]":
    """Start the process with an empty environment; kill it when the time is up or the caller has gone on."""
    command = [sys.executable, "-I", "-c", START, str(settings.BASE_DIR)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={}, cwd="/"
    )
    end = Timer(limits.seconds + GRACE_SECONDS, process.kill)
    end.daemon = True
    end.start()
    try:
        yield process
    finally:
        end.cancel()
        process.kill()
        process.communicate()


def _ask(process: "subprocess.Popen[str]", message: dict[str, Any], limits: Limits) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        line = ""
    if not line:
        raise _ended(process, limits)
    told: dict[str, Any] = json.loads(line)
    return told


def _ended(process: "subprocess.Popen[str]", limits: Limits) -> QueryFailed:
    _, said = process.communicate()
    code = process.returncode
    log.warning("sql_engine_ended", code=code, said=said.strip().splitlines()[-1:])
    if code == -9:
        return QueryLate(f"the query took longer than {limits.seconds} s and did not stop when asked, so it was killed")
    return QueryFailed(
        f"the engine ended (code {code}): the query needs more than {limits.memory_megabytes} MB, or breaks it"
    )


@contextmanager
def _turn() -> Iterator[None]:
    """Hold one of the few turns, across processes; the system gives it back when a process dies."""
    folder().mkdir(parents=True, exist_ok=True)
    for number in range(AT_ONCE):
        handle = os.open(folder() / f"turn-{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            continue
        try:
            yield
        finally:
            os.close(handle)
        return
    raise EngineBusy(f"{AT_ONCE} queries are running already, which is the limit: try again when one has ended")
