"""The life of a model version, as data."""

from django.db.models import F, TextChoices, Value
from django.db.models.functions import Concat
from django.db.models.lookups import Regex


class ModelStatus(TextChoices):
    """Where a version stands; one of a strategy is active at a time."""

    CANDIDATE = "candidate", "candidate"
    SHADOW = "shadow", "shadow (scores, does not trade)"
    ACTIVE = "active", "active"
    RETIRED = "retired", "retired"


class ModelAct(TextChoices):
    """What was done to a version; the status alone does not say why one is retired."""

    REGISTERED = "registered", "registered"
    SHADOWED = "shadowed", "set to score in the shadow"
    ACTIVATED = "activated", "activated"
    SUPERSEDED = "superseded", "succeeded by another version"
    ROLLED_BACK = "rolled_back", "rolled back"
    RESTORED = "restored", "active again after a roll-back"
    RETIRED = "retired", "retired"


class ApprovalState(TextChoices):
    """Of a request to activate; that its time is over is no state: it is read from the clock."""

    PENDING = "pending", "waiting for another person"
    APPROVED = "approved", "approved"
    REJECTED = "rejected", "rejected"


MODEL_TRANSITIONS: dict[str, frozenset[ModelStatus]] = {
    "": frozenset({ModelStatus.CANDIDATE}),
    ModelStatus.CANDIDATE: frozenset({ModelStatus.SHADOW, ModelStatus.ACTIVE, ModelStatus.RETIRED}),
    ModelStatus.SHADOW: frozenset({ModelStatus.ACTIVE, ModelStatus.RETIRED}),
    ModelStatus.ACTIVE: frozenset({ModelStatus.RETIRED}),
    ModelStatus.RETIRED: frozenset({ModelStatus.SHADOW, ModelStatus.ACTIVE}),
}


def allowed_model_step() -> Regex:
    """Build the CHECK of the event table from the transition table: `before>after` is a line of it."""
    steps = "|".join(
        f"{before!s}>({'|'.join(sorted(str(after) for after in followers))})"
        for before, followers in MODEL_TRANSITIONS.items()
    )
    return Regex(Concat(F("from_status"), Value(">"), F("to_status")), f"^({steps})$")
