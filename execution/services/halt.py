"""Engage the kill switch and cancel what is open, in that order."""

from datetime import datetime

import structlog
from django.db import DatabaseError
from django.db.models import Q

from execution.crashpoints import Point, crashpoint
from execution.models import Account, Order
from execution.services.cancels import cancel_open_orders
from execution.states import OPEN
from execution.types import HaltReport
from risk.models import GLOBAL_SCOPE
from risk.selectors import is_engaged
from risk.services import kill_switch

log = structlog.get_logger(__name__)


def engage_kill_switch(*, scope: str, operator: str, reason: str, source: str, wall_now: datetime) -> HaltReport:
    """Stop trading in the scope, then cancel its open orders.

    The switch is committed first and alone: nothing that goes wrong with the cancels can undo it, and what goes wrong
    in one account spares no other. Engaging again cancels again what is open, so a second press is never useless.
    :raises InvalidReason, InvalidScope: nothing is stored
    """
    already = is_engaged(scope)
    event = kill_switch.engage(scope=scope, operator=operator, reason=reason, source=source, now=wall_now)
    crashpoint(Point.KILL_AFTER_ROW)
    unsent = requested = 0
    orders: list[int] = []
    failed: list[str] = []
    for account, matching in _affected(scope):
        try:
            done, asked, ids = cancel_open_orders(
                orders=matching, account=account, operator=operator, wall_now=wall_now, reason=f"kill switch {scope}"
            )
        except DatabaseError as error:
            log.error("kill_switch_cancels_failed", account=account.name, scope=scope, reason=str(error))
            failed.append(account.name)
            continue
        unsent, requested = unsent + done, requested + asked
        orders.extend(ids)
        crashpoint(Point.KILL_BETWEEN_ACCOUNTS)
    crashpoint(Point.KILL_AFTER_CANCELS)
    return HaltReport(event.pk, already, unsent, requested, tuple(orders), tuple(failed))


def _affected(scope: str) -> list[tuple[Account, Q]]:
    kind, _, name = scope.partition(":")
    trading = Order.objects.filter(status__in=sorted(OPEN)).values("account_id")
    accounts = Account.objects.filter(pk__in=trading).select_related("feed").order_by("pk")
    if scope == GLOBAL_SCOPE:
        return [(account, Q()) for account in accounts]
    if kind == "account":
        return [(account, Q()) for account in accounts.filter(name=name)]
    return [(account, Q(strategy__name=name)) for account in accounts]
