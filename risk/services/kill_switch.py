"""Engage and release the kill switch. Engaging is one INSERT and waits for no lock."""

import re
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from risk import selectors
from risk.errors import (
    AlreadyInState,
    InvalidLevel,
    InvalidScope,
    RequestNotPending,
    SecondOperatorRequired,
    TooSoon,
    WrongWord,
)
from risk.models import GLOBAL_SCOPE, KillSwitchEvent, ReleaseRequest
from risk.services.reasons import require_reason
from risk.signals import trading_state_changed
from risk.states import ReleaseState, SwitchLevel
from risk.stops import rank

MINUTE = timedelta(minutes=1)
REQUEST_LIFETIME = timedelta(minutes=15)
SCOPE_FORM = re.compile(r"global|strategy:[\w-]{1,40}|account:[\w.-]{1,64}|symbol:[A-Z0-9][A-Z0-9./-]{0,31}")
LEVELS = (SwitchLevel.REDUCING, SwitchLevel.HALTED, SwitchLevel.FLATTENING)


def engage(
    *, scope: str, operator: str, reason: str, source: str, now: datetime, level: str = SwitchLevel.HALTED
) -> KillSwitchEvent:
    """Stop trading in the scope from this commit on, as far as the level says; a weaker level takes nothing back.

    Engaging what is engaged is not an error. It stores a row, so that it outlives a release that is under way; only the
    same operator with the same reason and level again (a second click) returns the event in force. No lock is taken.
    :raises InvalidReason, InvalidScope, InvalidLevel: nothing is stored
    """
    require_scope(scope)
    text = require_reason(reason)
    if level not in LEVELS:
        raise InvalidLevel(f"level: got {level!r}, allowed are {', '.join(LEVELS)}")
    newest = selectors.engages_in_force(scope).first()
    if newest is not None and (newest.operator, newest.reason, newest.level) == (operator, text, level):
        return newest
    return _store(scope=scope, engaged=True, operator=operator, reason=text, source=source, at=now, level=level)


def disengage(
    *,
    scope: str,
    operator: str,
    second_operator: str,
    reason: str,
    source: str,
    now: datetime,
    to_level: str = SwitchLevel.ACTIVE,
    event_id: int | None = None,
) -> KillSwitchEvent:
    """Let trading go on in the scope, or only as far as `to_level`; two different operators answer for it.

    The release names the last engage it takes back (`event_id`, by default the newest that can be seen): one that
    commits meanwhile stays in force. Locks: the newest event of the scope, so that two releases do not both act on it.
    :raises SecondOperatorRequired, InvalidReason, InvalidScope, InvalidLevel, AlreadyInState, TooSoon: nothing changes
    """
    require_scope(scope)
    text = require_reason(reason)
    _require_second(operator, second_operator)
    with transaction.atomic():
        newest = KillSwitchEvent.objects.select_for_update(no_key=True).filter(scope=scope).order_by("-id").first()
        if newest is None and scope != GLOBAL_SCOPE:
            raise AlreadyInState(f"{scope}: the kill switch was never engaged")
        held = selectors.engages_in_force(scope).first()
        if newest is not None and held is None:
            raise AlreadyInState(f"{scope}: the kill switch is already off since {_last_release(scope, now)}")
        _require_lower(scope, to_level)
        _require_pause(scope, now)
        people = {"operator": operator, "second_operator": second_operator, "reason": text, "source": source, "at": now}
        upto = event_id if event_id is not None else held.pk if held is not None else 0
        event = _store(scope=scope, engaged=False, releases=upto, **people)
        if to_level != SwitchLevel.ACTIVE:
            _store(scope=scope, engaged=True, level=to_level, **people)
        return event


def install(*, operator: str, now: datetime) -> KillSwitchEvent | None:
    """Write the first row of a new installation, so that it may trade; None when there ever was a row.

    A database that lost its rows is not a new installation: the caller makes sure that nothing was ever traded.
    """
    if KillSwitchEvent.objects.filter(scope=GLOBAL_SCOPE).exists():
        return None
    return _store(
        scope=GLOBAL_SCOPE,
        engaged=False,
        operator=operator,
        reason="first installation: nothing has been traded yet",
        source=KillSwitchEvent.Source.INSTALLATION,
        at=now,
    )


def release_word(scope: str) -> str:
    """Return what has to be typed to let the scope trade again."""
    return f"RELEASE {scope.upper()}"


def require_word(scope: str, word: str | None) -> None:
    """Make sure that the person has typed which scope is meant; spaces around it and small letters do no harm.

    :raises WrongWord: something else was typed
    """
    if " ".join((word or "").upper().split()) != release_word(scope):
        raise WrongWord(f"word: got {(word or '')[:80]!r}, type {release_word(scope)}")


def request_release(
    *, scope: str, operator: str, reason: str, now: datetime, to_level: str = SwitchLevel.ACTIVE
) -> ReleaseRequest:
    """Ask for a release that another operator has to approve within 15 minutes, and not at once.

    Asking again while a request of the same scope and engage waits returns that request; one that a later engage has
    made void gives way.
    :raises AlreadyInState: the switch is off
    """
    require_scope(scope)
    text = require_reason(reason)
    if not selectors.is_engaged(scope):
        raise AlreadyInState(f"{scope}: the kill switch is off")
    _require_lower(scope, to_level)
    expire_requests(now=now)
    held = selectors.engages_in_force(scope).first()
    event_id = 0 if held is None else held.pk
    _void_requests(scope, event_id, now)
    try:
        with transaction.atomic():
            return ReleaseRequest.objects.create(
                scope=scope,
                requested_by=operator,
                reason=text,
                requested_at=now,
                expires_at=now + REQUEST_LIFETIME,
                event_id=event_id,
                to_level=to_level,
            )
    except IntegrityError:
        return ReleaseRequest.objects.get(scope=scope, state=ReleaseState.PENDING)


def release_wait() -> timedelta:
    """Return how long a request waits at least before it can be approved (wall time)."""
    return timedelta(seconds=int(settings.RELEASE_WAIT_SECONDS))


@transaction.atomic
def approve_release(*, request_id: int, operator: str, source: str, now: datetime) -> KillSwitchEvent:
    """Release the kill switch with the requester as first and this operator as second person.

    Who engaged again after the request was made had a new reason: that needs a new request. Locks: the request.
    :raises RequestNotPending, SecondOperatorRequired, AlreadyInState, TooSoon: nothing changes
    """
    request = _pending_request(request_id, now)
    _require_second(request.requested_by, operator)
    held = selectors.engages_in_force(request.scope).first()
    if held is not None and held.pk > request.event_id:
        raise RequestNotPending(f"{request.scope} was engaged again by {held.operator} after the request")
    _require_wait(request, now)
    event = disengage(
        scope=request.scope,
        operator=request.requested_by,
        second_operator=operator,
        reason=request.reason,
        source=source,
        now=now,
        to_level=request.to_level,
        event_id=request.event_id,
    )
    _decide(request, ReleaseState.APPROVED, operator, now)
    return event


@transaction.atomic
def reject_release(*, request_id: int, operator: str, now: datetime) -> ReleaseRequest:
    """Turn a request down; the requester may do so too. Locks: the request."""
    request = _pending_request(request_id, now)
    _decide(request, ReleaseState.REJECTED, operator, now)
    return request


def expire_requests(*, now: datetime) -> int:
    """Close requests that nobody answered in time; returns how many."""
    return ReleaseRequest.objects.filter(state=ReleaseState.PENDING, expires_at__lte=now).update(
        state=ReleaseState.EXPIRED, decided_at=now
    )


def _pending_request(request_id: int, now: datetime) -> ReleaseRequest:
    request = ReleaseRequest.objects.select_for_update(no_key=True).filter(pk=request_id).first()
    if request is None:
        raise RequestNotPending(f"there is no release request {request_id}")
    if request.state != ReleaseState.PENDING or request.expires_at <= now:
        state = request.state if request.state != ReleaseState.PENDING else ReleaseState.EXPIRED
        raise RequestNotPending(f"release request {request_id} is {state}")
    return request


def _decide(request: ReleaseRequest, state: ReleaseState, operator: str, now: datetime) -> None:
    request.state, request.decided_by, request.decided_at = state, operator, now
    request.save(update_fields=["state", "decided_by", "decided_at"])


def _store(*, scope: str, **fields: Any) -> KillSwitchEvent:
    event = KillSwitchEvent.objects.create(scope=scope, **fields)
    transaction.on_commit(lambda: trading_state_changed.send_robust(KillSwitchEvent, scope=scope))
    return event


def _void_requests(scope: str, event_id: int, now: datetime) -> None:
    ReleaseRequest.objects.filter(state=ReleaseState.PENDING, scope=scope, event_id__lt=event_id).update(
        state=ReleaseState.EXPIRED, decided_at=now
    )


def require_scope(scope: str) -> None:
    """Make sure that the words are a scope.

    :raises InvalidScope: they are not
    """
    if not SCOPE_FORM.fullmatch(scope):
        raise InvalidScope(f"scope: got {scope!r}, allowed are global, strategy:NAME, symbol:NAME and account:NAME")


def _require_lower(scope: str, to_level: str) -> None:
    if to_level not in (SwitchLevel.ACTIVE, *LEVELS) or rank(to_level) >= rank(selectors.level_of(scope)):
        raise InvalidLevel(
            f"to_level: got {to_level!r}, allowed is what is below {selectors.level_of(scope)}; to go up, engage"
        )


def _require_wait(request: ReleaseRequest, now: datetime) -> None:
    ready = request.requested_at + release_wait()
    if now < ready:
        raise TooSoon(
            f"release request {request.pk} of {request.scope}: can be approved from {ready:%H:%M:%S} UTC on, "
            f"{release_wait().seconds} s after it was asked"
        )


def _last_release(scope: str, now: datetime) -> str:
    released = KillSwitchEvent.objects.filter(scope=scope, engaged=False).order_by("-id").first()
    return (now if released is None else released.at).isoformat()


def _require_second(operator: str, second_operator: str) -> None:
    if not operator or not second_operator or second_operator == operator:
        raise SecondOperatorRequired(
            f"releasing needs two different operators: got {operator!r} and {second_operator!r}"
        )


def _require_pause(scope: str, now: datetime) -> None:
    released = KillSwitchEvent.objects.filter(scope=scope, engaged=False).order_by("-id").first()
    if released is not None and released.source != KillSwitchEvent.Source.INSTALLATION and now - released.at < MINUTE:
        raise TooSoon(f"{scope}: released {released.at.isoformat()}, at most one release a minute")
