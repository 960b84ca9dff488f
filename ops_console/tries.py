"""Where tries to log in are counted: in PostgreSQL, exactly, for all processes, also when Redis is away or was emptied.

django-ratelimit counts in a cache; this is the part of one that it needs. Nothing is caught: a count that cannot be
made ends the request with 503, and no password is looked at.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.db import connection

from marketdata.clock import wall_now

LONGEST = timedelta(days=1)
BEGIN = """
INSERT INTO ops_console_logintries AS tries (key, count, ends_at) VALUES (%(key)s, %(count)s, %(ends_at)s)
ON CONFLICT (key) DO UPDATE SET count = excluded.count, ends_at = excluded.ends_at WHERE tries.ends_at <= %(now)s
"""
ONE_MORE = "UPDATE ops_console_logintries SET count = count + %(delta)s WHERE key = %(key)s RETURNING count"
FORGET = """
DELETE FROM ops_console_logintries WHERE key IN (
    SELECT key FROM ops_console_logintries WHERE ends_at <= %(now)s LIMIT 1000 FOR UPDATE SKIP LOCKED
)
"""


class CountedTries(BaseCache):
    """Counts by key; each statement is atomic, so parallel tries are counted one by one."""

    def __init__(self, _location: str, params: Mapping[str, Any]) -> None:
        super().__init__(dict(params))

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Begin a count unless there is one that is not over; say whether it was begun. What is over is forgotten."""
        now = wall_now()
        seconds = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        ends_at = now + min(timedelta(seconds=seconds or 0), LONGEST)
        with connection.cursor() as cursor:
            cursor.execute(FORGET, {"now": now})
            cursor.execute(BEGIN, {"key": self.make_key(key, version), "count": value, "ends_at": ends_at, "now": now})
            return bool(cursor.rowcount == 1)

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Count one more and return the sum.

        :raises ValueError: there is no such count
        """
        with connection.cursor() as cursor:
            cursor.execute(ONE_MORE, {"key": self.make_key(key, version), "delta": delta})
            row = cursor.fetchone()
        if row is None:
            raise ValueError(f"no count under {key!r}")
        return int(row[0])

    def clear(self) -> None:
        """Forget every count."""
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM ops_console_logintries")
