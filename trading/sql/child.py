"""The process that runs one query, and ends. It knows nothing of Django; its environment is empty.

Asked and answered on its standard streams, a line of JSON each: the query, the tables it names, where their files are,
the rows. The kernel keeps it within memory and processor time and lets it write no file at all.
"""

import json
import os
import resource
import sys
from collections.abc import Mapping
from threading import Event, Timer
from typing import Any, TextIO

import duckdb

from trading.sql.guard import Refused, first_line, tables_of

MEGABYTE = 1024 * 1024
HEADROOM_MEGABYTES = 2_048
"""Address space besides the engine's memory: the interpreter, the library, stacks, what is reserved and not used."""
ROWS_AT_ONCE = 1_000


def main() -> None:
    """Serve one query."""
    # The engine may print what it likes: nobody but us writes on the way back.
    stream = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    asked = json.loads(sys.stdin.readline())
    limits = asked["limits"]
    bind(limits)
    connection = engine(limits)
    try:
        tables = tables_of(connection, asked["query"], asked["tables"])
    except Refused as refusal:
        tell(stream, {"refused": str(refusal)})
        return
    except RecursionError:
        tell(stream, {"refused": "the query is nested too deeply"})
        return
    tell(stream, {"tables": tables})
    sources = json.loads(sys.stdin.readline())
    tell(stream, answer(connection, asked["query"], sources, limits))


def bind(limits: Mapping[str, int]) -> None:
    """Have the kernel refuse more memory and processor time than allowed, and every byte written to a file."""
    memory = (limits["memory_megabytes"] + HEADROOM_MEGABYTES) * MEGABYTE
    seconds = (limits["seconds"] + 1) * limits["threads"] + 5
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def engine(limits: Mapping[str, int]) -> duckdb.DuckDBPyConnection:
    """Open a database in memory that spills nowhere and loads nothing."""
    return duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{limits['memory_megabytes']}MB",
            "threads": limits["threads"],
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
        },
    )


def answer(
    connection: duckdb.DuckDBPyConnection, query: str, sources: Mapping[str, Any], limits: Mapping[str, int]
) -> dict[str, Any]:
    """Make the tables, lock the engine, run the query until the time is up."""
    prepare(connection, sources)
    late = Event()

    def stop() -> None:
        late.set()
        connection.interrupt()

    timer = Timer(limits["seconds"], stop)
    timer.daemon = True
    timer.start()
    try:
        return rows_of(connection, query, limits)
    except duckdb.OutOfMemoryException:
        return {"failed": f"the query needs more than {limits['memory_megabytes']} MB of memory"}
    except MemoryError:
        return {"failed": f"the query needs more than {limits['memory_megabytes']} MB of memory"}
    except duckdb.Error as error:
        if late.is_set():
            return {"failed": f"the query took longer than {limits['seconds']} s", "late": True}
        return {"failed": first_line(error)}
    finally:
        timer.cancel()


def prepare(connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Any]) -> None:
    """Make a view of each table's files, then close everything else for good."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    files: list[str] = []
    for name, source in sources.items():
        columns = source["columns"]
        if source["files"]:
            chosen = ", ".join(f'"{column}"' for column in columns)
            files += source["files"]
            listed = ", ".join(quoted(file) for file in source["files"])
            text = f"SELECT {chosen} FROM read_parquet([{listed}], hive_partitioning = false)"  # noqa: S608 our own names
        else:
            empty = ", ".join(f'CAST(NULL AS {kind}) AS "{column}"' for column, kind in columns.items())
            text = f"SELECT {empty} WHERE false"
        connection.execute(f'CREATE VIEW "{name}" AS {text}')
    connection.execute(f"SET allowed_paths = [{', '.join(quoted(file) for file in files)}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def quoted(text: str) -> str:
    """Return a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def rows_of(connection: duckdb.DuckDBPyConnection, query: str, limits: Mapping[str, int]) -> dict[str, Any]:
    """Return columns and rows, every value as text, until a limit is met."""
    body = query.strip().rstrip(";")
    # The line break ends a comment at the query's end. That it is one whole SELECT has been seen before.
    described = connection.execute(f"SELECT * FROM ({body}\n) LIMIT 0").description or []  # noqa: S608
    columns = [[str(column[0]), str(column[1]).strip('"')] for column in described]
    wanted = f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ({body}\n) LIMIT {limits['rows'] + 1}"  # noqa: S608
    result = connection.execute(wanted)
    rows: list[tuple[str | None, ...]] = []
    size, truncated = 0, ""
    while not truncated and (some := result.fetchmany(ROWS_AT_ONCE)):
        for row in some:
            size += sum(len(cell) + 3 for cell in row if cell is not None)
            if len(rows) == limits["rows"]:
                truncated = f"the first {limits['rows']} rows"
                break
            if size > limits["bytes"]:
                truncated = f"the first {len(rows)} rows: more would exceed {limits['bytes'] // MEGABYTE} MB"
                break
            rows.append(row)
    return {"columns": columns, "rows": rows, "truncated": truncated}


def tell(stream: TextIO, message: Mapping[str, Any]) -> None:
    """Write one line."""
    stream.write(json.dumps(message, separators=(",", ":")) + "\n")
    stream.flush()
