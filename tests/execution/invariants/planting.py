"""Books with a fault planted into them, past every guard of the database."""

from typing import Any

from django.db import connection

from execution.invariants import Violation


def plant(statement: str, *values: Any, without: dict[str, tuple[str, ...]] | None = None) -> None:
    """Run a statement with triggers off and without these constraints (table: names); undone with the test."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no table is changed under a check that is still to come
        for table, names in (without or {}).items():
            for name in names:
                cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement, list(values))
        assert cursor.rowcount, "nothing was planted"
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def told(violations: list[Violation]) -> set[str]:
    """Return which invariants are broken."""
    return {violation.invariant for violation in violations}


def text(violations: list[Violation]) -> str:
    """Return what is told, a line each."""
    return "\n".join(map(str, violations))
