"""States of the breaker, of a release request and of a decision, and what may follow."""

from django.db.models import TextChoices


class BreakerState(TextChoices):
    """`open` trades; `tripped` and `quiet_period` let only reducing orders pass."""

    OPEN = "open", "open (trading)"
    TRIPPED = "tripped", "tripped"
    QUIET_PERIOD = "quiet_period", "quiet period after a reset"


# Rows that may follow a row; a trip is how one gets out of every state but tripped itself. That a quiet period is over
# is no row: it is read from the clock. Without any row the breaker counts as tripped, so it can be reset.
BREAKER_TRANSITIONS: dict[BreakerState | None, frozenset[BreakerState]] = {
    None: frozenset({BreakerState.OPEN, BreakerState.TRIPPED, BreakerState.QUIET_PERIOD}),
    BreakerState.OPEN: frozenset({BreakerState.TRIPPED}),
    BreakerState.TRIPPED: frozenset({BreakerState.QUIET_PERIOD}),
    BreakerState.QUIET_PERIOD: frozenset({BreakerState.TRIPPED}),
}


class ReleaseState(TextChoices):
    PENDING = "pending", "waiting for another operator"
    APPROVED = "approved", "approved"
    REJECTED = "rejected", "rejected"
    EXPIRED = "expired", "expired"


class OverrideState(TextChoices):
    """Of a limit's override; that one is over its time is no state: it is read from the clock."""

    REQUESTED = "requested", "waiting for another person"
    APPROVED = "approved", "approved"
    REJECTED = "rejected", "rejected"
    REVOKED = "revoked", "taken back"


class DecisionOutcome(TextChoices):
    ACCEPTED = "accepted", "accepted"
    DENIED = "denied", "denied"


class SwitchLevel(TextChoices):
    """How much a scope may trade; each level stops more than the one before."""

    ACTIVE = "active", "active (trading)"
    REDUCING = "reducing", "reduce only"
    HALTED = "halted", "halted"
    FLATTENING = "flattening", "halted, closing positions"


class AlertSeverity(TextChoices):
    CRITICAL = "critical", "critical"
    WARNING = "warning", "warning"
    INFO = "info", "for information"


class AlertState(TextChoices):
    OPEN = "open", "open"
    ACKNOWLEDGED = "acknowledged", "seen by an operator"
    RESOLVED = "resolved", "over"
