"""The figures of a run for people."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

HIDDEN = frozenset({"outcomes", "first_failure", "repeats"})


def show(report: Mapping[str, Any], console: Console) -> None:
    """Print targets first, then every figure."""
    machine = report["machine"]
    title = f"{machine['cpus']} CPUs, commit {machine['commit']}, load average {report['load_average_before'][0]}"
    targets = Table(title=f"Targets ({title})")
    for column in ("benchmark", "figure", "measured", "target", ""):
        targets.add_column(column, justify="right" if column in {"measured", "target"} else "left")
    details = Table(title="Figures: medians over repeats")
    for column in ("benchmark", "figure", "value"):
        details.add_column(column, justify="right" if column == "value" else "left")
    for name, figures in report["benchmarks"].items():
        for label, verdict in figures.get("targets", {}).items():
            bound = f"≥ {verdict['at_least']}" if "at_least" in verdict else f"≤ {verdict['at_most']}"
            word = {True: "met", False: "[bold]missed[/bold]", None: "not measured"}[verdict["met"]]
            targets.add_row(name, label, str(verdict["value"]), bound, word)
        for label, value in flat({key: inner for key, inner in figures.items() if key != "targets"}):
            details.add_row(name, label, value)
    console.print(details)
    console.print(targets)


def flat(figures: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Name each number by its path; ranges stand beside their median."""
    rows = []
    for name, value in figures.items():
        if name in HIDDEN or name.endswith("_range"):
            continue
        if isinstance(value, Mapping):
            rows.extend(flat(value, f"{prefix}{name} · "))
            continue
        spread = figures.get(f"{name}_range")
        rows.append((f"{prefix}{name}", f"{value}" + (f"  ({spread[0]} to {spread[1]})" if spread else "")))
    return rows
