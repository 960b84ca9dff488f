"""Kinds of work for the tests, and a queue."""

from typing import Any

import pytest

from signals.parameters import Parameters
from signals.progress import Progress
from tests.factories import WALL_NOW
from trading import job_kinds
from trading.job_kinds import JobKind
from trading.models import Job
from trading.services import jobs

HERE = "tests.trading.jobs.conftest"


def check(given: dict[str, Any]) -> dict[str, Any]:
    """Read one number."""
    read = Parameters(given)
    found = {"n": read.whole("n", 1, least=1, most=9)}
    read.finish()
    return found


def work(parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Do nothing."""
    progress(1, 1, "done")
    return parameters


@pytest.fixture(autouse=True)
def _kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {
        "twice": JobKind(title="Twice", runs=f"{HERE}:work", checks=f"{HERE}:check", most_attempts=2),
        "once": JobKind(title="Once", runs=f"{HERE}:work", checks=f"{HERE}:check", restartable=False),
    }
    for name, kind in kinds.items():
        monkeypatch.setitem(job_kinds.KINDS, name, kind)


def asked(kind: str = "twice", *, n: int = 1, **fields: Any) -> Job:
    """Ask for a piece of work."""
    return jobs.ask(kind, {"n": n}, **{"asked_by": "ann", "now": WALL_NOW} | fields)
