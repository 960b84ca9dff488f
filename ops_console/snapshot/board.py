"""What every open page shows, as plain values that can be compared and sent; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Cell(NamedTuple):
    """One text on the page: its tone, and the moment it is true for (wall time, ms since 1970) where its age counts."""

    text: str
    tone: str = ""
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Topic:
    """One subject of a page: single cells, the rows of a table by id in their order, or a whole panel."""

    cells: Mapping[str, Cell] = field(default_factory=dict)
    rows: Mapping[str, str] | None = None
    html: str | None = None

    def whole(self) -> dict[str, Any]:
        """Return everything, as a snapshot carries it."""
        data: dict[str, Any] = {}
        if self.cells:
            data["cells"] = self.cells
        if self.rows is not None:
            data["rows"], data["order"] = self.rows, list(self.rows)
        if self.html is not None:
            data["html"] = self.html
        return data

    def changes_since(self, older: "Topic | None") -> dict[str, Any]:
        """Return what a page that shows the older state has to change; empty when nothing has."""
        if older is None:
            return self.whole()
        data: dict[str, Any] = {}
        cells = {key: cell for key, cell in self.cells.items() if older.cells.get(key) != cell}
        if cells:
            data["cells"] = cells
        if self.rows is not None:
            before = older.rows or {}
            rows = {key: row for key, row in self.rows.items() if before.get(key) != row}
            if rows or list(before) != list(self.rows):
                data["rows"], data["order"] = rows, list(self.rows)
        if self.html is not None and self.html != older.html:
            data["html"] = self.html
        return data


Board = Mapping[str, Topic]
"""Every topic by its name; the name is also the `type` of its deltas."""


def board_changes(older: Board, newer: Board) -> dict[str, dict[str, Any]]:
    """Return the changed topics only."""
    found = {name: topic.changes_since(older.get(name)) for name, topic in newer.items()}
    return {name: data for name, data in found.items() if data}
