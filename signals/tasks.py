"""Long work of this app as the process `jobs` carries it out."""

from typing import Any

from marketdata.clock import wall_now
from signals.engine import configured, engine_for
from signals.engine.trials import trials_on
from signals.engine.windows import windows_on
from signals.models import Backtest
from signals.parameters import BadParameter, Parameters
from signals.progress import Progress
from signals.registry import active_model
from signals.services.backtests import perform_backtest

MOST_ID = 2**62


def check_backtest(given: dict[str, Any]) -> dict[str, Any]:
    """Read which planned backtest is to be computed: `{"backtest": id}`.

    :raises BadParameter: there is none, or it is completed
    """
    read = Parameters(given)
    number = read.whole("backtest", least=1, most=MOST_ID)
    read.finish()
    row = Backtest.objects.filter(pk=number).first()
    if row is None or row.is_over:
        raise BadParameter("backtest", number, "the id of a backtest that was asked for and is not over")
    return {"backtest": number}


def run_backtest(parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Compute a planned backtest; begun again it replaces what was there."""
    row = Backtest.objects.get(pk=parameters["backtest"])
    with engine_for(configured()) as engine:
        done = perform_backtest(
            backtest=row,
            models=active_model,
            clock=wall_now,
            progress=progress,
            run=windows_on(engine),
            evaluate=trials_on(engine),
        )
    metrics = done.metrics or {}
    return {"id": done.pk, "sharpe": metrics.get("sharpe"), "total_return": metrics.get("total_return")}
