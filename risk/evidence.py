"""What the tests have shown of the controls: the file they leave, read against the list."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from risk.catalogue import CELLS, CONTROLS, Control
from risk.errors import RiskError


class EvidenceUnreadable(RiskError):
    """The file is not there, or is no evidence."""

    code = "evidence_unreadable"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the table: how many tests there were and how many of them failed."""

    n: int = 0
    failed: int = 0

    @property
    def state(self) -> str:
        """`missing` when nothing was run, else `failed` or `passed`."""
        if not self.n:
            return "missing"
        return "failed" if self.failed else "passed"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The whole table, with when, of which commit and from which seed."""

    date: str
    commit: str
    seed: str
    cells: Mapping[tuple[int, str], Cell]

    def row(self, control: Control) -> dict[str, Cell]:
        """Return the five cells of a control."""
        return {cell: self.cells.get((control.number, cell), Cell()) for cell in CELLS}

    @property
    def wanting(self) -> list[tuple[Control, str, Cell]]:
        """The cells that are missing or failed."""
        found = ((control, name, cell) for control in CONTROLS for name, cell in self.row(control).items())
        return [each for each in found if each[2].state != "passed"]


def read_evidence(path: Path) -> Evidence:
    """Read what a run of the tests has left.

    :raises EvidenceUnreadable: it says which file and what is wrong with it
    """
    try:
        document: Any = json.loads(path.read_text())
        cells = {
            _key(key): Cell(n=int(cell["n"]), failed=int(cell["failed"])) for key, cell in document["cells"].items()
        }
        return Evidence(str(document["date"]), str(document["commit"]), str(document["seed"]), cells)
    except FileNotFoundError:
        raise EvidenceUnreadable(f"{path} is not there: `make test` writes it") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvidenceUnreadable(f"{path} is no evidence of controls: {type(error).__name__} {error}") from error


def _key(text: str) -> tuple[int, str]:
    number, _, cell = text.partition(":")
    return int(number), cell
