"""Empty the database after a test that committed: only what was written, and without telling Django's apps about it.

Django truncates every table, which makes new files for each and its indexes, and then lets each app make its content
types and permissions again: an eighth of a second of work for a test that wrote three rows.
"""

from collections.abc import Iterable
from typing import Any

from django.db import connection

KEPT = frozenset({"django_content_type", "auth_permission"})
"""Rows that no test makes; they are those of the code."""


def flush_what_was_written() -> None:
    """Make Django's `flush` cheap; a server where we may not switch triggers off is flushed as ever."""
    from django.core.management.commands import flush  # after the settings
    from django.db.backends.postgresql.operations import DatabaseOperations

    everything, tell_apps = DatabaseOperations.sql_flush, flush.emit_post_migrate_signal

    def sql_flush(self: DatabaseOperations, style: Any, tables: Iterable[str], **options: Any) -> list[str]:
        names = list(tables)
        if not _may_skip_triggers():
            return everything(self, style, names, **options)
        filled = [f"DELETE FROM {self.quote_name(name)}" for name in _filled(sorted(set(names) - KEPT))]
        # Without triggers: neither the order of foreign keys nor the append-only tables hold a test's end up.
        return ["SET LOCAL session_replication_role = replica", *filled] if filled else []

    def emit_post_migrate_signal(*arguments: Any, **options: Any) -> None:
        if not _may_skip_triggers():
            tell_apps(*arguments, **options)

    DatabaseOperations.sql_flush = sql_flush
    flush.emit_post_migrate_signal = emit_post_migrate_signal


def _filled(names: list[str]) -> list[str]:
    asked = (f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {connection.ops.quote_name(name)})" for name in names)
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(asked))
        return [name for (name,) in cursor.fetchall()]


def _may_skip_triggers() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        return bool(cursor.fetchone()[0])
