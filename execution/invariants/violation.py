"""What a check of the invariants says: which one is broken, by what, and how it shows."""

from dataclasses import dataclass

MOST = 20
"""Violations of one kind that are told: a book that is wrong everywhere is not listed row by row."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One fact that must not be; `subject` names the row or the broker's order."""

    invariant: str
    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.subject}: {self.message}"
