"""When books are due to be compared: in the interval, not in step, and sooner after a suspicion."""

from datetime import timedelta
from typing import Any

import pytest

from execution.models import Account, Break, ReconciliationRun
from tests.factories import WALL_NOW, make_account
from trading.services.reconciling import JITTER_PARTS, LOOK_AGAIN, is_due, is_late

pytestmark = pytest.mark.django_db
INTERVAL = timedelta(seconds=60)


@pytest.fixture
def account(settings: Any) -> Account:
    settings.RECONCILIATION_INTERVAL_SECONDS = 60
    account = make_account()
    account.feed.kind = "real"
    account.feed.save()
    return account


def compared(account: Account, number: int) -> None:
    ReconciliationRun.objects.all().delete()
    ReconciliationRun.objects.create(
        pk=number, account=account, trigger="timer", started_at=WALL_NOW, finished_at=WALL_NOW, state="clean"
    )


def waits(account: Account) -> timedelta:
    """Return after how long a comparison is due, to a quarter of a second."""
    steps = (timedelta(milliseconds=250) * step for step in range(1, 400))
    return next(wait for wait in steps if is_due(account, WALL_NOW + wait))


def test_an_account_that_was_never_compared_is_due(account: Account) -> None:
    assert is_due(account, WALL_NOW)


def test_the_interval_is_never_shorter_and_up_to_an_eighth_longer_and_runs_differ(account: Account) -> None:
    found = []
    for number in range(1, JITTER_PARTS + 1):
        compared(account, number)
        found.append(waits(account))
    assert all(INTERVAL <= wait <= INTERVAL * 9 / 8 for wait in found)
    assert len(set(found)) == JITTER_PARTS


def test_a_suspicion_is_looked_at_again_when_the_brokers_views_have_settled(account: Account) -> None:
    compared(account, 1)
    Break.objects.create(
        account=account,
        kind="cash",
        subject="cash",
        ours="1",
        theirs="2",
        first_seen_at=WALL_NOW,
        last_seen_at=WALL_NOW,
    )
    assert waits(account) == LOOK_AGAIN


@pytest.mark.parametrize(("mode", "kind"), [("dry_run", "real"), ("paper", "manual")])
def test_who_has_nobody_else_at_the_exchange_is_not_compared_and_never_late(
    account: Account, mode: str, kind: str
) -> None:
    account.mode, account.feed.kind, account.reconciled_at = mode, kind, WALL_NOW
    assert not is_due(account, WALL_NOW + timedelta(days=1))
    assert not is_late(account, WALL_NOW + timedelta(days=1))


def test_a_verdict_is_old_after_three_intervals(account: Account) -> None:
    account.reconciled_at = WALL_NOW
    assert not is_late(account, WALL_NOW + 3 * INTERVAL)
    assert is_late(account, WALL_NOW + 3 * INTERVAL + timedelta(seconds=1))
