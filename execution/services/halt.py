"""Engage the kill switch and cancel what is open, in that order."""

from datetime import datetime

import structlog
from django.db import DatabaseError

from execution.crashpoints import Point, crashpoint
from execution.halting.scopes import CLOSING, adding, cancels_of, covered_by
from execution.models import Account, Order
from execution.services.cancels import cancel_open_orders
from execution.services.patience import lock_patience
from execution.states import OPEN
from execution.types import HaltReport
from risk.selectors import level_of
from risk.services import kill_switch
from risk.states import SwitchLevel
from risk.stops import Cancels, strongest

log = structlog.get_logger(__name__)
PATIENCE, PATIENCE_AFTER_FAILURE = 300, 50
"""How long the cancels of an account wait for a lock (ms): who has pressed must hear at once that trading is stopped."""


def engage_kill_switch(
    *, scope: str, operator: str, reason: str, source: str, wall_now: datetime, level: str = SwitchLevel.HALTED
) -> HaltReport:
    """Stop trading in the scope as far as the level says, then cancel its open orders (or those that add risk).

    The switch is committed first and alone: nothing that goes wrong with the cancels can undo it, and what goes wrong
    in one account spares no other. Cancels give up on locks that are held: the account is named in the report, and the
    dispatcher sweeps it again and again. Engaging again cancels again what is open, so a second press is never useless.
    :raises InvalidReason, InvalidScope, InvalidLevel: nothing is stored
    """
    already = level_of(scope)
    event = kill_switch.engage(scope=scope, operator=operator, reason=reason, source=source, now=wall_now, level=level)
    in_force = strongest((already, level))
    matching = covered_by(scope) if in_force != SwitchLevel.FLATTENING else covered_by(scope) & ~CLOSING
    choose = adding if cancels_of(in_force) == Cancels.INCREASING else None
    crashpoint(Point.KILL_AFTER_ROW)
    unsent = requested = 0
    orders: list[int] = []
    failed: list[str] = []
    for account in _affected(scope):
        try:
            with lock_patience(PATIENCE_AFTER_FAILURE if failed else PATIENCE):
                done, asked, ids = cancel_open_orders(
                    orders=matching,
                    account=account,
                    operator=operator,
                    wall_now=wall_now,
                    reason=f"kill switch {scope}",
                    choose=choose,
                )
        except DatabaseError as error:
            log.error("kill_switch_cancels_failed", account=account.name, scope=scope, reason=str(error))
            failed.append(account.name)
            continue
        unsent, requested = unsent + done, requested + asked
        orders.extend(ids)
        crashpoint(Point.KILL_BETWEEN_ACCOUNTS)
    crashpoint(Point.KILL_AFTER_CANCELS)
    was_engaged = already != SwitchLevel.ACTIVE
    return HaltReport(event.pk, was_engaged, unsent, requested, tuple(orders), tuple(failed), in_force)


def _affected(scope: str) -> list[Account]:
    trading = Order.objects.filter(covered_by(scope), status__in=sorted(OPEN)).values("account_id")
    return list(Account.objects.filter(pk__in=trading).select_related("feed").order_by("pk"))
