"""Values that the services of this app give back."""

from dataclasses import dataclass, field

from execution.models import Order
from risk.types import Denial


@dataclass(frozen=True, slots=True)
class SubmitResult:
    """Answer of the gate to one intent.

    `order` is None when the intent could not even be stored as an order (unknown symbol, no number); the decision is
    stored all the same. `created` is False when the order was there before. `stored_denials` are those of the first
    time then.
    """

    order: Order | None
    created: bool
    denials: list[Denial] = field(default_factory=list)
    decision_id: int | None = None
    warnings: list[Denial] = field(default_factory=list)
    """Soft limits that the accepted order passes."""

    @property
    def accepted(self) -> bool:
        """Whether the order passed the gate."""
        return not self.denials


@dataclass(frozen=True, slots=True)
class DispatchReport:
    """What one round of the dispatcher did; counts of orders.

    `sent` are those the broker was asked to take: it answered them as accepted or rejected, could not be reached
    (`unsent`: they wait again), or left the question open (`unknown`). `held_back` were claimed and not tried.
    """

    sent: int = 0
    accepted: int = 0
    rejected: int = 0
    unsent: int = 0
    unknown: int = 0
    held_back: int = 0
    denied: int = 0
    expired: int = 0
    cancels_sent: int = 0
    dry_run: int = 0

    @property
    def did_something(self) -> bool:
        """Whether another round is worth starting at once; a broker that is away is asked again later."""
        done = (self.accepted, self.rejected, self.denied, self.expired, self.cancels_sent, self.dry_run)
        return any((*done, self.held_back))


@dataclass(frozen=True, slots=True)
class HaltReport:
    """What engaging the kill switch did: the event, and what became of the open orders.

    `failed_accounts` are those whose orders could not be asked to cancel: engage again for them.
    """

    event_id: int
    already_engaged: bool
    canceled_unsent: int
    cancel_requested: int
    orders: tuple[int, ...] = ()
    failed_accounts: tuple[str, ...] = ()
    level: str = "halted"
    """In force in the scope afterwards."""
    procedure_id: int | None = None
    """Of the desk's account; None when the scope is none of its, or the dispatcher has to begin it."""
    paused_parents: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltWish:
    """What a person wants of a halt; `level` active is a cancel or close without a switch.

    `everything` cancels orders that are not ours as well, `at_open` lets closing orders wait for the opening auction.
    """

    scope: str
    level: str
    operator: str
    reason: str
    event_id: int = 0
    flatten: bool = False
    everything: bool = False
    at_open: bool = False
