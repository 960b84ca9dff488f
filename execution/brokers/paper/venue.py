"""Find, create and lock a venue."""

from __future__ import annotations

from decimal import Decimal

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
