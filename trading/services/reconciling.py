"""When the desk's book is due to be compared with its broker's."""

from datetime import datetime, timedelta

from django.conf import settings

from execution.models import Account, ReconciliationRun
from execution.reconciliation.breaks import suspicions
from execution.reconciliation.forced import end_expired
from execution.reconciliation.runs import SETTLE
from marketdata.types import FeedKind

JITTER_PARTS = 8
LATE_AFTER = 3
LOOK_AGAIN = SETTLE + timedelta(seconds=2)
"""After a suspicion: when the broker's views have settled."""
_asked_at: dict[int, datetime] = {}


def ask_for_reconciliation(account: Account, wall_now: datetime) -> None:
    """End a forced completion whose time is over, and put a comparison into the queue when one is due."""
    end_expired(account=account, wall_now=wall_now)
    asked = _asked_at.get(account.pk)
    if asked is not None and wall_now - asked < LOOK_AGAIN:
        return
    if is_due(account, wall_now):
        # Not at the top: the tasks import what clocks and schedules say.
        from trading.tasks import enqueue

        _asked_at[account.pk] = wall_now
        enqueue("reconcile", account.pk)


def is_late(account: Account, wall_now: datetime) -> bool:
    """Tell whether the state of the account is older than it may be: three intervals without a verdict."""
    if not is_compared(account) or account.reconciled_at is None:
        return False
    return wall_now - account.reconciled_at > LATE_AFTER * timedelta(seconds=settings.RECONCILIATION_INTERVAL_SECONDS)


def is_due(account: Account, wall_now: datetime) -> bool:
    """Tell whether the newest comparison is older than the interval; a suspicion is looked at again sooner.

    The interval is up to an eighth longer, by the newest run's number, so that desks do not ask in step. A replay's
    clock runs faster than its books settle, and it has nobody else at its exchange.
    """
    if not is_compared(account):
        return False
    newest = ReconciliationRun.objects.filter(account=account).first()
    if newest is None:
        return True
    interval = timedelta(seconds=int(settings.RECONCILIATION_INTERVAL_SECONDS))
    wait = interval + interval * (newest.pk % JITTER_PARTS) / (JITTER_PARTS * JITTER_PARTS)
    if suspicions(account):
        wait = min(wait, LOOK_AGAIN)
    return wall_now - newest.started_at >= wait


def is_compared(account: Account) -> bool:
    """Tell whether the account's book has another side that it is compared with."""
    return account.mode != Account.Mode.DRY_RUN and account.feed.kind != FeedKind.MANUAL
