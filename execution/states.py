"""The life of an order as data: statuses, what may follow what, and what the sets mean.

The transition table is the only place that says which status may follow which. `OrderEvent` builds its CHECK from it,
so the database refuses an illegal step as well.
"""

from collections.abc import Iterable

from django.db.models import F, TextChoices, Value
from django.db.models.functions import Concat
from django.db.models.lookups import Regex


class OrderStatus(TextChoices):
    """Where an order stands, in our words; a broker's words are mapped in its adapter."""

    PENDING = "pending", "pending (stored, not sent)"
    HELD = "held", "held (waits for its entry to fill)"
    DENIED = "denied", "denied (our risk)"
    SUBMITTED = "submitted", "submitted (sent, no answer yet)"
    ACCEPTED = "accepted", "accepted"
    PARTIALLY_FILLED = "partially_filled", "partially filled"
    FILLED = "filled", "filled"
    PENDING_CANCEL = "pending_cancel", "cancel requested"
    CANCELED = "canceled", "canceled"
    PENDING_REPLACE = "pending_replace", "replace requested"
    REPLACED = "replaced", "replaced"
    EXPIRED = "expired", "expired"
    REJECTED = "rejected", "rejected (broker)"
    DRY_RUN = "dry_run", "dry run (would have been sent)"


S = OrderStatus

_WORKING_ENDS = {S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED, S.REPLACED}

# A self-loop is a fact that moves numbers but not the status: another partial fill, or a fill that arrives late.
TRANSITIONS: dict[OrderStatus, frozenset[OrderStatus]] = {
    S.PENDING: frozenset({S.SUBMITTED, S.DENIED, S.CANCELED, S.EXPIRED, S.DRY_RUN, S.REPLACED}),
    # A leg goes to the broker with its entry and works there when the entry has filled; it falls with the entry.
    S.HELD: frozenset(
        {
            S.ACCEPTED,
            S.PARTIALLY_FILLED,
            S.FILLED,
            S.PENDING_CANCEL,
            S.CANCELED,
            S.EXPIRED,
            S.REJECTED,
            S.DENIED,
            S.DRY_RUN,
        }
    ),
    # Back to pending only when the broker has proved that it knows no such id: the order passes the second look again.
    S.SUBMITTED: frozenset({S.PENDING, S.ACCEPTED, S.PARTIALLY_FILLED, S.PENDING_CANCEL, *_WORKING_ENDS}),
    S.ACCEPTED: frozenset({S.PARTIALLY_FILLED, S.PENDING_CANCEL, S.PENDING_REPLACE, *_WORKING_ENDS}),
    S.PARTIALLY_FILLED: frozenset({S.PARTIALLY_FILLED, S.PENDING_CANCEL, S.PENDING_REPLACE, *_WORKING_ENDS}),
    S.PENDING_CANCEL: frozenset({S.PENDING_CANCEL, S.ACCEPTED, S.PARTIALLY_FILLED, *_WORKING_ENDS}),
    S.PENDING_REPLACE: frozenset({S.PENDING_REPLACE, S.ACCEPTED, S.PARTIALLY_FILLED, S.PENDING_CANCEL, *_WORKING_ENDS}),
    # Final for the intent, but the market may have been faster than the cancel: a late fill is a fact and is kept.
    S.CANCELED: frozenset({S.CANCELED, S.FILLED}),
    S.EXPIRED: frozenset({S.EXPIRED, S.FILLED}),
    S.REJECTED: frozenset({S.REJECTED, S.FILLED}),
    S.REPLACED: frozenset({S.REPLACED, S.FILLED}),
    S.FILLED: frozenset(),
    S.DENIED: frozenset(),
    S.DRY_RUN: frozenset(),
}

INITIAL: frozenset[OrderStatus] = frozenset({S.PENDING, S.HELD, S.DENIED})
TERMINAL: frozenset[OrderStatus] = frozenset(
    {S.DENIED, S.FILLED, S.CANCELED, S.REPLACED, S.EXPIRED, S.REJECTED, S.DRY_RUN}
)
OPEN: frozenset[OrderStatus] = frozenset(OrderStatus) - TERMINAL
# What may meet an order of ours at the exchange: a held leg does not work yet.
RESTING: frozenset[OrderStatus] = OPEN - {S.HELD}
# If nothing was bought or sold, nothing ever will be: the same intent may be tried again under the next attempt.
RETRYABLE: frozenset[OrderStatus] = frozenset({S.DENIED, S.CANCELED, S.EXPIRED, S.REJECTED})


def may_follow(before: OrderStatus | None, after: OrderStatus) -> bool:
    """Tell whether the table allows the step; `before` is None for the event that creates the order."""
    if before is None:
        return after in INITIAL
    return after in TRANSITIONS[before]


def one_of(statuses: Iterable[OrderStatus]) -> str:
    """Return the pattern of a status that is one of these.

    For CHECKs on the tables that every order writes: PostgreSQL reads the expression tree of a CHECK anew in every
    statement, and a list of thirteen names is a tree many times the size of one pattern.
    """
    return f"^({'|'.join(sorted(statuses))})$"


def allowed_transition() -> Regex:
    """Build the CHECK of the event table from the transition table: `before>after` is a line of it."""
    lines = {"": INITIAL} | {before.value: followers for before, followers in TRANSITIONS.items() if followers}
    steps = "|".join(f"{before}>({'|'.join(sorted(followers))})" for before, followers in lines.items())
    return Regex(Concat(F("from_status"), Value(">"), F("to_status")), f"^({steps})$")
