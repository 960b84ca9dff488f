"""Who is between claim and answer: recovery must not judge an order that is on its way to the broker.

An advisory lock of the session: it outlives the claim's commit and ends with the process, however that ends.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def sending(account_id: int) -> Iterator[None]:
    """Send orders of the account; any number of dispatchers may, but not during a recovery."""
    with _held("pg_advisory_lock_shared", "pg_advisory_unlock_shared", account_id):
        yield


@contextmanager
def nothing_in_flight(account_id: int) -> Iterator[None]:
    """Wait until nobody is sending orders of the account, and keep it so."""
    with _held("pg_advisory_lock", "pg_advisory_unlock", account_id):
        yield


@contextmanager
def _held(lock: str, unlock: str, account_id: int) -> Iterator[None]:
    name = f"orders in flight {account_id}"
    _call(lock, name)
    try:
        yield
    finally:
        _call(unlock, name)


def _call(function: str, name: str) -> None:
    # The function is one of the four names above, never input.
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(hashtextextended(%s, 0))", [name])
