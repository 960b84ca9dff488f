"""The registry of models: signed files, one active version a strategy, used by every process within seconds."""

from signals.registry.activation import (
    activate,
    approve_activation,
    needs_two_people,
    reject_activation,
    request_activation,
    retire,
    rollback,
    shadow,
)
from signals.registry.errors import (
    ApprovalNotPendingError,
    ApprovalRequiredError,
    ArtefactError,
    ModelError,
    ModelReasonError,
    ModelStepError,
    NoActiveModelError,
    SigningKeyError,
    UnknownModelError,
)
from signals.registry.live import active_model, live_models, look_now
from signals.registry.loading import LoadedModel, load
from signals.registry.standing import standing
from signals.registry.versions import model_version, model_versions, store

__all__ = [
    "ApprovalNotPendingError",
    "ApprovalRequiredError",
    "ArtefactError",
    "LoadedModel",
    "ModelError",
    "ModelReasonError",
    "ModelStepError",
    "NoActiveModelError",
    "SigningKeyError",
    "UnknownModelError",
    "activate",
    "active_model",
    "approve_activation",
    "live_models",
    "load",
    "look_now",
    "model_version",
    "model_versions",
    "needs_two_people",
    "reject_activation",
    "request_activation",
    "retire",
    "rollback",
    "shadow",
    "standing",
    "store",
]
