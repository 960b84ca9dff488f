"""Statements of the order path on their way to the server: prepared there, and written once in its own form here.

They go through libpq directly (`psycopg.pq`): the same connection, the same transaction and the same adapters as
everything else, without the cursor in between, which takes longer than the statement for rows of fifty columns.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import psycopg
from django.db import connection
from psycopg.abc import Transformer
from psycopg.adapt import PyFormat
from psycopg.adapt import Transformer as new_transformer
from psycopg.errors import error_from_result
from psycopg.pq import DiagnosticField, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

NAMED = re.compile(r"%\((\w+)\)s")
FORGOTTEN = b"26000"  # somebody has dropped the connection's prepared statements
GOOD = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)

Key = tuple[bytes, tuple[int, ...]]


class Positional(NamedTuple):
    """A statement with `$1` and so on, and the names of its parameters in that order."""

    text: bytes
    names: tuple[str, ...]
    formats: tuple[PyFormat, ...]


class Session(NamedTuple):
    """What is known of one connection: how values look there, and the names of what was prepared."""

    transformer: Transformer
    prepared: dict[Key, bytes]


_numbers = count(1)
_sessions: WeakKeyDictionary[psycopg.Connection[Any], Session] = WeakKeyDictionary()


@lru_cache(maxsize=32)
def positional(statement: str) -> Positional:
    """Translate `%(name)s` and drop what only people need."""
    names = tuple(dict.fromkeys(NAMED.findall(statement)))
    text = NAMED.sub(lambda found: f"${names.index(found[1]) + 1}", statement)
    lines = "\n".join(line.strip() for line in text.strip().splitlines())
    return Positional(lines.encode(), names, (PyFormat.AUTO,) * len(names))


def run(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run one statement, prepared on the server: planning it anew costs more than running it.

    Begins the transaction when Django has opened one and nothing was sent yet, as any cursor would.
    :raises django.db.Error: as from any cursor
    """
    connection.ensure_connection()
    raw = connection.connection
    with connection.wrap_database_errors:
        session = _sessions.get(raw) or _sessions.setdefault(raw, Session(new_transformer(raw), {}))
        if not raw.autocommit and raw.pgconn.transaction_status == TransactionStatus.IDLE:
            _checked(raw, raw.pgconn.exec_(b"BEGIN"))
        text, names, formats = positional(statement)
        return _execute(raw, session, text, [parameters[name] for name in names], formats)


def _execute(
    raw: psycopg.Connection[Any], session: Session, text: bytes, values: Sequence[Any], formats: Sequence[PyFormat]
) -> list[tuple[Any, ...]]:
    transformer, prepared = session
    sent = transformer.dump_sequence(values, formats)
    types = tuple(transformer.types or ())
    name = prepared.get((text, types))
    if name is None:
        name = f"gateway_{next(_numbers)}".encode()
        _checked(raw, raw.pgconn.prepare(name, text, types))
        prepared[text, types] = name
    # A None among the values is SQL NULL, which the stubs do not know.
    result = _checked(raw, raw.pgconn.exec_prepared(name, sent, transformer.formats))  # type: ignore[arg-type]
    transformer.set_pgresult(result)
    return transformer.load_rows(0, result.ntuples, tuple)


def _checked(raw: psycopg.Connection[Any], result: PGresult) -> PGresult:
    """Return a good result.

    :raises psycopg.Error: what the server said, or that it is gone
    """
    if result.status in GOOD:
        return result
    state = result.error_field(DiagnosticField.SQLSTATE)
    if state is None:
        raise psycopg.OperationalError(result.get_error_message())
    if state == FORGOTTEN:
        _sessions.pop(raw, None)
    raise error_from_result(result)
