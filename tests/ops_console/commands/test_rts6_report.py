"""The report of the controls: whole, with holes, unreadable."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from risk.catalogue import CELLS, CONTROLS
from tests.ops_console.commands.terminal import run

WHOLE: dict[str, Any] = {
    "date": "2026-03-02T12:00:00+00:00",
    "commit": "0123456789ab",
    "seed": "7",
    "cells": {f"{control.number}:{cell}": {"n": 2, "passed": 2, "failed": 0} for control in CONTROLS for cell in CELLS},
}


@pytest.fixture
def evidence(settings, tmp_path: Path) -> Path:
    settings.VAR_DIR = tmp_path
    path = tmp_path / "controls.json"
    path.write_text(json.dumps(WHOLE))
    return path


def test_all_130_cells_with_date_commit_and_seed(evidence: Path) -> None:
    done = run("rts6_report")
    assert done.code == 0
    assert all(text in done.out for text in (WHOLE["date"], WHOLE["commit"], "seed 7", "130 of 130 cells shown"))
    assert all(str(control.number) in done.out for control in CONTROLS)


@pytest.mark.parametrize(
    ("cell", "state", "shown"), [(None, "missing", "missing"), ({"n": 2, "failed": 1}, "failed", "1 of 2 failed")]
)
def test_one_cell_that_is_missing_or_failed_is_an_exit_code(
    evidence: Path, cell: dict[str, int] | None, state: str, shown: str
) -> None:
    document = deepcopy(WHOLE)
    document["cells"].pop("7:boundary")
    if cell is not None:
        document["cells"]["7:boundary"] = cell
    evidence.write_text(json.dumps(document))
    done = run("rts6_report")
    assert (done.code, shown in done.out, "129 of 130" in done.out) == (1, True, True)
    told = run("rts6_report", "--json", "--from", str(evidence))
    assert (told.code, told.document["complete"]) == (1, False)
    assert told.document["controls"][6]["cells"]["boundary"]["state"] == state


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"date": 1, "commit": 2, "seed": 3, "cells": {"x": 1}}'])
def test_a_file_that_is_no_evidence_is_said_in_one_line(evidence: Path, text: str) -> None:
    evidence.write_text(text)
    done = run("rts6_report")
    assert (done.code, done.out) == (1, "")
    assert f"{evidence} is no evidence" in done.err
    assert "\n" not in done.err.strip()


def test_without_a_file_it_says_who_writes_it(evidence: Path) -> None:
    evidence.unlink()
    done = run("rts6_report")
    assert (done.code, "make test" in done.err) == (1, True)


def test_the_list_needs_no_evidence(evidence: Path) -> None:
    evidence.unlink()
    done = run("rts6_report", "--list")
    assert done.code == 0
    assert len(done.out.splitlines()) == 2 + len(CONTROLS)
