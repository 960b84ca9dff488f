"""Have the worker ask versions in the shadow, and settle what they would have brought."""

from datetime import date, datetime

from execution.models import Account
from marketdata import calendar
from signals.models import ModelVersion, ShadowSet
from signals.services.shadows import unscored
from signals.states import ModelStatus
from trading.models import Run
from trading.services.runs import DAILY
from trading.states import RunState
from trading.tasks import enqueue


def ask_for_shadows(account: Account, wall_now: datetime) -> int:
    """Put what is due for the shadows into the worker's queue; return how many tasks. Two queries while there are none.

    A version is due once the run of the session has decided, or was skipped; a result once the session has closed.
    """
    day = calendar.trading_date(account.feed.market_now(wall_now))
    as_of = calendar.previous_session(day)
    asked = 0
    for strategy in _decided_strategies(account, day):
        for version_id in unscored(strategy, as_of):
            enqueue("score_version", account.pk, version_id, day.isoformat())
            asked += 1
    waiting = ShadowSet.objects.filter(failure="", session__lte=as_of, result__isnull=True)
    for strategy in waiting.order_by("strategy").values_list("strategy", flat=True).distinct():
        enqueue("settle_shadow_results", account.pk, strategy, as_of.isoformat())
        asked += 1
    return asked


def _decided_strategies(account: Account, day: date) -> list[str]:
    shadowed = ModelVersion.objects.filter(status=ModelStatus.SHADOW).values_list("strategy", flat=True).distinct()
    names = list(shadowed.order_by("strategy"))
    if not names:
        return []
    runs = Run.objects.filter(account=account, trading_date=day, kind=DAILY, strategy__name__in=names)
    under_way = (RunState.PENDING, RunState.RUNNING)
    return list(runs.exclude(state__in=under_way).order_by("strategy__name").values_list("strategy__name", flat=True))
