"""Every cause by name: which limit it goes by, when that counts as passed, and how sure one has to be."""

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """Why the breaker trips by itself; stored as the cause of the event."""

    DAILY_LOSS = "daily_loss"
    WEEKLY_LOSS = "weekly_loss"
    INTRADAY_LOSS = "intraday_loss"
    DRAWDOWN = "drawdown"
    BROKER_ERRORS = "broker_errors"
    REJECT_BURST = "reject_burst"
    STALE_FEED = "stale_feed"
    RECONCILIATION = "reconciliation_failed"
    CLOCK_SKEW = "clock_skew"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class CauseRule:
    """How one cause is judged.

    `trips_at_limit`: the limit itself is too much (a loss of 2% is a loss of 2%); else it is the last value allowed.
    `price_driven`: one price may be wrong, so looks in a row have to agree (`breaker_confirmations`).
    `unknown_looks`: in so many looks in a row it may be unreadable before that trips; one that is measured by a process
    which starts beside the others is unknown for a moment.
    """

    cause: Cause
    label: str
    unit: str
    limit_name: str = ""
    trips_at_limit: bool = False
    price_driven: bool = False
    unknown_looks: int = 1


def _loss(cause: Cause, label: str, limit_name: str) -> CauseRule:
    return CauseRule(cause, label, "%", limit_name, trips_at_limit=True, price_driven=True)


def _rules() -> tuple[CauseRule, ...]:
    rule = CauseRule
    return (
        _loss(Cause.DAILY_LOSS, "Lost since the last close", "daily_loss_pct"),
        _loss(Cause.WEEKLY_LOSS, "Lost since last week's close", "weekly_loss_pct"),
        _loss(Cause.INTRADAY_LOSS, "Lost from the session's peak", "intraday_loss_pct"),
        _loss(Cause.DRAWDOWN, "Lost from the highest equity ever", "drawdown_pct"),
        rule(Cause.BROKER_ERRORS, "Broker's failures, last minute", "errors", "max_broker_errors_per_minute"),
        rule(Cause.REJECT_BURST, "Orders rejected, last minute", "orders", "max_rejects_per_minute"),
        rule(Cause.STALE_FEED, "Oldest price of a held name", "s", "max_feed_age_seconds", price_driven=True),
        rule(Cause.RECONCILIATION, "Book against the broker's", ""),
        rule(Cause.CLOCK_SKEW, "Broker's clock against ours", "ms", "max_clock_skew_ms", unknown_looks=30),
    )


CAUSES: dict[Cause, CauseRule] = {rule.cause: rule for rule in _rules()}
