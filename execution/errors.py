"""What execution services refuse."""


class ExecutionError(Exception):
    """Base of every refusal of this app; `code` is stable, the message is for people."""

    code = "execution_error"


class OrderConflict(ExecutionError):
    """The id or idempotency key was used before with another body; nothing changed."""

    code = "order_conflict"


class OrderNotOpen(ExecutionError):
    """The order is over: there is nothing left to cancel."""

    code = "order_not_open"


class ReplaceRefused(ExecutionError):
    """The order takes no new terms now, or these terms make no sense for it; nothing changed."""

    code = "order_not_replaceable"


class InvalidGroup(ExecutionError):
    """The orders are no group: a leg is missing, or does not belong to its entry; nothing is stored."""

    code = "invalid_group"


class PlanRefused(ExecutionError):
    """A quantity cannot be worked in slices as it is wished; `field` names what would have to be another."""

    code = "plan_refused"

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


class IllegalTransition(ExecutionError):
    """The transition table does not know this step."""

    code = "illegal_transition"


class OrderUnstorable(ExecutionError):
    """A broker's report does not fit the order; it is kept as refused, never booked."""

    code = "report_refused"


class NothingLeft(ExecutionError):
    """Nothing of that name is left of a halt, or the halt is over."""

    code = "nothing_left"


class HaltNotOver(ExecutionError):
    """The halt is neither verified nor is what it left accepted by name: it cannot be released."""

    code = "halt_not_over"


class NothingToCorrect(ExecutionError):
    """There is no such execution, or it has fewer shares than were to be taken back; nothing changed."""

    code = "nothing_to_correct"


class ReconciliationUnderWay(ExecutionError):
    """Somebody else compares the account's books at this moment; nothing was done."""

    code = "reconciliation_under_way"


class BreakNotOpen(ExecutionError):
    """The break is over, was decided before, or has nothing that could be repaired; nothing changed."""

    code = "break_not_open"


class ForceRefused(ExecutionError):
    """The account cannot be let trade without a clean run now; nothing changed."""

    code = "force_refused"
