"""The list of proofs names what `make soak` runs, and the other way round."""

import re

from tests.architecture.source import REPOSITORY
from tests.faults.proof_lines import claimed, module_of

LISTED = re.compile(r"`(tests/\w+/test_\w+\.py)`")
WITHOUT_N = {"tests/faults/test_clocks.py"}
"""Proofs that are complete wherever they run."""
OTHERS = {"tests/faults/test_slicing_races.py"}
"""Races that are repeated, without a claim of their own in the list."""


def test_the_list_of_proofs_is_what_soak_runs() -> None:
    listed = set(LISTED.findall((REPOSITORY / "docs" / "proof.md").read_text()))
    lines = [line for line in (REPOSITORY / "Makefile").read_text().splitlines() if line.startswith("SOAK ")]
    run = {word for line in lines for word in line.split() if word.endswith(".py")}
    assert listed - WITHOUT_N == run - OTHERS
    assert all((REPOSITORY / path).exists() for path in listed)


def test_every_proof_begins_with_the_number_of_its_claim() -> None:
    assert claimed("test_killed_anywhere", "inbox_before_commit") == "R4 inbox_before_commit"
    assert claimed("test_any_order", "R10 random histories") == "R10 random histories"
    assert claimed("test_of_something_else", "a proof") == "a proof"
    assert module_of("tests/simulator/test_simulator.py::test_whatever[1-50]") == "test_simulator"
