"""What a worker of the API knows of its database connection from the requests before.

That it was alive a moment ago spares a request the look whether it is. That a lock was waited for in vain makes the
next requests wait less: a worker answers one request at a time, and behind one that waits all others do.
"""

from contextlib import suppress
from threading import local
from time import monotonic
from typing import Any

from django.db import DatabaseError, InterfaceError, connection
from psycopg.errors import LockNotAvailable

TRUSTED_SECONDS = 1
SHORT_PATIENCE = "50ms"
SHORT_SECONDS = 1
"""So long after the last wait in vain the patience stays short, or until a write has succeeded."""
READS = frozenset({"GET", "HEAD", "OPTIONS"})

_thread = local()


def trust_recent_use(environ: dict[str, Any] | None = None, **_: Any) -> None:
    """Tell Django that the connection was checked; call it when a request has started.

    A connection that rested longer is asked first, so a database that was restarted costs a busy worker one answer of
    503 and an idle one nothing.
    """
    now = monotonic()
    used_at = getattr(_thread, "used_at", now - TRUSTED_SECONDS)
    connection.health_check_done = now - used_at < TRUSTED_SECONDS  # type: ignore[attr-defined]  # the stubs miss it
    _thread.used_at = now
    has_written = getattr(_thread, "may_write", False)
    _thread.may_write = (environ or {}).get("REQUEST_METHOD") not in READS
    if hasattr(_thread, "short_until") and (has_written or _thread.short_until < now):
        del _thread.short_until
        _set_patience("DEFAULT")


def note_failure(error: Exception) -> None:
    """Wait less for locks from now on when this was a wait in vain; call it outside of any transaction.

    Only where requests are answered one after the other: a process of many threads has nobody waiting behind one.
    """
    if not isinstance(error.__cause__, LockNotAvailable) or not hasattr(_thread, "used_at"):
        return
    _thread.may_write = False
    is_known = hasattr(_thread, "short_until")
    _thread.short_until = monotonic() + SHORT_SECONDS
    if not is_known:
        _set_patience(f"'{SHORT_PATIENCE}'")


def _set_patience(value: str) -> None:
    # A connection that is gone needs no setting: the next one begins with its own.
    if connection.connection is None:
        return
    with suppress(DatabaseError, InterfaceError), connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {value}")
