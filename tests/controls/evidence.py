"""What each test says of a control, kept as JSON: `@pytest.mark.control(number, cell)` marks it.

The file is a person's evidence (`manage.py rts6_report` prints it), so a run of a part of the tests keeps what another
run of the same commit has shown of the rest.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROPERTY = "control"
_cells: dict[str, dict[str, int]] = {}


def evidence_file() -> Path:
    """Return where the evidence is kept."""
    return Path(os.environ.get("CONTROLS_EVIDENCE") or REPOSITORY / "var" / "controls.json")


def commit() -> str:
    """Return what is checked out, and whether something in it was changed since."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() or "unknown"


def seed() -> str:
    """Return what random choices were made from."""
    return os.environ.get("SOAK_SEED", "7")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "control(number, cell): evidence of one cell of the list of controls")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("control"):
        number, cell = mark.args
        item.user_properties.append((PROPERTY, f"{number}:{cell}"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for name, cell in report.user_properties:
        if name != PROPERTY:
            continue
        counts = _cells.setdefault(str(cell), {"n": 0, "passed": 0, "failed": 0})
        if report.when == "call" or report.failed:
            counts["n"] += 1
            counts["passed" if report.passed else "failed"] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not _cells or hasattr(session.config, "workerinput"):
        return
    path = evidence_file()
    known = _read(path)
    here = {"commit": commit(), "seed": seed()}
    cells = known.get("cells", {}) if all(known.get(name) == value for name, value in here.items()) else {}
    document = {"date": datetime.now(UTC).isoformat(timespec="seconds"), **here, "cells": dict(_sorted(cells | _cells))}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def _read(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _sorted(cells: dict[str, dict[str, int]]) -> Iterator[tuple[str, dict[str, int]]]:
    yield from sorted(cells.items(), key=lambda item: (int(item[0].partition(":")[0]), item[0]))
