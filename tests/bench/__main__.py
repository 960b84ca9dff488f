"""Run the benchmarks: JSON on standard output, tables on standard error."""

import argparse
import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console

from tests.bench import machine, table, workplace
from tests.bench.plan import FULL, QUICK, Effort

# Each is a module of this package with a function `measure`.
BENCHMARKS = {
    "orders": "http_orders",
    "transaction": "service",
    "gate": "risk_gate",
    "pnl": "pnl",
    "replay": "replay",
    "backtests": "backtests",
    "models": "models",
    "sql": "sql",
    "extras": "extras",
    "startup": "startup",
    "features": "features",
    "scale": "scale",
}
# Research is measured without servers, database and desk.
ALONE = frozenset({"features", "backtests", "scale"})


def main() -> int:
    """Parse, set up, measure, tell."""
    options = _options()
    effort = replace(QUICK if options.quick else FULL, gunicorn=tuple(options.gunicorn))
    if options.repeats:
        effort = replace(effort, repeats=options.repeats)
    console = Console(stderr=True, highlight=False)
    workplace.move_in()
    names = options.only or list(BENCHMARKS)
    if not ALONE.issuperset(names):
        console.print("setting up servers, an empty database and a desk")
        workplace.fresh_database()
        _prepare_desk()
    report: dict[str, Any] = {"machine": machine.description(), "load_average_before": machine.load(), "benchmarks": {}}
    for name in names:
        report["benchmarks"][name] = _measure(name, effort, console)
    report["load_average_after"] = machine.load()
    table.show(report, console)
    document = json.dumps(report, indent=1) + "\n"
    sys.stdout.write(document)
    if options.json is not None:
        options.json.write_text(document)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON there too")
    parser.add_argument(
        "--quick", action="store_true", help="short measurements, once each: to see that all of it works"
    )
    parser.add_argument("--repeats", type=int, metavar="N", help="repeats of each measurement under load")
    parser.add_argument(
        "--gunicorn", nargs=argparse.REMAINDER, default=[], metavar="OPTION",
        help="last: options for gunicorn, ours and the floor's alike, e.g. --worker-class gthread --threads 8",
    )  # fmt: skip
    return parser.parse_args()


def _prepare_desk() -> None:
    from tests.bench import seeding

    seeding.desk()
    seeding.lift_limits()
    seeding.settle()


def _measure(name: str, effort: Effort, console: Console) -> dict[str, Any]:
    console.print(f"measuring {name}")
    before, started = machine.load(), perf_counter()
    figures: dict[str, Any] = importlib.import_module(f"tests.bench.{BENCHMARKS[name]}").measure(effort)
    return {
        **figures,
        "took_seconds": round(perf_counter() - started, 1),
        "load_average": [before[0], machine.load()[0]],
    }


if __name__ == "__main__":
    sys.exit(main())
