"""How long a statement waits for somebody else's lock: what is urgent must not wait for whoever hangs."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import DatabaseError, InterfaceError, connection


@contextmanager
def lock_patience(milliseconds: int) -> Iterator[None]:
    """Give up every wait for a lock after that long until the end of the block, which raises an OperationalError.

    What was set before is set again. A connection that broke meanwhile takes its setting with it.
    """
    before = _set(f"{milliseconds}ms")
    try:
        yield
    finally:
        with suppress(DatabaseError, InterfaceError):
            _set(before)


def _set(patience: str) -> str:
    """Set the session's patience and return what it was."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT before, set_config('lock_timeout', %s, false) "
            "FROM (SELECT current_setting('lock_timeout') AS before OFFSET 0) AS was",
            [patience],
        )
        return str(cursor.fetchone()[0])
