"""Engage and release the kill switch. Engaging is one INSERT and waits for no lock."""

import re
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from risk import selectors
from risk.errors import AlreadyInState, InvalidScope, RequestNotPending, SecondOperatorRequired, TooSoon
from risk.models import GLOBAL_SCOPE, KillSwitchEvent, ReleaseRequest
from risk.services.reasons import require_reason
from risk.signals import trading_state_changed
from risk.states import ReleaseState

MINUTE = timedelta(minutes=1)
REQUEST_LIFETIME = timedelta(minutes=15)
SCOPE_FORM = re.compile(r"global|strategy:[\w-]{1,40}|account:[\w.-]{1,64}")


def engage(*, scope: str, operator: str, reason: str, source: str, now: datetime) -> KillSwitchEvent:
    """Stop trading in the scope from this commit on.

    Engaging what is engaged is not an error. It stores a row, so that it outlives a release that is under way; only the
    same operator with the same reason again (a second click) returns the event in force. No lock is taken.
    :raises InvalidReason, InvalidScope: nothing is stored
    """
    _require_scope(scope)
    text = require_reason(reason)
    newest = selectors.newest_kill_event(scope)
    if newest is not None and newest.engaged and (newest.operator, newest.reason) == (operator, text):
        return newest
    return _store(scope=scope, engaged=True, operator=operator, reason=text, source=source, at=now)


def disengage(
    *, scope: str, operator: str, second_operator: str, reason: str, source: str, now: datetime
) -> KillSwitchEvent:
    """Let trading go on in the scope; two different operators answer for it.

    Locks: the newest event of the scope, so that two releases cannot both act on it.
    :raises SecondOperatorRequired, InvalidReason, InvalidScope, AlreadyInState, TooSoon: nothing is stored
    """
    _require_scope(scope)
    text = require_reason(reason)
    _require_second(operator, second_operator)
    with transaction.atomic():
        newest = KillSwitchEvent.objects.select_for_update(no_key=True).filter(scope=scope).order_by("-id").first()
        if newest is None and scope != GLOBAL_SCOPE:
            raise AlreadyInState(f"{scope}: the kill switch was never engaged")
        if newest is not None and not newest.engaged:
            raise AlreadyInState(f"{scope}: the kill switch is already off since {newest.at.isoformat()}")
        _require_pause(scope, now)
        return _store(
            scope=scope,
            engaged=False,
            operator=operator,
            second_operator=second_operator,
            reason=text,
            source=source,
            at=now,
        )


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


def request_release(*, scope: str, operator: str, reason: str, now: datetime) -> ReleaseRequest:
    """Ask for a release that another operator has to approve within 15 minutes.

    Asking again while a request of the same scope waits returns that request.
    :raises AlreadyInState: the switch is off
    """
    _require_scope(scope)
    text = require_reason(reason)
    if not selectors.is_engaged(scope):
        raise AlreadyInState(f"{scope}: the kill switch is off")
    expire_requests(now=now)
    try:
        with transaction.atomic():
            return ReleaseRequest.objects.create(
                scope=scope, requested_by=operator, reason=text, requested_at=now, expires_at=now + REQUEST_LIFETIME
            )
    except IntegrityError:
        return ReleaseRequest.objects.get(scope=scope, state=ReleaseState.PENDING)


@transaction.atomic
def approve_release(*, request_id: int, operator: str, source: str, now: datetime) -> KillSwitchEvent:
    """Release the kill switch with the requester as first and this operator as second person.

    Who engaged again after the request was made had a new reason: that needs a new request. Locks: the request.
    :raises RequestNotPending, SecondOperatorRequired, AlreadyInState, TooSoon: nothing changes
    """
    request = _pending_request(request_id, now)
    _require_second(request.requested_by, operator)
    newest = selectors.newest_kill_event(request.scope)
    if newest is not None and newest.engaged and newest.at > request.requested_at:
        raise RequestNotPending(f"{request.scope} was engaged again by {newest.operator} after the request")
    event = disengage(
        scope=request.scope,
        operator=request.requested_by,
        second_operator=operator,
        reason=request.reason,
        source=source,
        now=now,
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


def _store(
    *, scope: str, engaged: bool, operator: str, reason: str, source: str, at: datetime, second_operator: str = ""
) -> KillSwitchEvent:
    event = KillSwitchEvent.objects.create(
        scope=scope,
        engaged=engaged,
        operator=operator,
        second_operator=second_operator,
        reason=reason,
        source=source,
        at=at,
    )
    transaction.on_commit(lambda: trading_state_changed.send_robust(KillSwitchEvent, scope=scope))
    return event


def _require_scope(scope: str) -> None:
    if not SCOPE_FORM.fullmatch(scope):
        raise InvalidScope(f"scope: got {scope!r}, allowed are global, strategy:NAME and account:NAME")


def _require_second(operator: str, second_operator: str) -> None:
    if not operator or not second_operator or second_operator == operator:
        raise SecondOperatorRequired(
            f"releasing needs two different operators: got {operator!r} and {second_operator!r}"
        )


def _require_pause(scope: str, now: datetime) -> None:
    released = KillSwitchEvent.objects.filter(scope=scope, engaged=False).order_by("-id").first()
    if released is not None and released.source != KillSwitchEvent.Source.INSTALLATION and now - released.at < MINUTE:
        raise TooSoon(f"{scope}: released {released.at.isoformat()}, at most one release a minute")
