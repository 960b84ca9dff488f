"""Which model a strategy is handed: the active one of this moment, or one that was pinned before."""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from signals.errors import ModelMissingError
from signals.models import ModelVersion
from signals.registry import LoadedModel, active_model, load, model_version
from signals.strategies.base import CompositeStrategy, ModelStrategy, ScoringModel, SignalStrategy
from signals.strategies.registry import get_strategy

ModelSource = Callable[[str], ScoringModel]
"""From a strategy's name to the model it is to score with; raises a `SignalError` where there is none."""
KEPT_MODELS = 8


def ready(strategy: SignalStrategy, models: ModelSource) -> SignalStrategy:
    """Return the strategy with its model, or with its members and theirs, handed in.

    :raises SignalError: a model is missing or cannot be used
    """
    if isinstance(strategy, ModelStrategy):
        return strategy if strategy.model is not None else strategy.with_model(models(strategy.name))
    if isinstance(strategy, CompositeStrategy) and not strategy.members:
        return strategy.with_members([ready(get_strategy(name), models) for name in strategy.member_names])
    return strategy


def models_wanted(strategy: SignalStrategy) -> tuple[str, ...]:
    """Return the strategies whose models this one scores with: its own name, its members' names, or none."""
    if isinstance(strategy, ModelStrategy):
        return (strategy.name,)
    if isinstance(strategy, CompositeStrategy):
        wanted = [name for member in strategy.member_names for name in models_wanted(get_strategy(member))]
        return tuple(dict.fromkeys(wanted))
    return ()


def models_used(strategy: SignalStrategy) -> dict[str, int]:
    """Return the version of each model that a ready strategy scores with, by the strategy it belongs to."""
    if isinstance(strategy, ModelStrategy) and strategy.model is not None:
        return {strategy.name: strategy.model.version_id}
    if isinstance(strategy, CompositeStrategy):
        return {name: version for member in strategy.members for name, version in models_used(member).items()}
    return {}


def active_pins(strategies: Iterable[str]) -> dict[str, int]:
    """Return the versions that these strategies' models have now, so that whoever begins now also ends with them.

    :raises SignalError: a model is missing or cannot be used
    """
    wanted = dict.fromkeys(name for strategy in strategies for name in models_wanted(get_strategy(strategy)))
    return {name: active_model(name).version_id for name in wanted}


def pinned(pins: Mapping[str, int]) -> ModelSource:
    """Return a source of the pinned versions and no others, whatever is active meanwhile."""

    def model(name: str) -> LoadedModel:
        if name not in pins:
            raise ModelMissingError(name)
        version = model_version(pins[name])
        return _kept(version.pk, version.signature)

    return model


@lru_cache(maxsize=KEPT_MODELS)
def _kept(version_id: int, signature: str) -> LoadedModel:
    """Return a version's model, verified when it was loaded first; the signature tells a version from its like."""
    return load(ModelVersion.objects.get(pk=version_id, signature=signature))
