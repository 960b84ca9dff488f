"""A training as the process `jobs` carries it out."""

from typing import Any

from marketdata.clock import wall_now
from signals.engine import configured, engine_for
from signals.progress import Progress
from signals.training.pipeline import TrainingRequest, train_strategy

MAKER = "job"
"""Who made it, in the registry; who asked for it stands on the job, whose result names the version."""


def check_training(given: dict[str, Any]) -> dict[str, Any]:
    """Read what is to be trained.

    :raises BadParameter: a parameter that is missing, unknown or out of bounds
    """
    return TrainingRequest.read(given).as_json()


def run_training(parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Train and register; begun again it registers nothing twice, because the same training is the same version."""
    request = TrainingRequest.read(parameters)
    with engine_for(configured()) as engine:
        version = train_strategy(request, created_by=MAKER, now=wall_now(), on_progress=progress, engine=engine)
    test = version.metrics.get("test", {})
    return {
        "id": version.pk,
        "strategy": version.strategy,
        "number": version.number,
        "sha256": version.sha256,
        "rounds": version.rounds,
        "test_rank_ic": test.get("rank_ic", {}).get("mean"),
        "test_sharpe": test.get("top_minus_bottom", {}).get("sharpe"),
    }
