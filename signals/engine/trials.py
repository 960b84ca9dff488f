"""The trials of a parameter search, as many at once as a batch has."""

from signals.backtest.search import Evaluate, Objective, Parameters
from signals.engine.base import Engine
from signals.progress import Progress


def trials_on(engine: Engine) -> Evaluate | None:
    """Return what judges sets of parameters on the engine; None where one process judges one after the other anyway."""
    if engine.workers <= 1:
        return None

    def evaluate(objective: Objective, chosen: list[Parameters], progress: Progress) -> list[float | None]:
        return engine.map(_value, chosen, shared=objective, progress=progress, what=f"{len(chosen)} trials")

    return evaluate


def _value(objective: Objective, chosen: Parameters) -> float | None:
    return objective(chosen)
