"""How the commands of this app speak: a table for people, JSON for scripts, a bar for long work."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.core.management.base import OutputWrapper
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from marketdata.services.bars import ImportReport
from marketdata.services.bars import Progress as ProgressCallback

MAX_SHOWN_GAPS = 5
PIPE_WIDTH = 160


def write_json(stdout: OutputWrapper, answer: object) -> None:
    """Write one JSON document."""
    stdout.write(json.dumps(answer, indent=2, default=str))


def write_table(stdout: OutputWrapper, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console = Console(file=stdout)  # type: ignore[arg-type]
    if not console.is_terminal:
        console = Console(file=stdout, width=PIPE_WIDTH)  # type: ignore[arg-type]
    console.print(table)


class RateColumn(ProgressColumn):
    """How many are done in a second."""

    def render(self, task: Task) -> Text:
        """Return the pace, nothing while it is not known."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


@contextmanager
def progress_bar(stderr: OutputWrapper, title: str, *, hidden: bool) -> Iterator[ProgressCallback]:
    """Show the rows done on a terminal; say nothing when the output is no terminal or `hidden`."""
    console = Console(file=stderr)  # type: ignore[arg-type]
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), RateColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=console, disable=hidden or not console.is_terminal, transient=True) as progress:
        task = progress.add_task(title, total=None)

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield advance


def import_answer(report: ImportReport) -> dict[str, Any]:
    """Return an import's figures for JSON."""
    return {
        "rows": report.rows,
        "inserted": report.written.inserted,
        "updated": report.written.updated,
        "unchanged": report.written.unchanged,
        "resumed_rows": report.resumed_rows,
        "kept_out": report.kept_out,
        "newly_quarantined": report.newly_quarantined,
        "gaps": [[gap.symbol, gap.date.isoformat()] for gap in report.gaps],
    }


def import_line(name: str, report: ImportReport) -> str:
    """Say what an import did in a line or two."""
    if not report.changed:
        line = f"{name}: already there ({report.rows} bars)"
    else:
        line = f"{name}: {report.rows} bars read, {report.written.inserted} new, {report.written.updated} corrected"
    if report.kept_out:
        line += f"; {report.kept_out} kept out (see: manage.py quarantine list)"
    if report.gaps:
        shown = ", ".join(f"{gap.symbol} {gap.date}" for gap in report.gaps[:MAX_SHOWN_GAPS])
        more = len(report.gaps) - MAX_SHOWN_GAPS
        line += f"\n{len(report.gaps)} sessions missing: {shown}{f' and {more} more' if more > 0 else ''}"
    return line
