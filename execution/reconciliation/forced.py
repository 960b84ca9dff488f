"""Let an account trade for a while although no run has found it clean: two people, a reason, a run that was tried.

It ends by itself. The claim looks at the time, so nothing leaves afterwards, whoever is dead; then what the runs say
counts again.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max

from execution.errors import ForceRefused
from execution.models import Account, ForcedCompletion, ReconciliationRun
from risk.errors import RequestNotPending, SecondOperatorRequired
from risk.services.alerts import raise_alert, resolve_alert
from risk.services.reasons import require_reason
from risk.states import AlertSeverity, ReleaseState

TRIED_WITHIN = timedelta(minutes=15)
REQUEST_LIFETIME, FORCED_FOR = timedelta(minutes=15), timedelta(minutes=15)
R = Account.Reconciliation
ALERT = "reconciliation_forced"


@transaction.atomic
def request_force(*, account: Account, operator: str, reason: str, wall_now: datetime) -> ForcedCompletion:
    """Ask that the account may trade; another operator has to approve it within 15 minutes.

    One request waits at a time; one that was not answered in time makes room. Locks: the account.
    :raises InvalidReason: shorter than 10 or longer than 500 characters
    :raises ForceRefused: it may trade already, no run was tried lately, or a request waits
    """
    text = require_reason(reason)
    locked = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    if locked.reconciliation in (R.CLEAN, R.FORCED):
        raise ForceRefused(f"account {locked.name} {locked.get_reconciliation_display()}: there is nothing to force")
    run = ReconciliationRun.objects.filter(account=locked).exclude(state=ReconciliationRun.State.RUNNING).first()
    if run is None or run.finished_at is None or wall_now - run.finished_at > TRIED_WITHIN:
        minutes = TRIED_WITHIN // timedelta(minutes=1)
        raise ForceRefused(f"no run was tried within {minutes} minutes: run one, and look at what it says")
    pending = ForcedCompletion.objects.filter(account=locked, state=ReleaseState.PENDING)
    pending.filter(request_expires_at__lte=wall_now).update(state=ReleaseState.EXPIRED, decided_at=wall_now)
    if pending.exists():
        raise ForceRefused("a request waits for another operator already")
    return ForcedCompletion.objects.create(
        account=locked,
        run=run,
        requested_by=operator,
        reason=text,
        requested_at=wall_now,
        request_expires_at=wall_now + REQUEST_LIFETIME,
    )


@transaction.atomic
def approve_force(*, request_id: int, operator: str, wall_now: datetime) -> ForcedCompletion:
    """Let the account trade for 15 minutes, with the requester as first and this operator as second person.

    Locks: the account, the request.
    :raises RequestNotPending, SecondOperatorRequired: nothing changes
    """
    of_account = ForcedCompletion.objects.filter(pk=request_id).values("account_id")
    account = Account.objects.select_for_update(no_key=True).filter(pk__in=of_account).first()
    request = ForcedCompletion.objects.select_for_update(no_key=True).filter(pk=request_id).first()
    if request is None or account is None:
        raise RequestNotPending(f"there is no request {request_id}")
    if request.state != ReleaseState.PENDING or request.request_expires_at <= wall_now:
        state = request.state if request.state != ReleaseState.PENDING else ReleaseState.EXPIRED
        raise RequestNotPending(f"request {request_id} is {state}")
    if request.requested_by == operator:
        raise SecondOperatorRequired(f"{operator} has asked for it: another operator has to approve")
    request.state, request.decided_by, request.decided_at = ReleaseState.APPROVED, operator, wall_now
    request.expires_at = wall_now + FORCED_FOR
    request.save(update_fields=["state", "decided_by", "decided_at", "expires_at"])
    if account.reconciliation != R.CLEAN:
        account.reconciliation = R.FORCED
        account.save(update_fields=["reconciliation"])
        raise_alert(
            code=ALERT,
            subject=account.scope,
            severity=AlertSeverity.CRITICAL,
            message=f"trading without a clean run until {request.expires_at:%H:%M:%S} UTC: {request.requested_by} and "
            f"{operator}, {request.reason}"[:500],
            now=wall_now,
        )
    return request


def is_forced(account_id: int, wall_now: datetime) -> bool:
    """Tell whether two people's word counts at this moment."""
    return forced_until(account_id, wall_now) is not None


def forced_until(account_id: int, wall_now: datetime) -> datetime | None:
    """Return until when two people's word counts (wall time); None where it does not."""
    valid = ForcedCompletion.objects.filter(account_id=account_id, state=ReleaseState.APPROVED, expires_at__gt=wall_now)
    until: datetime | None = valid.aggregate(Max("expires_at"))["expires_at__max"]
    return until


def may_trade(account: Account, wall_now: datetime) -> bool:
    """Tell whether the claim lets orders of the account leave: the books agree, or two people's word still counts."""
    return account.reconciliation == R.CLEAN or (account.reconciliation == R.FORCED and is_forced(account.pk, wall_now))


@transaction.atomic
def end_expired(*, account: Account, wall_now: datetime) -> bool:
    """Close an account whose forced completion is over; the next run says what it is. Locks: the account."""
    if account.reconciliation != R.FORCED and not _stored(account):
        return False
    if is_forced(account.pk, wall_now):
        return False
    forced = Account.objects.filter(pk=account.pk, reconciliation=R.FORCED)
    ended = bool(forced.update(reconciliation=R.BROKEN))
    if ended:
        resolve_alert(code=ALERT, subject=account.scope, now=wall_now)
    return ended


def _stored(account: Account) -> bool:
    return Account.objects.filter(pk=account.pk, reconciliation=R.FORCED).exists()
