"""Move a version through its life: shadow, active, retired, and back; each step with a person and a reason."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import OuterRef, Subquery

from signals.models import ModelApproval, ModelEvent, ModelVersion
from signals.models.registry import LONGEST_REASON, SHORTEST_REASON
from signals.news import models_changed
from signals.registry.errors import (
    ApprovalNotPendingError,
    ApprovalRequiredError,
    ModelReasonError,
    ModelStepError,
    NoActiveModelError,
)
from signals.registry.loading import load
from signals.registry.versions import lock_strategy, model_version
from signals.states import MODEL_TRANSITIONS, ApprovalState, ModelAct, ModelStatus

REQUEST_LIFETIME = timedelta(hours=24)
"""A model is looked at with more leisure than a release of the kill switch."""


@dataclass(frozen=True, slots=True)
class _Word:
    """Who wants a step, why and when (wall time)."""

    operator: str
    reason: str
    at: datetime
    second_operator: str = ""


@transaction.atomic
def activate(version_id: int, *, actor: str, reason: str, now: datetime, second: str = "") -> ModelVersion:
    """Let a version trade, in place of the active one, which is retired. Locks: the strategy's versions.

    It is loaded first, so what cannot be verified never becomes active.
    :raises ApprovalRequiredError: two people are needed and no other one than `actor` is named
    :raises ArtefactError: the file is missing, altered or unsigned
    :raises UnknownModelError, ModelStepError, ModelReasonError: nothing changes
    """
    text = require_reason(reason)
    if needs_two_people() and (not second or second == actor):
        raise ApprovalRequiredError(f"activating model {version_id} needs two different people: got {actor!r} alone")
    version = _locked(version_id)
    _require_step(version, ModelStatus.ACTIVE)
    load(version)
    current = _active(version.strategy)
    word = _Word(actor, text, now, second)
    if current is not None:
        _move(current, ModelStatus.RETIRED, ModelAct.SUPERSEDED, word)
    _move(version, ModelStatus.ACTIVE, ModelAct.ACTIVATED, word)
    return version


@transaction.atomic
def shadow(version_id: int, *, actor: str, reason: str, now: datetime) -> ModelVersion:
    """Let a version score every run without trading. Locks: the strategy's versions.

    :raises ArtefactError: the file is missing, altered or unsigned
    :raises UnknownModelError, ModelStepError, ModelReasonError: nothing changes
    """
    text = require_reason(reason)
    version = _locked(version_id)
    _require_step(version, ModelStatus.SHADOW)
    load(version)
    _move(version, ModelStatus.SHADOW, ModelAct.SHADOWED, _Word(actor, text, now))
    return version


@transaction.atomic
def retire(version_id: int, *, actor: str, reason: str, now: datetime) -> ModelVersion:
    """Take a version out of use; an active one leaves its strategy without a model. Locks: the strategy's versions.

    :raises UnknownModelError, ModelStepError, ModelReasonError: nothing changes
    """
    text = require_reason(reason)
    version = _locked(version_id)
    _require_step(version, ModelStatus.RETIRED)
    _move(version, ModelStatus.RETIRED, ModelAct.RETIRED, _Word(actor, text, now))
    return version


@transaction.atomic
def rollback(strategy: str, *, actor: str, reason: str, now: datetime) -> ModelVersion:
    """Take back the newest activation: the version that was active before is so again. Locks: the strategy's versions.

    One person is enough: what comes back was approved when it was activated, and a bad model must go quickly. A
    version that was rolled back itself is passed over.
    :raises NoActiveModelError: nothing is active, or nothing was before
    :raises ArtefactError: the file of the earlier version cannot be used; the active one stays
    """
    text = require_reason(reason)
    lock_strategy(strategy)
    current = _active(strategy)
    if current is None:
        raise NoActiveModelError(f"{strategy} has no active model that could be rolled back")
    earlier = before(current)
    if earlier is None:
        raise NoActiveModelError(f"{strategy}: no other version was active before {current.number}")
    load(earlier)
    word = _Word(actor, text, now)
    _move(current, ModelStatus.RETIRED, ModelAct.ROLLED_BACK, word)
    _move(earlier, ModelStatus.ACTIVE, ModelAct.RESTORED, word)
    return earlier


def before(current: ModelVersion) -> ModelVersion | None:
    """Return the version a roll-back of the active one leads to: the newest that was only ever succeeded. One query."""
    newest = ModelEvent.objects.filter(version=OuterRef("pk")).order_by("-id")
    retired = ModelVersion.objects.filter(strategy=current.strategy, status=ModelStatus.RETIRED)
    succeeded = retired.annotate(
        newest_act=Subquery(newest.values("act")[:1]), newest_event=Subquery(newest.values("pk")[:1])
    ).filter(newest_act=ModelAct.SUPERSEDED)
    return succeeded.order_by("-newest_event").first()


def needs_two_people() -> bool:
    """Say whether an activation takes a second person (`MODEL_APPROVALS`)."""
    return int(settings.MODEL_APPROVALS) > 1


def require_reason(reason: str) -> str:
    """Return the reason without outer blanks.

    :raises ModelReasonError: shorter than 10 or longer than 500 characters
    """
    text = reason.strip()
    if SHORTEST_REASON <= len(text) <= LONGEST_REASON:
        return text
    raise ModelReasonError(f"reason: {len(text)} characters given, {SHORTEST_REASON} to {LONGEST_REASON} are needed")


@transaction.atomic
def request_activation(version_id: int, *, actor: str, reason: str, now: datetime) -> ModelApproval:
    """Ask for an activation that another person has to approve within a day; asking again returns the request.

    :raises ArtefactError: the file is missing, altered or unsigned
    :raises UnknownModelError, ModelStepError, ModelReasonError: nothing is stored
    """
    text = require_reason(reason)
    version = _locked(version_id)
    _require_step(version, ModelStatus.ACTIVE)
    load(version)
    waiting = version.approvals.filter(state=ApprovalState.PENDING, expires_at__gt=now).first()
    return waiting or ModelApproval.objects.create(
        version=version, requested_by=actor, reason=text, requested_at=now, expires_at=now + REQUEST_LIFETIME
    )


@transaction.atomic
def approve_activation(approval_id: int, *, actor: str, now: datetime) -> ModelVersion:
    """Activate what another person asked for. Locks: the strategy's versions.

    :raises ApprovalRequiredError: it is the person's own request
    :raises ApprovalNotPendingError: there is none, it was decided before, or its time is over
    """
    approval = _pending(approval_id, now)
    if approval.requested_by == actor:
        raise ApprovalRequiredError(f"request {approval.pk} was made by {actor}: another person has to approve it")
    version = activate(approval.version_id, actor=approval.requested_by, second=actor, reason=approval.reason, now=now)
    _decide(approval, ApprovalState.APPROVED, actor, now)
    return version


@transaction.atomic
def reject_activation(approval_id: int, *, actor: str, now: datetime) -> ModelApproval:
    """Turn a request down; who asked may take it back so as well. Locks: the strategy's versions.

    :raises ApprovalNotPendingError: there is none, it was decided before, or its time is over
    """
    approval = _pending(approval_id, now)
    _decide(approval, ApprovalState.REJECTED, actor, now)
    return approval


def _pending(approval_id: int, now: datetime) -> ModelApproval:
    found = ModelApproval.objects.select_related("version").filter(pk=approval_id).first()
    if found is None:
        raise ApprovalNotPendingError(f"there is no request {approval_id}")
    lock_strategy(found.version.strategy)
    found.refresh_from_db(fields=["state"])
    if found.state != ApprovalState.PENDING:
        raise ApprovalNotPendingError(f"request {approval_id} is {found.state} already")
    if found.expires_at <= now:
        raise ApprovalNotPendingError(
            f"request {approval_id}: its time was over at {found.expires_at:%Y-%m-%d %H:%M} UTC"
        )
    return found


def _decide(approval: ModelApproval, state: ApprovalState, actor: str, now: datetime) -> None:
    approval.state, approval.decided_by, approval.decided_at = state, actor, now
    approval.save(update_fields=["state", "decided_by", "decided_at"])


def _locked(version_id: int) -> ModelVersion:
    """Return the version as it stands once nobody else changes one of its strategy."""
    lock_strategy(model_version(version_id).strategy)
    return model_version(version_id)


def _active(strategy: str) -> ModelVersion | None:
    return ModelVersion.objects.filter(strategy=strategy, status=ModelStatus.ACTIVE).first()


def _require_step(version: ModelVersion, to_status: ModelStatus) -> None:
    allowed = MODEL_TRANSITIONS[version.status]
    if to_status not in allowed:
        following = ", ".join(sorted(str(status) for status in allowed))
        raise ModelStepError(f"{version} is {version.status}: allowed next are {following}; got {to_status}")


def _move(version: ModelVersion, to_status: ModelStatus, act: ModelAct, word: _Word) -> None:
    """Write the step and the status it leads to, in the caller's transaction."""
    ModelEvent.objects.create(
        version=version,
        act=act,
        from_status=version.status,
        to_status=to_status,
        operator=word.operator,
        second_operator=word.second_operator,
        reason=word.reason,
        at=word.at,
    )
    version.status = to_status
    version.save(update_fields=["status"])
    transaction.on_commit(partial(models_changed.send_robust, ModelVersion, version_id=version.pk))
