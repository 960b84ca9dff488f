"""One line for each proof at the end of a test run: which claim, where it is shown, n, failures, time."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

import pytest

CLAIMS = {
    "test_lost_answers": "R3",
    "test_killed_anywhere": "R4",
    "test_processes_killed": "R5",
    "test_any_order": "R10",
    "test_tasks_killed": "R19",
    "test_simulator": "R23",
}
"""Of modules whose proofs do not begin with the number of their claim; the list of claims is docs/proof.md."""
NUMBERED = re.compile(r"R\d+\b")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many times each proof was tried and how often it failed, also when all went well."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    proofs = [
        (module_of(report.nodeid), told)
        for report in reports
        for name, told in report.user_properties
        if name == "proof"
    ]
    if not proofs:
        return
    for module, proof in sorted(proofs, key=lambda each: _order(*each)):
        more = f" ({proof['more']})" if proof["more"] else ""
        terminalreporter.write_line(f"{claimed(module, proof['name'])}, {module}: {figures(proof)}{more}")
    sums = {name: sum(proof[name] for _, proof in proofs) for name in ("n", "failures", "seconds")}
    terminalreporter.write_line(f"total: {figures(sums)}")


def module_of(nodeid: str) -> str:
    """Return the module's name of a test's id."""
    return PurePosixPath(nodeid.partition("::")[0]).stem


def claimed(module: str, name: str) -> str:
    """Return a proof's name with the number of what it proves in front."""
    number = CLAIMS.get(module, "")
    return name if NUMBERED.match(name) or not number else f"{number} {name}"


def figures(proof: dict[str, Any]) -> str:
    """Say how often, with how many failures, in what time."""
    return f"n={proof['n']}, failures={proof['failures']}, seconds={proof['seconds']:.0f}"


def _order(module: str, proof: dict[str, Any]) -> tuple[int, str]:
    found = NUMBERED.match(claimed(module, proof["name"]))
    return (int(found.group()[1:]) if found else 0, module)
