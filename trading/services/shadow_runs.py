"""Versions in the shadow are asked what the run was asked, after it and apart from it."""

from datetime import date, datetime

from execution.models import Account, Strategy
from marketdata import calendar
from signals.models import ModelVersion, ShadowSet
from signals.services.shadows import Decided, score_shadow, settle_shadows, unsettled
from trading.models import Run
from trading.services.runs import DAILY
from trading.services.steps import desk_sizing, fresh_symbols
from trading.states import StepName, StepState
from trading.types import Sizing

REMEMBERED_RUNS = 60
"""Sessions back in which the active version's decisions are looked for, to be compared with its shadows."""


def score_version(*, account: Account, version_id: int, day: date, wall_now: datetime) -> ShadowSet:
    """Ask one version in the shadow what the run of its strategy was asked for a session.

    :raises ShadowFailedError: it could not be scored; stored, and nothing of the run knows of it
    :raises StaleDataError: there was no run, and too few symbols have a bar
    """
    strategy = Strategy.objects.get(name=ModelVersion.objects.values_list("strategy", flat=True).get(pk=version_id))
    run = Run.objects.filter(account=account, strategy=strategy, trading_date=day, kind=DAILY).first()
    as_of = calendar.previous_session(day)
    sizing = Sizing.from_json(run.sizing) if run is not None and run.sizing else desk_sizing(account, strategy)
    return score_shadow(
        version_id=version_id,
        symbols=_symbols_of(run) or fresh_symbols(sizing.symbols, as_of).fresh_symbols,
        as_of=as_of,
        session=day,
        capital=sizing.capital,
        wall_now=wall_now,
    )


def _symbols_of(run: Run | None) -> list[str]:
    """Return the symbols the run found fresh; none where it did not come so far."""
    step = None if run is None else run.steps.filter(name=StepName.FRESHNESS, state=StepState.COMPLETED).first()
    return [] if step is None else list(step.output["fresh"])


def settle_results(*, account: Account, strategy: str, until: date, wall_now: datetime) -> int:
    """Store what the shadows' weights, and the active version's, brought in the sessions up to `until`."""
    if not unsettled(strategy, until):
        return 0
    runs = Run.objects.filter(
        account=account,
        strategy__name=strategy,
        kind=DAILY,
        trading_date__lte=until,
        signal_set__model_version__isnull=False,
    ).select_related("signal_set")
    decided = {
        run.trading_date: Decided(
            session=run.trading_date,
            as_of=run.as_of_date,
            signal_set=run.signal_set.pk,
            version=run.signal_set.model_version_id,
            capital=Sizing.from_json(run.sizing).capital,
        )
        for run in runs.order_by("-trading_date")[:REMEMBERED_RUNS]
        if run.signal_set is not None and run.signal_set.model_version_id is not None
    }
    return settle_shadows(strategy=strategy, until=until, decided=decided, wall_now=wall_now)
