"""Register what was trained, and look at what is registered."""

import hashlib
from datetime import datetime

from django.db import connection, transaction
from django.db.models import QuerySet

from signals.models import ModelEvent, ModelVersion
from signals.registry.artefacts import write
from signals.registry.errors import UnknownModelError
from signals.registry.loading import load
from signals.registry.signing import canonical, signature_of
from signals.states import ModelAct, ModelStatus
from signals.training.result import TrainedModel


@transaction.atomic
def store(*, strategy: str, trained: TrainedModel, created_by: str, now: datetime) -> ModelVersion:
    """Sign a trained model, write its file and register it as candidate; the same training again is the same version.

    It is loaded and asked its golden rows before this returns, so what is registered can be used. Locks: the strategy's
    versions.
    :raises ArtefactError: the file cannot be written or read back
    :raises SigningKeyError: there is no key to sign with
    """
    lock_strategy(strategy)
    identity = identity_of(trained)
    same = ModelVersion.objects.filter(strategy=strategy, identity=identity).first()
    if same is not None:
        return same
    version = _unsaved(strategy, trained, identity, created_by, now)
    version.signature = signature_of(version, trained.text)
    write(version, trained.text)
    load(version)
    version.save(force_insert=True)
    ModelEvent.objects.create(
        version=version,
        act=ModelAct.REGISTERED,
        to_status=ModelStatus.CANDIDATE,
        operator=created_by,
        reason=f"trained on {len(trained.symbols)} symbols, {trained.first_date} to {trained.last_date}",
        at=now,
    )
    return version


def lock_strategy(strategy: str) -> None:
    """Hold all changes of a strategy's versions until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('models:' || %s, 0))", [strategy])


def identity_of(trained: TrainedModel) -> str:
    """Return the digest of all that decides a model; what came out of the training is in it as well."""
    return hashlib.sha256(
        canonical(
            {
                "text": hashlib.sha256(trained.text).hexdigest(),
                "features": list(trained.features),
                "feature_version": trained.feature_version,
                "code_version": trained.code_version,
                "data_hash": trained.data_hash,
                "parameters": trained.parameters,
                "seed": trained.seed,
                "splits": trained.splits,
            }
        )
    ).hexdigest()


def model_version(version_id: int) -> ModelVersion:
    """Return one version.

    :raises UnknownModelError: there is none of that id
    """
    version = ModelVersion.objects.filter(pk=version_id).first()
    if version is None:
        raise UnknownModelError(f"there is no model {version_id}")
    return version


def model_versions(*, strategy: str | None = None, status: str | None = None) -> QuerySet[ModelVersion]:
    """Return versions, newest first within each strategy, without the heavy columns."""
    rows = ModelVersion.objects.defer("golden", "importance").order_by("strategy", "-number")
    if strategy is not None:
        rows = rows.filter(strategy=strategy)
    if status is not None:
        rows = rows.filter(status=status)
    return rows


def _unsaved(strategy: str, trained: TrainedModel, identity: str, created_by: str, now: datetime) -> ModelVersion:
    newest = ModelVersion.objects.filter(strategy=strategy).order_by("-number").values_list("number", flat=True).first()
    return ModelVersion(
        strategy=strategy,
        number=(newest or 0) + 1,
        sha256=hashlib.sha256(trained.text).hexdigest(),
        size_bytes=len(trained.text),
        identity=identity,
        features=list(trained.features),
        feature_version=trained.feature_version,
        code_version=trained.code_version,
        data_hash=trained.data_hash,
        symbols=list(trained.symbols),
        first_date=trained.first_date,
        last_date=trained.last_date,
        splits=trained.splits,
        parameters=trained.parameters,
        seed=trained.seed,
        rounds=trained.best_iteration,
        metrics=trained.metrics,
        importance=trained.importance,
        golden=trained.golden,
        created_by=created_by,
        created_at=now,
    )
