"""Wake the dispatcher at the commit of something that it has to do."""

from django.db import connection

CHANNEL = "portcullis_dispatch"


def wake_dispatcher(account_id: int) -> None:
    """Notify whoever listens; the news leaves with the commit of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(account_id)])
