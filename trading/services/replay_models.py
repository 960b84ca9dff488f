"""Which models a replay trades with: versions trained on its past, or stored ones that know nothing of its range."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import structlog

from marketdata import calendar
from signals.datasets import DatasetError
from signals.models import ModelVersion
from signals.progress import Progress
from signals.registry import model_version
from signals.services.model_sources import models_wanted
from signals.services.replay_models import trained_for_replay
from signals.strategies.registry import get_strategy
from signals.training.errors import TrainingError
from trading.errors import ReplayParameterError
from trading.types import ModelPin, ReplayParameters

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """From which sessions and seed a replay's models are made; `chosen` are stored versions to use instead."""

    first: date
    last: date
    seed: int
    chosen: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """Parameters with their models, the versions, and which strategies were left out and why."""

    parameters: ReplayParameters
    versions: dict[str, ModelVersion]
    left_out: dict[str, str]


def prepare_models(
    *,
    parameters: ReplayParameters,
    training: Training,
    required: bool,
    wall_now: datetime,
    on_progress: Callable[[str], Progress] | None = None,
) -> Prepared:
    """Return the parameters with a model for each strategy that scores with one.

    A strategy whose model cannot be trained is left out with the reason, or refused when it was `required` by name.
    :raises ReplayParameterError: a chosen version does not fit, or a required strategy has no model
    :raises SignalError: a model cannot be stored
    """
    wanted = dict.fromkeys(model for name in parameters.strategies for model in models_wanted(get_strategy(name)))
    versions = _chosen(training.chosen, parameters, list(wanted))
    reasons: dict[str, str] = {}
    for name in wanted:
        if name in versions:
            continue
        try:
            progress = None if on_progress is None else on_progress(name)
            versions[name] = _trained(name, parameters, training, wall_now, progress)
        except (DatasetError, TrainingError) as unsuited:
            reasons[name] = str(unsuited)
    left_out = {
        name: "; ".join(f"no model of {model}: {reasons[model]}" for model in models_wanted(get_strategy(name)))
        for name in parameters.strategies
        if set(models_wanted(get_strategy(name))) & set(reasons)
    }
    able = tuple(name for name in parameters.strategies if name not in left_out)
    if left_out and (required or not able):
        name, reason = next(iter(left_out.items()))
        raise ReplayParameterError(f"--strategy: got {name}, allowed: strategies whose model can be trained ({reason})")
    pins = {name: ModelPin(version.pk, version.sha256) for name, version in versions.items()}
    return Prepared(replace(parameters, strategies=able, models=pins), versions, left_out)


def _chosen(ids: Sequence[int], parameters: ReplayParameters, wanted: Sequence[str]) -> dict[str, ModelVersion]:
    versions: dict[str, ModelVersion] = {}
    for version in (model_version(version_id) for version_id in ids):
        if version.strategy not in wanted or version.strategy in versions:
            allowed = ", ".join(wanted) or "no model: none of the strategies scores with one"
            raise ReplayParameterError(f"--model: got {version.pk} ({version}), allowed: one of each of {allowed}")
        if version.last_date >= parameters.start:
            raise ReplayParameterError(
                f"--model: got {version.pk}, which has seen data up to {version.last_date},"
                f" allowed: a model that ends before --from {parameters.start}"
            )
        versions[version.strategy] = version
    return versions


def _trained(
    name: str, parameters: ReplayParameters, training: Training, wall_now: datetime, on_progress: Progress | None
) -> ModelVersion:
    """Train on nothing that is known only after the session before the replay's first."""
    last = min(training.last, calendar.previous_session(parameters.start))
    if last < training.first:
        raise DatasetError(f"training from {training.first}: the replay begins on {parameters.start}")
    version = trained_for_replay(
        strategy=name,
        symbols=parameters.symbols,
        first=training.first,
        last=last,
        seed=training.seed,
        now=wall_now,
        on_progress=on_progress,
    )
    log.info("replay_model", strategy=name, version_id=version.pk, sha256=version.sha256)
    return version
