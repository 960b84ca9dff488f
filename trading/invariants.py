"""I7: each run is done once in effect, or everybody can see that it was not.

The other invariants are those of the book: `execution.invariants`.
"""

from datetime import datetime, timedelta

from django.db.models import Count, QuerySet

from execution.invariants.violation import MOST, Violation
from execution.models import Account, Order
from execution.states import OrderStatus
from trading.models import Run
from trading.states import RunState, StepName, StepState

I7 = "I7"
ABANDONED_AFTER = timedelta(minutes=2)
"""Wall time after the end of a lease within which somebody should have gone on."""
WORKED_ON = (RunState.PENDING, RunState.RUNNING)


def check_runs(account: Account, *, wall_now: datetime) -> list[Violation]:
    """Find runs that say completed and are not, that have ordered twice, or that nobody works on any more."""
    runs = Run.objects.filter(account=account).order_by("pk")
    return [*_half_done(runs), *_ordered_twice(account), *_abandoned(runs, wall_now)]


def _half_done(runs: QuerySet[Run]) -> list[Violation]:
    found = []
    for run in runs.filter(state=RunState.COMPLETED).prefetch_related("steps").iterator(chunk_size=500):
        done = {step.name for step in run.steps.all() if step.state == StepState.COMPLETED}
        missing = [str(name) for name in StepName if name not in done]
        if missing:
            found.append(Violation(I7, f"run {run.pk}", f"is completed without {', '.join(missing)}"))
        if len(found) == MOST:
            break
    return found


def _ordered_twice(account: Account) -> list[Violation]:
    """Find runs with two orders of one name that were not refused: a run wants one at most."""
    wanted = Order.objects.filter(account=account, source_ref__startswith="run:").exclude(status=OrderStatus.DENIED)
    twice = wanted.values("source_ref", "instrument__symbol").annotate(times=Count("pk")).filter(times__gt=1)
    return [
        Violation(I7, row["source_ref"].replace(":", " "), f"has {row['times']} orders of {row['instrument__symbol']}")
        for row in twice.order_by("source_ref", "instrument__symbol")[:MOST]
    ]


def _abandoned(runs: QuerySet[Run], wall_now: datetime) -> list[Violation]:
    left = runs.filter(state__in=WORKED_ON, claimed_until__lt=wall_now - ABANDONED_AFTER)
    return [
        Violation(I7, f"run {pk}", f"is {state}, and nobody has worked on it since {until:%Y-%m-%d %H:%M:%S} UTC")
        for pk, state, until in left.values_list("pk", "state", "claimed_until")[:MOST]
    ]
