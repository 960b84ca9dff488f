"""What is seen of each cause: the number, its limit, and what that means. Nothing unknown reads as well."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from risk.breaker_rules.causes import CAUSES, Cause, CauseRule
from risk.types import LimitValues

ZERO, HUNDRED = Decimal(0), Decimal(100)
SHOWN = Decimal("0.01")
CLEAN, PENDING, BROKEN, FORCED = "clean", "pending", "broken", "forced"


class Verdict(StrEnum):
    """`over` trips, `unreadable` trips as well: a number that nobody knows may be any number."""

    GOOD = "good"
    WARNING = "warning"
    OVER = "over"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """An account at one instant; None where a number could not be read.

    Money in account currency; equity holds unrealised P&L at the marks, bases and peaks count deposits and withdrawals
    made since. `feed_age_seconds` is the age of the price of `stale_name`, of all held names the one nearest to or
    furthest beyond its limit (`feed_age_limit`, which may be its own); 0 when nothing is held. `clock_skew_ms` is asked
    only of a desk with a broker over a network (`has_line`).
    """

    equity: Decimal | None
    day_base_equity: Decimal | None
    week_base_equity: Decimal | None
    session_peak_equity: Decimal | None
    peak_equity: Decimal | None
    broker_errors: int | None
    rejects: int | None
    feed_age_seconds: int | None
    reconciliation: str
    has_line: bool = False
    clock_skew_ms: int | None = None
    stale_name: str = ""
    feed_age_limit: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One cause at one look; `observed` is None when it could not be read or is no number.

    `is_early`: it is no news, because the answer is on its way and nothing leaves before it is there.
    """

    cause: Cause
    verdict: Verdict
    observed: Decimal | None = None
    limit: Decimal | None = None
    detail: str = ""
    is_early: bool = False

    @property
    def rule(self) -> CauseRule:
        """Return how the cause is judged."""
        return CAUSES[self.cause]

    @property
    def is_over(self) -> bool:
        """Whether it would trip the breaker, once it is sure enough."""
        return self.verdict in (Verdict.OVER, Verdict.UNREADABLE)

    @property
    def share_pct(self) -> Decimal | None:
        """How much of the limit is used, in percent."""
        if self.observed is None or self.limit is None or self.limit <= 0:
            return None
        return (self.observed / self.limit * HUNDRED).quantize(SHOWN)

    @property
    def sentence(self) -> str:
        """Say it in a line, with the numbers."""
        if self.verdict == Verdict.UNREADABLE:
            return f"{self.rule.label}: cannot be read{self._more}"
        if self.limit is None:
            return f"{self.rule.label}: {self.detail}"
        unit = self.rule.unit if self.rule.unit == "%" else f" {self.rule.unit}"
        return f"{self.rule.label}: {plain(self.observed)}{unit}, {plain(self.limit)}{unit} allowed{self._more}"

    @property
    def _more(self) -> str:
        return f" ({self.detail})" if self.detail else ""


def plain(value: Decimal | None) -> str:
    """Return a number for people, with two places at most."""
    if value is None:
        return "unknown"
    shown = value.quantize(SHOWN) if value.is_finite() else value
    text = f"{shown:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def loss_pct(base: Decimal, equity: Decimal) -> Decimal:
    """Return what was lost of a base in percent, 0 for a gain; all of it when there is no base left to lose.

    A NaN in either comes back as NaN.
    """
    if not base.is_finite() or not equity.is_finite():
        return Decimal("NaN")
    if equity >= base:
        return ZERO
    return (base - equity) / base * HUNDRED if base > 0 else HUNDRED


def readings_of(snapshot: Snapshot, limits: LimitValues) -> list[Reading]:
    """Return what is seen of every cause that the account has, in the order of `CAUSES`."""
    bases = {
        Cause.DAILY_LOSS: snapshot.day_base_equity,
        Cause.WEEKLY_LOSS: snapshot.week_base_equity,
        Cause.INTRADAY_LOSS: snapshot.session_peak_equity,
        Cause.DRAWDOWN: snapshot.peak_equity,
    }
    seen: dict[Cause, Decimal | None] = {
        cause: None if base is None or snapshot.equity is None else loss_pct(base, snapshot.equity)
        for cause, base in bases.items()
    }
    seen[Cause.BROKER_ERRORS] = _number(snapshot.broker_errors)
    seen[Cause.REJECT_BURST] = _number(snapshot.rejects)
    seen[Cause.STALE_FEED] = _number(snapshot.feed_age_seconds)
    if snapshot.has_line:
        seen[Cause.CLOCK_SKEW] = _number(snapshot.clock_skew_ms)
    found = [_judged(cause, value, limits, snapshot) for cause, value in seen.items()]
    found.append(_reconciliation(snapshot.reconciliation))
    order = list(CAUSES)
    return sorted(found, key=lambda reading: order.index(reading.cause))


def _number(value: int | None) -> Decimal | None:
    return None if value is None else abs(Decimal(value))


def _judged(cause: Cause, observed: Decimal | None, limits: LimitValues, snapshot: Snapshot) -> Reading:
    """Compare one number with its limit; one that is missing, not a number or infinite is unreadable."""
    rule = CAUSES[cause]
    limit: Decimal = getattr(limits, rule.limit_name)
    detail = ""
    if cause == Cause.STALE_FEED:
        detail = snapshot.stale_name
        limit = limit if snapshot.feed_age_limit is None else snapshot.feed_age_limit
    if observed is None or not observed.is_finite() or not limit.is_finite():
        return Reading(cause, Verdict.UNREADABLE, None, limit if limit.is_finite() else None, detail)
    if observed > limit or (rule.trips_at_limit and observed >= limit):
        return Reading(cause, Verdict.OVER, observed, limit, detail)
    # A limit of nothing has no part of it that could warn.
    near = limit > 0 and observed * HUNDRED >= limit * limits.breaker_warning_pct
    return Reading(cause, Verdict.WARNING if near and observed > 0 else Verdict.GOOD, observed, limit, detail)


def _reconciliation(state: str) -> Reading:
    verdicts = {CLEAN: Verdict.GOOD, PENDING: Verdict.WARNING, FORCED: Verdict.WARNING, BROKEN: Verdict.OVER}
    words = {CLEAN: "both agree", PENDING: "not compared yet", BROKEN: "they differ", FORCED: "forced by two people"}
    verdict = verdicts.get(state, Verdict.UNREADABLE)
    detail = words.get(state, f"state {state!r}")
    return Reading(Cause.RECONCILIATION, verdict, detail=detail, is_early=state == PENDING)
