"""The docs name, for each edge case, the tests that show it: they exist, and the numbers are in order."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (\d+) \| ")
NAMED = re.compile(r"`([^`:]+)::(test_\w+)`")
# Document, the folder its files are in unless they are named whole, the cases it has to have.
INDEXES: dict[str, tuple[str, list[int]]] = {
    "brokers.md": ("tests/faults", list(range(1, 85))),
    "reconciliation.md": ("tests/execution/reconciliation", list(range(85, 125))),
    "slicing.md": ("tests/execution/slicing", list(range(144, 156))),
    "kill_switch.md": (
        "tests/faults",
        [20, 41, 80, 81, 82, 105, 156, 158, 159, 162, 167, 168, 169, 172, 173, 174, 175, 185],
    ),
    "risk.md": ("tests/trading/risk_watch", [102, 103, 105, 133, 139, 161, 163, 164, 165, 166, 176]),
}


def rows(document: str) -> list[tuple[int, str]]:
    text = (ROOT / "docs" / document).read_text()
    section = text.split("## Edge cases and their tests", 1)[1].split("\n## ", 1)[0]
    return [(int(match[1]), line) for line in section.splitlines() if (match := ROW.match(line))]


def named_tests() -> Iterator[tuple[int, Path, str]]:
    for document, (folder, _) in INDEXES.items():
        for number, line in rows(document):
            path = Path()
            for file, name in NAMED.findall(line):
                if file != "…":
                    path = ROOT / file if "/" in file else ROOT / folder / file
                yield number, path, name


@pytest.mark.parametrize("document", INDEXES)
def test_each_case_has_one_row_in_order(document: str) -> None:
    assert [number for number, _ in rows(document)] == INDEXES[document][1]


@pytest.mark.parametrize(
    ("number", "path", "name"), [pytest.param(*each, id=f"{each[0]}-{each[2]}") for each in named_tests()]
)
def test_what_shows_a_case_exists(number: int, path: Path, name: str) -> None:
    assert path.is_file(), f"case {number}: {path.relative_to(ROOT)} is not there"
    # Methods of contract classes count as well, so the indentation is free.
    assert re.search(rf"^\s*(async )?def {name}\(", path.read_text(), re.MULTILINE), f"case {number}: {path.name}"
