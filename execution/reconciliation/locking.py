"""One comparison of an account's books at a time, whoever begins it.

An advisory lock of the session: it outlives transactions and ends with the process, however that ends.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from execution.errors import ReconciliationUnderWay


@contextmanager
def one_at_a_time(account_id: int) -> Iterator[None]:
    """Compare the account's books alone.

    :raises ReconciliationUnderWay: somebody else does
    """
    name = f"reconciliation {account_id}"
    if not _call("pg_try_advisory_lock", name):
        raise ReconciliationUnderWay(
            "a reconciliation of this account is under way: wait for it, or look at its result"
        )
    try:
        yield
    finally:
        _call("pg_advisory_unlock", name)


def _call(function: str, name: str) -> bool:
    # The function is one of the two names above, never input.
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(hashtextextended(%s, 0))", [name])
        return bool(cursor.fetchone()[0])
