"""docs/brokers.md names, for each edge case, the tests that show it: they exist, and the numbers are in order."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (\d+) \| ")
NAMED = re.compile(r"`([^`:]+)::(test_\w+)`")


def rows() -> list[tuple[int, str]]:
    text = (ROOT / "docs" / "brokers.md").read_text()
    section = text.split("## Edge cases and their tests", 1)[1].split("\n## ", 1)[0]
    return [(int(match[1]), line) for line in section.splitlines() if (match := ROW.match(line))]


def named_tests() -> Iterator[tuple[int, Path, str]]:
    for number, line in rows():
        path = Path()
        for file, name in NAMED.findall(line):
            if file != "…":
                path = ROOT / file if "/" in file else ROOT / "tests" / "faults" / file
            yield number, path, name


def test_each_case_has_one_row_in_order() -> None:
    assert [number for number, _ in rows()] == list(range(1, 85))


@pytest.mark.parametrize(
    ("number", "path", "name"), [pytest.param(*each, id=f"{each[0]}-{each[2]}") for each in named_tests()]
)
def test_what_shows_a_case_exists(number: int, path: Path, name: str) -> None:
    assert path.is_file(), f"case {number}: {path.relative_to(ROOT)} is not there"
    # Methods of contract classes count as well, so the indentation is free.
    assert re.search(rf"^\s*(async )?def {name}\(", path.read_text(), re.MULTILINE), f"case {number}: {path.name}"
