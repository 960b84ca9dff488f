"""How long the history of jobs is kept."""

from datetime import datetime, timedelta

from trading.models import Job
from trading.states import JOB_OVER

KEPT_FOR = timedelta(days=90)
MOST_KEPT = 5_000
AT_ONCE = 1_000


def forget_old(*, now: datetime) -> int:
    """Delete jobs that ended more than 90 days ago, and all but the newest 5,000; at most 1,000 in one call.

    What they made (backtests, models, bars) stays where it is.
    """
    over = Job.objects.filter(state__in=sorted(JOB_OVER))
    oldest_kept = over.order_by("-pk").values_list("pk", flat=True)[MOST_KEPT - 1 : MOST_KEPT].first()
    old = set(over.filter(finished_at__lt=now - KEPT_FOR).order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
    if oldest_kept is not None:
        old |= set(over.filter(pk__lt=oldest_kept).order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
    deleted, _ = Job.objects.filter(pk__in=sorted(old)[:AT_ONCE]).delete()
    return deleted
