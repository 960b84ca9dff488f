"""The kinds of long work that may be asked for: one table, each line by name only, so that importing it costs nothing.

A kind's functions are named as `module:function` and imported where they are needed: `checks` where somebody asks
(cheap modules only), `runs` in the job's own process. Nothing that is not in this table is ever run.

* `checks`: `Callable[[dict], dict]` from the parameters as they came to those that are stored, JSON both; it raises
  `signals.parameters.BadParameter`. `signals.parameters.Parameters` reads them.
* `runs`: `Callable[[dict, Progress], dict]` from the stored parameters to the result, JSON of at most 256 KiB. It lets
  `signals.progress.Cancelled` through. It may be started again after a death of its process or machine when the kind is
  `restartable`: what it writes must then be there once. Where it needs the time it lives in a module named `tasks`.
* `page`: name of the console's address of what came of it; its one argument is `result["id"]`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any

from signals.progress import Progress

Checks = Callable[[dict[str, Any]], dict[str, Any]]
Runs = Callable[[dict[str, Any], Progress], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """One kind of long work."""

    title: str
    runs: str
    checks: str
    restartable: bool = True
    """It may begin again from its parameters when its process or machine died."""
    most_attempts: int = 3
    longest: timedelta = timedelta(hours=12)
    """Wall time after which it is ended and counts as failed."""
    page: str = ""


KINDS: dict[str, JobKind] = {
    "backtest": JobKind(
        title="Backtest", runs="signals.tasks:run_backtest", checks="signals.tasks:check_backtest", page="backtest"
    ),
    "walk_forward": JobKind(
        title="Walk forward", runs="signals.tasks:run_backtest", checks="signals.tasks:check_backtest", page="backtest"
    ),
    "search": JobKind(
        title="Parameter search",
        runs="signals.tasks:run_backtest",
        checks="signals.tasks:check_backtest",
        page="backtest",
    ),
    "train": JobKind(
        title="Training",
        runs="signals.training.tasks:run_training",
        checks="signals.training.tasks:check_training",
        page="model",
    ),
    "import": JobKind(
        title="Import of bars",
        runs="trading.data.tasks:run_import",
        checks="trading.data.tasks:check_import",
    ),
    "precompute": JobKind(
        title="Features before they are needed",
        runs="trading.data.tasks:run_precompute",
        checks="trading.data.tasks:check_precompute",
    ),
    "wait": JobKind(
        title="Wait", runs="trading.waiting_job:wait", checks="trading.waiting_job:check_wait", most_attempts=3
    ),
}


def checks_of(kind: JobKind) -> Checks:
    """Import what reads the kind's parameters."""
    found: Checks = _named(kind.checks)
    return found


def runs_of(kind: JobKind) -> Runs:
    """Import what does the kind's work."""
    found: Runs = _named(kind.runs)
    return found


def _named(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
