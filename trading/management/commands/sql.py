import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketdata.clock import wall_now
from marketdata.management.reporting import write_json, write_table
from trading.sql.catalog import TABLES
from trading.sql.rendering import as_csv, as_json, shown
from trading.sql.run import (
    MOST_ROWS,
    MOST_SECONDS,
    EngineBusy,
    Limits,
    QueryFailed,
    QueryLate,
    QueryRefused,
    run_query,
)

REFUSED_EXIT, FAILED_EXIT, LATE_EXIT, BUSY_EXIT = 2, 1, 4, 5


class Command(BaseCommand):
    help = (
        "Ask one SELECT (DuckDB's SQL) of the bars, ticks, orders, fills and positions. Read only: no files, no "
        "network, no other statement; limits of rows, time and memory. --tables shows what can be read; a query of - "
        "is read from standard input. Exit code 0 answered, 1 the query failed, 2 it was refused, 4 it took too long, "
        "5 others are asking."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("query", nargs="?", metavar="SELECT", help="one SELECT; - reads it from standard input")
        parser.add_argument("--tables", action="store_true", help="show the tables and their columns")
        parser.add_argument("--limit", type=int, default=1_000, help=f"rows, up to {MOST_ROWS} (default: 1000)")
        parser.add_argument("--timeout", type=int, default=30, help=f"seconds, up to {MOST_SECONDS} (default: 30)")
        shape = parser.add_mutually_exclusive_group()
        shape.add_argument("--csv", action="store_true", help="comma-separated; text is never read as a formula")
        shape.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["tables"]:
            self._tables(as_json=options["json"])
            return
        query = sys.stdin.read() if options["query"] == "-" else options["query"]
        if not query:
            raise CommandError("there is no query: write one SELECT, or --tables to see what can be read")
        for name, most in (("limit", MOST_ROWS), ("timeout", MOST_SECONDS)):
            if not 1 <= options[name] <= most:
                raise CommandError(f"--{name} {options[name]} is not allowed: 1 to {most} is", returncode=REFUSED_EXIT)
        limits = Limits(rows=options["limit"], seconds=options["timeout"])
        try:
            answer = run_query(query, now=wall_now(), asked_by="shell", limits=limits)
        except QueryFailed as error:
            raise CommandError(str(error), returncode=_exit_code(error)) from None
        if options["json"]:
            write_json(self.stdout, as_json(answer))
        elif options["csv"]:
            self.stdout.write(as_csv(answer), ending="")
        else:
            names = [name for name, _ in answer.columns]
            title = f"{len(answer.rows)} rows in {answer.milliseconds} ms"
            write_table(self.stdout, title, names, (shown(row) for row in answer.rows))
        if answer.truncated:
            self.stderr.write(f"these are {answer.truncated}; --limit asks for more")

    def _tables(self, *, as_json: bool) -> None:
        if as_json:
            found = [
                {"table": each.name, "holds": each.holds, "columns": dict(each.columns)} for each in TABLES.values()
            ]
            write_json(self.stdout, found)
            return
        for table in TABLES.values():
            write_table(self.stdout, f"{table.name}: {table.holds}", ("column", "type"), table.columns.items())


def _exit_code(error: QueryFailed) -> int:
    if isinstance(error, QueryRefused):
        return REFUSED_EXIT
    if isinstance(error, QueryLate):
        return LATE_EXIT
    return BUSY_EXIT if isinstance(error, EngineBusy) else FAILED_EXIT
