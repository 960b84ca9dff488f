"""Engage the kill switch and cancel what is open, in that order."""

from datetime import datetime

from django.db.models import Q

from execution.models import Account
from execution.services.cancels import cancel_open_orders
from execution.types import HaltReport
from risk.errors import InvalidScope
from risk.models import GLOBAL_SCOPE
from risk.selectors import is_engaged
from risk.services import kill_switch


def engage_kill_switch(*, scope: str, operator: str, reason: str, source: str, wall_now: datetime) -> HaltReport:
    """Stop trading in the scope, then cancel its open orders.

    The switch is committed first and alone: nothing that goes wrong with the cancels can undo it. Engaging again
    cancels again what is open, so a second press is never useless.
    :raises InvalidReason, InvalidScope: nothing is stored
    """
    already = is_engaged(scope)
    event = kill_switch.engage(scope=scope, operator=operator, reason=reason, source=source, now=wall_now)
    unsent = requested = 0
    orders: list[int] = []
    for account, matching in _affected(scope):
        done, asked, ids = cancel_open_orders(
            orders=matching, account=account, operator=operator, wall_now=wall_now, reason=f"kill switch {scope}"
        )
        unsent, requested = unsent + done, requested + asked
        orders.extend(ids)
    return HaltReport(event.pk, already, unsent, requested, tuple(orders))


def _affected(scope: str) -> list[tuple[Account, Q]]:
    kind, _, name = scope.partition(":")
    accounts = Account.objects.select_related("feed").order_by("pk")
    if scope == GLOBAL_SCOPE:
        return [(account, Q()) for account in accounts]
    if kind == "account":
        return [(account, Q()) for account in accounts.filter(name=name)]
    if kind == "strategy":
        return [(account, Q(strategy__name=name)) for account in accounts]
    raise InvalidScope(f"scope: got {scope!r}")
