"""The list of proofs names what `make soak` runs, and the other way round."""

import re
from collections.abc import Iterator

from tests.architecture.source import REPOSITORY
from tests.faults.proof_lines import claimed, module_of

LISTED = re.compile(r"`(tests/\w+/test_\w+\.py)`")
LOCKS = re.compile(
    r"\bselect_for_update\(|pg_(?:try_)?advisory|skip_locked=True|SKIP LOCKED|FOR NO KEY UPDATE|claim=(?:claim|fence)\)"
)
NOT_OF_ORDERS = {"migrations", "jobs"}
"""Research jobs touch no order; their own tests are theirs."""
LOCK_ROW = re.compile(r"^\| `([\w/]+\.py)` \|[^|]+\|([^|]+)\|$", re.MULTILINE)
CONTROL = re.compile(r"`(tests/[\w/]+\.py)::(\w+)(?:\[([^\]]+)\])?`")
WITHOUT_N = {"tests/faults/test_clocks.py"}
"""Proofs that are complete wherever they run."""


def test_the_list_of_proofs_is_what_soak_runs() -> None:
    listed = set(LISTED.findall((REPOSITORY / "docs" / "proof.md").read_text()))
    lines = [line for line in (REPOSITORY / "Makefile").read_text().splitlines() if line.startswith("SOAK ")]
    run = {word for line in lines for word in line.split() if word.endswith(".py")}
    assert listed - WITHOUT_N == run
    assert all((REPOSITORY / path).exists() for path in listed)


def test_every_lock_and_fence_is_listed_with_the_test_that_fails_without_it() -> None:
    rows = dict(LOCK_ROW.findall((REPOSITORY / "docs" / "proof.md").read_text()))
    assert set(rows) == set(locking_modules())
    for path, controls in rows.items():
        found = CONTROL.findall(controls)
        assert found or "none: " in controls, f"{path} has no control"
        for module, test, case in found:
            text = (REPOSITORY / module).read_text()
            assert f"def {test}(" in text, f"{module} has no {test}"
            assert not case or f'"{case}"' in text, f"{module} has no case {case!r}"


def locking_modules() -> Iterator[str]:
    """Name every module that takes a lock or writes through a fence."""
    for app in ("execution", "risk", "trading", "ops_console"):
        for path in (REPOSITORY / app).rglob("*.py"):
            if not NOT_OF_ORDERS & {*path.parts} and LOCKS.search(path.read_text()):
                yield str(path.relative_to(REPOSITORY))


def test_every_proof_begins_with_the_number_of_its_claim() -> None:
    assert claimed("test_killed_anywhere", "inbox_before_commit") == "R4 inbox_before_commit"
    assert claimed("test_any_order", "R10 random histories") == "R10 random histories"
    assert claimed("test_of_something_else", "a proof") == "a proof"
    assert module_of("tests/simulator/test_simulator.py::test_whatever[1-50]") == "test_simulator"
