"""Find, create and lock a venue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from django.db import connection, transaction

from execution.models.paper import PaperVenue


def ensure_venue(*, account_name: str, starting_cash: Decimal) -> PaperVenue:
    """Return the account's venue, opened with `starting_cash` (account currency) when there is none."""
    venue, _ = PaperVenue.objects.get_or_create(
        account_name=account_name, defaults={"starting_cash": starting_cash, "cash": starting_cash}
    )
    return venue


def lock_venue(*, account_name: str, starting_cash: Decimal) -> PaperVenue:
    """Return the venue locked until the end of the transaction, opened first when there is none. Locks: the venue."""
    locked = PaperVenue.objects.select_for_update(no_key=True)
    venue = locked.filter(account_name=account_name).first()
    if venue is None:
        ensure_venue(account_name=account_name, starting_cash=starting_cash)
        venue = locked.get(account_name=account_name)
    return venue


@contextmanager
def venue_transaction() -> Iterator[None]:
    """Run in a transaction whose commit does not wait for the disk, unless it is part of a larger one.

    Nothing is lost that anybody has acted on: the log is written in order, so a durable commit of the ledger, which
    lives in the same database, takes every earlier commit of the exchange with it. What a power failure may take is an
    order nobody was told of, and that is found out by asking for it.
    """
    is_outermost = not connection.in_atomic_block
    with transaction.atomic():
        if is_outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL synchronous_commit TO off")
        yield
