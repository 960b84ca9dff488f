"""The life of an order that is worked in slices, as data; the database is built from the same tables."""

from collections.abc import Iterable

from django.db.models import F, TextChoices, Value
from django.db.models.functions import Concat
from django.db.models.lookups import Regex


class Algo(TextChoices):
    """How the quantity is spread over the window."""

    TWAP = "twap", "TWAP (evenly over time)"
    VWAP = "vwap", "VWAP (along the day's volume)"


class ParentStatus(TextChoices):
    """Where a parent order stands."""

    ACTIVE = "active", "active"
    PAUSED = "paused", "paused"
    CANCELING = "canceling", "cancel requested"
    EXPIRING = "expiring", "window over, last orders are canceled"
    COMPLETED = "completed", "completed"
    CANCELED = "canceled", "canceled"
    EXPIRED = "expired", "expired"
    FAILED = "failed", "failed"


class SliceStatus(TextChoices):
    """Where a slice stands."""

    PLANNED = "planned", "planned"
    CLAIMED = "claimed", "claimed (being sent)"
    SENT = "sent", "sent"
    DONE = "done", "done"
    RETURNED = "returned", "returned (its rest went back to the plan)"
    SKIPPED = "skipped", "skipped"


class ParentStep(TextChoices):
    """What an event of a parent order tells."""

    CREATED = "created", "created"
    SENT = "sent", "slice sent"
    RETURNED = "returned", "slice returned its rest"
    PLANNED = "planned", "the rest was planned anew"
    PAUSED = "paused", "paused"
    RESUMED = "resumed", "resumed"
    CANCEL_ASKED = "cancel_asked", "cancel requested"
    ENDED = "ended", "ended"


P = ParentStatus

PARENT_TRANSITIONS: dict[ParentStatus, frozenset[ParentStatus]] = {
    P.ACTIVE: frozenset({P.ACTIVE, P.PAUSED, P.CANCELING, P.EXPIRING, P.COMPLETED, P.FAILED}),
    P.PAUSED: frozenset({P.PAUSED, P.ACTIVE, P.CANCELING, P.EXPIRING, P.COMPLETED, P.FAILED}),
    # What is being canceled may still fill to the last share.
    P.CANCELING: frozenset({P.CANCELING, P.CANCELED, P.COMPLETED}),
    P.EXPIRING: frozenset({P.EXPIRING, P.CANCELING, P.EXPIRED, P.COMPLETED}),
    P.COMPLETED: frozenset(),
    P.CANCELED: frozenset(),
    P.EXPIRED: frozenset(),
    P.FAILED: frozenset(),
}
PARENT_OVER: frozenset[ParentStatus] = frozenset({P.COMPLETED, P.CANCELED, P.EXPIRED, P.FAILED})
PARENT_LIVE: frozenset[ParentStatus] = frozenset(ParentStatus) - PARENT_OVER
# Nothing of it was bought or sold and nothing will be: the same wish may be tried again.
PARENT_RETRYABLE: frozenset[ParentStatus] = frozenset({P.CANCELED, P.EXPIRED, P.FAILED})


def may_become(before: ParentStatus, after: ParentStatus) -> bool:
    """Tell whether the table allows the step."""
    return after in PARENT_TRANSITIONS[before]


def parent_step_allowed() -> Regex:
    """Build the CHECK of the event table: `before>after` is a line of the table, the first begins with nothing."""
    lines = {"": frozenset({P.ACTIVE})} | {before.value: after for before, after in PARENT_TRANSITIONS.items() if after}
    steps = "|".join(f"{before}>({_any_of(after)})" for before, after in lines.items())
    return Regex(Concat(F("from_status"), Value(">"), F("to_status")), f"^({steps})$")


def _any_of(statuses: Iterable[ParentStatus]) -> str:
    return "|".join(sorted(statuses))
