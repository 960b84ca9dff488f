"""Statements of the order path on their way to the server: prepared there, and here written once in its own form."""

import re
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg
from django.db import connection

PREPARE_AFTER = 2
NAMED = re.compile(r"%\((\w+)\)s")


class Positional(NamedTuple):
    """A statement with `$1` and so on, and the names of its parameters in that order."""

    text: bytes
    names: tuple[str, ...]


@lru_cache(maxsize=32)
def positional(statement: str) -> Positional:
    """Translate `%(name)s` and drop what only people need; psycopg would do it again for every order."""
    names = tuple(dict.fromkeys(NAMED.findall(statement)))
    text = NAMED.sub(lambda found: f"${names.index(found[1]) + 1}", statement)
    return Positional("\n".join(line.strip() for line in text.strip().splitlines()).encode(), names)


def run(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run one statement, prepared on the server: planning it anew costs more than running it.

    Django's own cursor binds on the client, so nothing it sends is ever prepared. This is the same connection and the
    same transaction, with Django's errors.
    """
    connection.ensure_connection()
    raw = connection.connection
    if raw.prepare_threshold is None:
        raw.prepare_threshold = PREPARE_AFTER
    text, names = positional(statement)
    with connection.wrap_database_errors, psycopg.RawCursor(raw) as cursor:
        cursor.execute(text, [parameters[name] for name in names])
        return cursor.fetchall()
