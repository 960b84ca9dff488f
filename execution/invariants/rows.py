"""Rows of a statement that looks for what must not be."""

from typing import Any

from django.db import connection

from execution.invariants.violation import MOST


def found(statement: str, account_id: int, **more: Any) -> list[dict[str, Any]]:
    """Return the first rows of a SELECT as dictionaries; `%(account)s` is the account."""
    with connection.cursor() as cursor:
        cursor.execute(f"{statement} LIMIT {MOST}", {"account": account_id, **more})
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
