"""Compare every feature with Qlib's own value; exit code 1 where one differs by more than the bound.

    python -m tests.parity [--qlib PYTHON] [--write-reference]

Qlib runs in an environment of its own (`make parity` makes it) on the same doubles; see `qlib_values.py`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

import polars as pl
from rich.console import Console
from rich.table import Table

from signals.features import FEATURES
from tests.parity import reference, universes
from tests.parity.compare import Verdict, bound, compare, merged

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("PARITY_PYTHON") or REPOSITORY / ".venv-parity" / "bin" / "python")
SCRIPT = Path(__file__).with_name("qlib_values.py")
SHOWN = 5


def main() -> int:
    """Make bars, have Qlib compute, compute, compare, tell."""
    options = _options()
    console = Console(highlight=False, width=max(120, Console().width))
    if not options.qlib.exists():
        console.print(f"there is no Qlib: {options.qlib} is missing; `make parity` installs it")
        return 2
    bars = {"sample": universes.sample(), **universes.invented()}
    started = perf_counter()
    theirs, made_by = qlib_values(options.qlib, bars)
    seconds = perf_counter() - started
    verdicts = [compare(name, frame, theirs[name]) for name, frame in bars.items()]
    show(merged(verdicts), console)
    rows = sum(frame.height for frame in bars.values())
    console.print(f"{len(bars)} universes, {rows} rows, {rows * len(FEATURES)} cells; {made_by} took {seconds:.1f} s")
    if options.write_reference:
        console.print(f"written: {reference.write(bars, theirs, made_by)}")
    return tell(merged(verdicts), console)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.parity", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--qlib", type=Path, default=PYTHON, metavar="PYTHON", help=f"that has Qlib (default {PYTHON})")
    parser.add_argument("--write-reference", action="store_true", help="store a part of Qlib's values for `make test`")
    return parser.parse_args()


def qlib_values(python: Path, bars: Mapping[str, pl.DataFrame]) -> tuple[dict[str, pl.DataFrame], str]:
    """Have Qlib compute all universes in one process; return its values and what computed them.

    :raises subprocess.CalledProcessError: it failed; what it said is on standard error
    """
    with tempfile.TemporaryDirectory(prefix="parity-") as name:
        folder = Path(name)
        for universe, frame in bars.items():
            frame.write_parquet(folder / f"{universe}.bars.parquet")
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        answer = subprocess.run(
            [python, SCRIPT, folder], check=True, text=True, stdout=subprocess.PIPE, env=environment, timeout=600
        )
        found = {universe: pl.read_parquet(folder / f"{universe}.values.parquet") for universe in bars}
    # pandas writes NaN as null
    typed = {name: frame.cast({"date": pl.Date}).fill_null(float("nan")) for name, frame in found.items()}
    return typed, answer.stdout.strip()


def show(verdicts: Mapping[str, Verdict], console: Console) -> None:
    """Print the worst difference of each feature."""
    table = Table(title="Worst difference from Qlib per feature (relative for values beyond one)")
    for column in ("feature", "worst", "bound", "where", "Qlib rounds", ""):
        table.add_column(column, justify="right" if column in {"worst", "bound", "Qlib rounds"} else "left")
    for feature, verdict in verdicts.items():
        word = "equal" if verdict.holds() else "[bold]differs[/bold]"
        where = verdict.where if verdict.worst else ""
        table.add_row(
            feature, f"{verdict.worst:.1e}", f"{bound(feature):.0e}", where, str(verdict.rounded or ""), word
        )  # fmt: skip
    console.print(table)


def tell(verdicts: Mapping[str, Verdict], console: Console) -> int:
    """Say what differs, and how much of what Qlib gives is its rounding."""
    rounded = sum(verdict.rounded for verdict in verdicts.values())
    cells = sum(verdict.cells for verdict in verdicts.values())
    if rounded:
        console.print(
            f"in {rounded} of {cells} cells Qlib is off by more than the bound and exact arithmetic agrees with ours:"
            " windows whose values hardly differ, where the sums that it carries along are mostly rounding"
        )
    wrong = {feature: verdict for feature, verdict in verdicts.items() if not verdict.holds()}
    for feature, verdict in wrong.items():
        told = verdict.wrong or [f"{verdict.rounded} of {verdict.cells} cells are Qlib's rounding, too many to believe"]
        console.print(f"{feature}: {len(verdict.wrong)} cells differ")
        for line in told[:SHOWN]:
            console.print(f"  {line}", markup=False)
    console.print("all features are equal" if not wrong else f"{len(wrong)} of {len(verdicts)} features differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
