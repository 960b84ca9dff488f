"""The servers: does PostgreSQL keep what it is given, is its schema ours, does Redis answer."""

from datetime import datetime
from importlib import import_module

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from redis.exceptions import RedisError

from ops_console.diagnosis import Diagnosis
from ops_console.redis_light import redis_client

OLDEST_POSTGRESQL = 150_000
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
GUARDED_BY = ("risk.migrations.0002_append_only", "execution.migrations.0002_append_only")
GUARDED_LATER = ("execution_brokermessage",)


def check_database(wall_now: datetime) -> Diagnosis:
    """PostgreSQL answers and is new enough."""
    number = int(_setting("server_version_num"))
    well = number >= OLDEST_POSTGRESQL
    return Diagnosis("database", f"PostgreSQL {number // 10_000}", "" if well else "use PostgreSQL 15 or later")


def check_durability(wall_now: datetime) -> Diagnosis:
    """A commit survives a power cut."""
    off = [name for name in DURABLE if _setting(name) == "off"]
    if not off:
        return Diagnosis("durability", "fsync is on")
    return Diagnosis("durability", f"off: {', '.join(off)}", "switch them on: an order must survive a power cut")


def check_migrations(wall_now: datetime) -> Diagnosis:
    """The schema is the one this code was written for."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    missing = [f"{step.app_label}.{step.name}" for step, _backwards in plan]
    if not missing:
        return Diagnosis("migrations", "all applied")
    return Diagnosis("migrations", f"{len(missing)} not applied: {', '.join(missing[:3])}", "manage.py migrate")


def guarded_tables() -> list[str]:
    """Return the tables that the migrations make append-only."""
    return [*(table for module in GUARDED_BY for table in import_module(module).TABLES), *GUARDED_LATER]


def check_append_only(wall_now: datetime) -> Diagnosis:
    """The database refuses to change history."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_trigger t "
            "JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid "
            "WHERE p.proname = 'portcullis_append_only' AND t.tgenabled IN ('O', 'A')"
        )
        guarded = {row[0] for row in cursor.fetchall()}
    open_tables = sorted(set(guarded_tables()) - guarded)
    if not open_tables:
        return Diagnosis("append-only", f"{len(guarded)} tables are guarded")
    return Diagnosis(
        "append-only",
        f"not guarded: {', '.join(open_tables)}",
        "find out who took the triggers away, then migrate back and forth over 0002_append_only",
    )


def check_redis(wall_now: datetime) -> Diagnosis:
    """Redis answers; without it pages do not move, but orders go on."""
    try:
        version = redis_client().info("server")["redis_version"]
    except RedisError as error:
        return Diagnosis("redis", f"away: {error}", f"start it: {_where()}; pages stand still without it, orders go on")
    return Diagnosis("redis", f"Redis {version}")


def _where() -> str:
    return str(settings.REDIS_URL).rsplit("@", maxsplit=1)[-1]


def _setting(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])
        return str(cursor.fetchone()[0])
