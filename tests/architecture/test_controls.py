"""The list of controls is whole: every code belongs to one, each has its five cells, and the document says the same."""

import re
from collections import Counter
from pathlib import Path

import pytest

from ops_console.management.commands.rts6_report import listed
from risk.catalogue import CELLS, CONTROLS
from risk.limits import LIMITS, SOFT, SOFT_LIMITS
from risk.types import DenialCode
from tests.controls.boundaries import BOUNDARIES
from tests.controls.scenarios import SCENARIOS
from tests.risk.test_gate import ONLY

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "controls.md"
MARK = re.compile(r"mark\.control\(26, \"unit\"\)")
CASE = re.compile(r"^\| (\d+) \| ")
NAMED = re.compile(r"`([^`:]+)::(test_\w+)`")


def test_the_list_has_26_controls_in_order() -> None:
    assert [control.number for control in CONTROLS] == list(range(1, 27))


def test_every_code_belongs_to_one_control_and_is_exercised() -> None:
    owned = Counter(code for control in CONTROLS for code in control.codes)
    assert set(owned) == set(DenialCode)
    assert set(owned.values()) == {1}
    assert set(ONLY) == set(DenialCode)


def test_every_limit_that_a_control_names_exists() -> None:
    assert {name for control in CONTROLS for name in control.limits} <= set(LIMITS)
    assert {name.removeprefix(SOFT) for name in SOFT_LIMITS} <= {
        name for control in CONTROLS for name in control.limits
    }


@pytest.mark.parametrize("number", range(1, 27))
def test_each_control_has_its_five_cells(number: int) -> None:
    alone = bool(CONTROLS[number - 1].codes) or bool(
        MARK.search((ROOT / "tests" / "risk" / "test_overrides.py").read_text())
    )
    edges = sum(edge.number == number for edge in BOUNDARIES)
    desks = sum(scenario.number == number for scenario in SCENARIOS)  # concurrent, restart and dependency, each
    assert (alone, edges >= 1, desks) == (True, True, 1)
    assert len(CELLS) == 5


def test_the_document_lists_what_the_code_has() -> None:
    text = DOCUMENT.read_text()
    for line in listed():
        assert line in text, f"docs/controls.md lacks this line, as `manage.py rts6_report --list` prints it:\n{line}"


def test_what_the_document_says_of_edge_cases_exists() -> None:
    section = DOCUMENT.read_text().split("## Edge cases", 1)[1]
    rows = [line for line in section.splitlines() if CASE.match(line)]
    numbers = [int(CASE.match(line)[1]) for line in rows]
    assert numbers == sorted(set(numbers))
    for line in rows:
        for path, name in NAMED.findall(line):
            assert f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"
