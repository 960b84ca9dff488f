"""The second lock: while the kill switch is engaged, the broker itself is told to take no orders of the account.

So even another process with the same keys cannot trade. Only a suspension that we set is taken back; one that somebody
else set is shown and left alone. Nothing here stops a cancel.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from execution.brokers.alpaca_modes import NETWORK_MODES
from execution.brokers.base import Broker, BrokerError
from execution.crashpoints import Point, crashpoint
from execution.models import Account, BrokerLink, HaltProcedure
from execution.models.halting import ProcedureState
from execution.services.broker_link import link_of
from risk.selectors import stop_scopes
from risk.stops import LADDER, Cancels

log = structlog.get_logger(__name__)
CHECK_EVERY = timedelta(seconds=30)
RETRY_AFTER = timedelta(seconds=5)
LONGEST_PROBLEM = 300


def keep_second_lock(*, account: Account, broker: Broker, wall_now: datetime) -> bool:
    """Make the broker's suspension what the kill switch says; True when the broker was asked.

    At once when the switch was turned, every 30 seconds otherwise, 5 seconds after a failure. A failure is kept for
    people and never raised.
    """
    if account.mode not in NETWORK_MODES:
        return False
    wanted = LADDER[stop_scopes().level_of_account(account.scope)].cancels == Cancels.EVERYTHING
    # What closes for a halt has to pass: the lock opens after the cancels and closes again when all is flat.
    closing = HaltProcedure.objects.filter(account=account, state=ProcedureState.CLOSING)
    wanted = wanted and not closing.exists()
    link = link_of(account)
    if not _due(link, wanted, wall_now):
        return False
    try:
        _settle(link, broker, wanted)
    except BrokerError as failure:
        problem = f"{'suspending' if wanted else 'releasing'} the account failed: {failure.reason}"[:LONGEST_PROBLEM]
        if problem != link.suspend_problem:
            log.error("second_lock_failed", account=account.name, wanted=wanted, reason=failure.reason)
        link.suspend_problem = problem
    link.suspend_checked_at = wall_now
    link.save(update_fields=["suspended", "suspended_by_us", "suspend_problem", "suspend_checked_at"])
    return True


def _due(link: BrokerLink, wanted: bool, wall_now: datetime) -> bool:
    if link.suspend_checked_at is None:
        return True
    age = wall_now - link.suspend_checked_at
    if link.suspend_problem:
        return age >= RETRY_AFTER
    settled = bool(link.suspended) if wanted else not link.suspended_by_us
    return not settled or age >= CHECK_EVERY


def _settle(link: BrokerLink, broker: Broker, wanted: bool) -> None:
    """Suspend, release or only look.

    That a suspension is ours is stored before it is asked for: a crash in between must not make it a stranger's.
    """
    observed = bool(broker.account().suspended)
    if wanted and not observed:
        link.suspended_by_us = True
        link.save(update_fields=["suspended_by_us"])
        crashpoint(Point.LOCK_AFTER_NOTE)
        broker.suspend(True)
        crashpoint(Point.LOCK_AFTER_CALL)
        observed = True
        log.warning("account_suspended_at_broker", account_id=link.account_id)
    elif not wanted and observed and link.suspended_by_us:
        broker.suspend(False)
        observed = link.suspended_by_us = False
        log.warning("account_released_at_broker", account_id=link.account_id)
    elif not observed:
        link.suspended_by_us = False
    link.suspended, link.suspend_problem = observed, ""
