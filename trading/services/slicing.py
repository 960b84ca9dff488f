"""Have the worker look at parent orders that have something to be done."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from execution.models import Account, ParentOrder
from execution.parent_orders import parents_due
from execution.services.slices import free_parents
from trading.tasks import enqueue

TASK = "send_slices"
ASK_AGAIN_AFTER = timedelta(seconds=5)
"""Wall time after which a task that was asked for and gave no sign is asked for again."""


@transaction.atomic
def ask_for_slices(account: Account, wall_now: datetime) -> None:
    """Put one task into the queue when a parent of the account is due, unless one was asked for a moment ago.

    One query and none that writes when nothing is due. Locks: the parents that are due and that nobody holds; those
    that somebody holds are asked for in a later round, so that the clock waits for nobody.
    """
    market_at = account.feed.market_now(wall_now)
    due = parents_due(account_id=account.pk, market_at=market_at, wall_now=wall_now)
    waiting = Q(asked_at__gt=wall_now - ASK_AGAIN_AFTER, asked_at__lte=wall_now)
    unasked = list(due.exclude(waiting).values_list("pk", flat=True))
    if not unasked:
        return
    free = ParentOrder.objects.filter(pk__in=free_parents(unasked))
    if free.exclude(waiting).update(asked_at=wall_now):  # another clock may have asked meanwhile
        enqueue(TASK, account.pk)
