"""Small models, trained once for all tests of a process, and registered."""

from datetime import UTC, datetime
from functools import cache

from signals.models import ModelVersion
from signals.registry import store
from signals.training import TrainedModel
from tests.signals.panels import trained

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
REASON = "rank IC above the active one's on the test split"

small = cache(trained)


def tiny(seed: int = 7) -> TrainedModel:
    """Return a model of a few hundred bytes of trees."""
    return small(seed=seed, rounds=2)


def stored(strategy: str = "alpha_baseline", *, seed: int = 7, now: datetime = NOW) -> ModelVersion:
    """Return a registered candidate; another seed is another model."""
    return store(strategy=strategy, trained=tiny(seed), created_by="maker", now=now)
