"""Carry a halt out in this very process: the dispatcher is dead, or about to be stopped."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from execution.models import Account, HaltProcedure, Order
from execution.states import OPEN
from execution.types import HaltWish
from risk.states import SwitchLevel

PAUSE = timedelta(milliseconds=250)
OPERATOR = "graceful stop"


def carry_out(account: Account, *, now: Callable[[], datetime]) -> Callable[[], None]:
    """Return what moves halts of the account on from this process, in the dispatcher's place.

    The broker has to say that it is the account that was met first, then it is suspended, then cancels go out.
    :raises BrokerError: it is another account, or there are no keys
    """
    # Loaded only here: the adapters take longer than all the rest of the command, which must start at once.
    from execution.brokers.registry import broker_for
    from execution.halting.procedure import advance, ensure_procedures
    from execution.services.broker_identity import verify_identity
    from execution.services.dispatch import dispatch_once
    from execution.services.reports import apply_reports
    from execution.services.second_lock import keep_second_lock

    broker = broker_for(account)
    verify_identity(account=account, broker=broker, wall_now=now())

    def work() -> None:
        keep_second_lock(account=account, broker=broker, wall_now=now())
        dispatch_once(account=account, broker=broker, wall_now=now())
        apply_reports(account=account, broker=broker, wall_now=now())
        ensure_procedures(account=account, wall_now=now())
        advance(account=account, broker=broker, wall_now=now())

    return work


def cancel_before_stop(*, account: Account, seconds: int, now: Callable[[], datetime]) -> str:
    """Cancel what the account has open and wait for the broker's word; returns one line for people.

    Nothing is engaged: what a strategy sends after the next start goes out.
    :raises BrokerError: the broker cannot be asked, or is another account
    """
    from execution.halting.procedure import begin

    working = Order.objects.filter(account=account, status__in=sorted(OPEN)).count()
    if not working:
        return "no order is open"
    wish = HaltWish(
        scope=account.scope, level=SwitchLevel.ACTIVE, operator=OPERATOR, reason="open orders are canceled at a stop"
    )
    procedure = begin(account=account, wish=wish, wall_now=now())
    work, until = carry_out(account, now=now), now() + timedelta(seconds=seconds)
    while not procedure.is_over and now() < until:
        work()
        time.sleep(PAUSE.total_seconds())
        procedure = HaltProcedure.objects.get(pk=procedure.pk)
    if procedure.is_over:
        return f"{working} open orders canceled, verified at the broker"
    return f"{working} orders were open; after {seconds} s their cancels are NOT verified: look at the broker"
