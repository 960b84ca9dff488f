"""One look at an account: judge what is seen, trip the breaker, tell people, remember it. Crash-safe.

What a look has to know of the one before (peaks, looks in a row, what was told) is in the account's `RiskReading`. It
is written in the transaction of the trip and of the alerts, so a watch that died goes on where it was.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from django.db import IntegrityError, transaction

from execution.models import Account
from risk import selectors
from risk.breaker_rules import Judgement, Reading, Snapshot, Verdict, judge, looks_needed, readings_of
from risk.breaker_rules.readings import plain
from risk.limits import LimitBook
from risk.models import RiskReading
from risk.services import breaker
from risk.services.alerts import raise_alert, resolve_alert
from risk.states import AlertSeverity, BreakerState
from trading.services.risk_watch.account_view import AccountView, highest_equity, read_view, snapshot_of

log = structlog.get_logger(__name__)
OPERATOR = "risk watch"
SHORTEST = timedelta(milliseconds=500)
"""Wall time between two looks that both count: two watchers must not confirm one price to each other."""
LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Look:
    """What one look saw and did; `tripped` is the cause it tripped for, empty when it did not.

    `limits_changed` stays until open orders have been held against the new limits (`over_limits`).
    """

    view: AccountView
    readings: list[Reading]
    limits: LimitBook
    limits_changed: bool = False
    tripped: str = ""


def watch_account(*, account: Account, wall_now: datetime, confirmations: int | None = None) -> Look | None:
    """Look at the account once; None when somebody else is looking or has just looked.

    `confirmations` replaces the limit of that name where prices are facts (the bars of a replay). Locks: the account's
    reading, then the breaker.
    """
    with transaction.atomic():
        view = read_view(account=account, wall_now=wall_now)
        reading = _locked_reading(view, wall_now)
        if reading is None:
            return None
        limits = selectors.limit_book()
        changed = reading.limits_version != limits.version
        values = limits.resolve(strategy="", symbol="").account
        needed = int(values.breaker_confirmations) if confirmations is None else confirmations
        _move_peaks(reading, view, at_once=needed == 1)
        snapshot = _readable(snapshot_of(view, reading=reading, limits=limits, wall_now=wall_now))
        readings = readings_of(snapshot, values)
        judged = judge(readings, streaks=reading.streaks, confirmations=needed)
        tripped = _trip(account.scope, judged, wall_now)
        _tell(account.scope, reading, readings, judged, needed, wall_now)
        _remember(reading, view, judged, readings, wall_now)
    return Look(view, readings, limits, changed, tripped)


def look_again(*, account: Account, wall_now: datetime, view: AccountView | None = None) -> list[Reading]:
    """Return what a look would see now; nothing is stored or told.

    For the answer to "would it trip again?" before a reset: a price counts by one look here.
    """
    view = read_view(account=account, wall_now=wall_now) if view is None else view
    reading = RiskReading.objects.filter(scope=account.scope).first() or _first_reading(view, wall_now)
    _move_peaks(reading, view, at_once=False)
    limits = selectors.limit_book()
    snapshot = _readable(snapshot_of(view, reading=reading, limits=limits, wall_now=wall_now))
    return readings_of(snapshot, limits.resolve(strategy="", symbol="").account)


def latest_look(account: Account) -> RiskReading | None:
    """Return what the watch saw last."""
    return RiskReading.objects.filter(scope=account.scope).first()


def _locked_reading(view: AccountView, wall_now: datetime) -> RiskReading | None:
    """Return the account's reading, locked; None while another look is under way or was a moment ago."""
    rows = RiskReading.objects.filter(scope=view.account.scope)
    found = rows.select_for_update(no_key=True, skip_locked=True).first()
    if found is not None:
        return None if timedelta(0) <= wall_now - found.evaluated_at < SHORTEST else found
    if rows.exists():
        return None
    first = _first_reading(view, wall_now)
    try:
        with transaction.atomic():
            first.save(force_insert=True)
    except IntegrityError:
        return None
    return first


def _first_reading(view: AccountView, wall_now: datetime) -> RiskReading:
    equity = view.equity if view.equity.is_finite() else view.day_base_equity
    return RiskReading(
        scope=view.account.scope,
        evaluated_at=wall_now,
        market_at=view.market_at,
        trading_date=view.trading_date,
        equity=equity,
        net_deposits=view.net_deposits,
        day_base_equity=view.day_base_equity,
        week_base_equity=view.week_base_equity,
        session_peak_equity=equity,
        peak_equity=max(equity, highest_equity(replace(view, equity=equity))),
        limits_version=selectors.limits_version(),
    )


def _move_peaks(reading: RiskReading, view: AccountView, *, at_once: bool) -> None:
    """Raise the peaks with the equity, move them with deposits, begin the session's anew with each session.

    A peak counts once two looks in a row were as high (`at_once`: at the first): from the peak of one wrong price, the
    right one would be a loss.
    """
    moved = view.net_deposits - reading.net_deposits
    before = view.equity if reading.equity is None else reading.equity + moved
    reading.session_peak_equity += moved
    reading.peak_equity += moved
    reading.net_deposits = view.net_deposits
    if not view.equity.is_finite():
        return
    reached = view.equity if at_once else min(view.equity, before)
    if reading.trading_date != view.trading_date:
        reading.session_peak_equity, reading.trading_date = reached, view.trading_date
    reading.session_peak_equity = max(reading.session_peak_equity, reached)
    reading.peak_equity = max(reading.peak_equity, reading.session_peak_equity)


def _readable(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with an equity that is no number left out: it is unknown, not small."""
    equity = snapshot.equity
    return snapshot if equity is not None and equity.is_finite() else replace(snapshot, equity=None)


def _trip(scope: str, judged: Judgement, wall_now: datetime) -> str:
    """Trip the breaker for what the look has found; return the cause, empty when nothing is new."""
    if not judged.tripping:
        return ""
    before = selectors.newest_breaker_event(scope)
    if before is not None and before.state == BreakerState.TRIPPED:
        return ""
    reason = judged.reason
    if before is not None and before.state == BreakerState.QUIET_PERIOD:
        reason = f"again after the reset by {before.operator}: {reason}"
    event = breaker.trip(
        scope=scope, cause=judged.cause.value, reason=reason[:LONGEST_REASON], operator=OPERATOR, now=wall_now
    )
    log.error("breaker_tripped", scope=scope, cause=event.cause, reason=event.reason, event_id=event.pk)
    return str(judged.cause)


def _tell(
    scope: str, reading: RiskReading, seen: list[Reading], judged: Judgement, confirmations: int, wall_now: datetime
) -> None:
    """Raise an alert when a cause gets near its limit or trips, and say when it is over; each change once.

    What is not sure enough yet to trip is not told either: one wrong price would be an alert that is over a second
    later.
    """
    before: dict[str, dict[str, Any]] = {item["cause"]: item for item in reading.readings}
    for one in seen:
        was = before.get(one.cause.value, {"verdict": Verdict.GOOD.value, "detail": one.detail})
        code = f"breaker_{one.cause.value}"
        if one.verdict == Verdict.GOOD and was["verdict"] != Verdict.GOOD:
            resolve_alert(code=code, subject=scope, now=wall_now)
        elif _is_news(one, was, judged, confirmations):
            raise_alert(
                code=code,
                subject=scope,
                severity=AlertSeverity.CRITICAL if one in judged.tripping else AlertSeverity.WARNING,
                message=one.sentence,
                now=wall_now,
                detail=as_row(one),
            )


def _is_news(one: Reading, was: dict[str, Any], judged: Judgement, confirmations: int) -> bool:
    """Tell whether a cause is near or over its limit now and was not so at the look before."""
    if one.verdict == Verdict.GOOD or one.is_early:
        return False
    needed = looks_needed(one, confirmations) if one.is_over else 1
    if needed > 1:
        return judged.streaks.get(one.cause.value) == needed
    # What has no limit is a state, and its detail says which.
    return bool(was["verdict"] != one.verdict or (one.limit is None and was["detail"] != one.detail))


def _remember(
    reading: RiskReading, view: AccountView, judged: Judgement, seen: list[Reading], wall_now: datetime
) -> None:
    reading.evaluated_at, reading.market_at = wall_now, view.market_at
    reading.equity = view.equity if view.equity.is_finite() else None
    reading.day_base_equity, reading.week_base_equity = view.day_base_equity, view.week_base_equity
    reading.streaks = judged.streaks
    reading.readings = [as_row(one) for one in seen]
    reading.save()


def as_row(one: Reading) -> dict[str, Any]:
    """Return a reading as it is stored and shown; numbers as text."""
    return {
        "cause": one.cause.value,
        "label": one.rule.label,
        "verdict": one.verdict.value,
        "observed": _text(one.observed),
        "limit": _text(one.limit),
        "unit": one.rule.unit,
        "limit_name": one.rule.limit_name,
        "used_pct": _text(one.share_pct),
        "detail": one.detail,
        "sentence": one.sentence,
    }


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)
