"""Print the list of the gate's controls, and what the tests have shown of each."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from rich.table import Table

from ops_console.management.operator_command import DONE, REFUSED, OperatorCommand
from risk.catalogue import CELLS, CONTROLS, Control
from risk.evidence import Evidence, read_evidence
from risk.limits import LimitDefinition

SHOWN = {
    "passed": "[green]{n} passed[/]",
    "failed": "[bold red]{failed} of {n} failed[/]",
    "missing": "[bold]missing[/]",
}


class Command(OperatorCommand):
    """Evidence of the controls."""

    help = (
        "The 26 pre-trade controls against five cells of evidence: the rule alone, one step over its limit, many at\n"
        "once, from a new connection, and with something away that it needs. The tests leave the evidence in\n"
        "var/controls.json; this reads it and needs neither database nor Redis."
    )
    examples = (
        ("", "the table, with date, commit and seed"),
        ("--from controls.json --json", "of another file, for scripts"),
        ("--list", "the controls with owner, codes and limits, as in docs/controls.md"),
    )
    exit_codes = {DONE: "every cell has passed", REFUSED: "a cell is missing or failed, or the file cannot be read"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--from", dest="path", type=Path, help="the evidence (default: controls.json in VAR_DIR)")
        parser.add_argument("--list", action="store_true", help="the list of controls itself, as Markdown")
        parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read and show."""
        if options["list"]:
            self.say("\n".join(listed()))
            return
        evidence = read_evidence(options["path"] or Path(settings.VAR_DIR) / "controls.json")
        if options["json"]:
            self.say_json(as_document(evidence))
        else:
            self._show(evidence)
        self.leave(REFUSED if evidence.wanting else DONE)

    def _show(self, evidence: Evidence) -> None:
        table = Table("", "control", *CELLS, title=f"{evidence.date}  commit {evidence.commit}  seed {evidence.seed}")
        for control in CONTROLS:
            cells = (SHOWN[cell.state].format(n=cell.n, failed=cell.failed) for cell in evidence.row(control).values())
            table.add_row(str(control.number), control.title, *cells)
        console = self.console()
        console.print(table)
        shown, whole = len(CONTROLS) * len(CELLS) - len(evidence.wanting), len(CONTROLS) * len(CELLS)
        console.print(f"{shown} of {whole} cells shown")


def as_document(evidence: Evidence) -> dict[str, Any]:
    """Return the table for scripts."""
    return {
        "date": evidence.date,
        "commit": evidence.commit,
        "seed": evidence.seed,
        "complete": not evidence.wanting,
        "controls": [
            {
                "number": control.number,
                "title": control.title,
                "cells": {
                    name: {"state": cell.state, "n": cell.n, "failed": cell.failed}
                    for name, cell in evidence.row(control).items()
                },
            }
            for control in CONTROLS
        ],
    }


def listed() -> list[str]:
    """Return the list of controls as the rows of a Markdown table."""
    head = ["| # | control | refuses with | set by (default; warns from) | owner | |", "|---|---|---|---|---|---|"]
    return head + [_line(control) for control in CONTROLS]


def _line(control: Control) -> str:
    codes = ", ".join(f"`{code.value}`" for code in control.codes) or "the code of the limit's own rule"
    soft = {item.name: item for item in control.soft}
    limits = "; ".join(_limit(item, soft.get(f"soft_{item.name}")) for item in control.definitions) or "–"
    return f"| {control.number} | {control.title} | {codes} | {limits} | {control.owner} | {control.remark} |"


def _limit(item: LimitDefinition, soft: LimitDefinition | None) -> str:
    warns = "" if soft is None else f"; {soft.default.normalize():f}"
    return f"`{item.name}` ({item.default.normalize():f}{warns} {item.unit})"
