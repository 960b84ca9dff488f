"""Announce which version of the code trades from now on."""

from datetime import datetime

from django.db import connection, transaction

from risk.models import Release
from risk.release import code_version


@transaction.atomic
def announce_release(*, operator: str, now: datetime) -> Release:
    """Let this process's version trade, and no other; announcing the one in force changes nothing.

    Processes of an older version that still run send and accept nothing more. Locks: all announcements.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('release', 0))")
    newest = Release.objects.order_by("-id").first()
    if newest is not None and newest.version == code_version():
        return newest
    return Release.objects.create(version=code_version(), operator=operator, at=now)
