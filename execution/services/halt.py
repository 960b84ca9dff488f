"""Engage the kill switch and cancel what is open, in that order."""

from datetime import datetime

import structlog
from django.conf import settings
from django.db import DatabaseError

from execution.crashpoints import Point, crashpoint
from execution.halting.procedure import begin
from execution.halting.scopes import CLOSING, adding, cancels_of, covered_by, covers_account
from execution.models import Account, Order
from execution.selectors import desk_account
from execution.services.cancels import cancel_open_orders
from execution.services.patience import lock_patience
from execution.services.slices import pause_parents
from execution.states import OPEN
from execution.types import HaltReport, HaltWish
from risk.selectors import level_of
from risk.services import kill_switch
from risk.states import SwitchLevel
from risk.stops import Cancels, strongest

log = structlog.get_logger(__name__)
PATIENCE, PATIENCE_AFTER_FAILURE = 300, 50
"""How long cancels of an account wait for a lock (ms): who has pressed must hear at once that trading is stopped."""


def engage_kill_switch(
    *,
    scope: str,
    operator: str,
    reason: str,
    source: str,
    wall_now: datetime,
    level: str = SwitchLevel.HALTED,
    everything: bool = False,
    at_open: bool = False,
) -> HaltReport:
    """Stop trading in the scope as far as the level says, then cancel its open orders (or those that add risk).

    The switch is committed first and alone: nothing that goes wrong with the cancels can undo it, and what goes wrong
    in one account spares no other. Cancels give up on locks that are held: the account is named in the report, and the
    dispatcher sweeps it again and again. Engaging again cancels again what is open, so a second press is never useless.
    What comes after (the proof at the broker, closing positions) is a procedure that the dispatcher moves on;
    `everything` and `at_open` are its wishes.
    :raises InvalidReason, InvalidScope, InvalidLevel: nothing is stored
    """
    already = level_of(scope)
    event = kill_switch.engage(scope=scope, operator=operator, reason=reason, source=source, now=wall_now, level=level)
    in_force = strongest((already, level))
    crashpoint(Point.KILL_AFTER_ROW)
    paused = _pause(scope, in_force, operator, wall_now)
    unsent = requested = 0
    orders: list[int] = []
    failed: list[str] = []
    for account in _affected(scope):
        try:
            with lock_patience(PATIENCE_AFTER_FAILURE if failed else PATIENCE):
                done, asked, ids = _cancel(account, scope, in_force, operator, wall_now, everything=everything)
        except DatabaseError as error:
            log.error("kill_switch_cancels_failed", account=account.name, scope=scope, reason=str(error))
            failed.append(account.name)
            continue
        unsent, requested = unsent + done, requested + asked
        orders.extend(ids)
        crashpoint(Point.KILL_BETWEEN_ACCOUNTS)
    crashpoint(Point.KILL_AFTER_CANCELS)
    wish = HaltWish(
        scope=scope,
        level=in_force,
        event_id=event.pk,
        operator=operator,
        reason=event.reason,
        everything=everything,
        at_open=at_open,
    )
    return HaltReport(
        event_id=event.pk,
        already_engaged=already != SwitchLevel.ACTIVE,
        canceled_unsent=unsent,
        cancel_requested=requested,
        orders=tuple(orders),
        failed_accounts=tuple(failed),
        level=in_force,
        procedure_id=_begin(wish, wall_now),
        paused_parents=paused,
    )


def _cancel(
    account: Account, scope: str, level: SwitchLevel, operator: str, wall_now: datetime, *, everything: bool
) -> tuple[int, int, tuple[int, ...]]:
    matching = covered_by(scope)
    if level == SwitchLevel.FLATTENING:
        matching &= ~CLOSING
    return cancel_open_orders(
        orders=matching,
        account=account,
        operator=operator,
        wall_now=wall_now,
        reason=f"kill switch {scope}",
        choose=adding if cancels_of(level) == Cancels.INCREASING else None,
        everything=everything,
    )


def _pause(scope: str, level: SwitchLevel, operator: str, wall_now: datetime) -> int:
    """Pause what is worked in slices, so that it does not go on by itself after a release; returns how many."""
    if cancels_of(level) != Cancels.EVERYTHING:
        return 0
    try:
        with lock_patience(PATIENCE):
            return len(pause_parents(scope=scope, operator=operator, reason=f"kill switch {scope}", wall_now=wall_now))
    except DatabaseError as error:  # the gate refuses their slices, and the procedure pauses them again
        log.error("parents_not_paused", scope=scope, reason=str(error))
        return 0


def _begin(wish: HaltWish, wall_now: datetime) -> int | None:
    """Open the procedure at the desk's account; the dispatcher does so where this fails."""
    account = desk_account(str(settings.TRADING_MODE))
    if account is None or not covers_account(wish.scope, account):
        return None
    try:
        with lock_patience(PATIENCE):
            return begin(account=account, wish=wish, wall_now=wall_now).pk
    except DatabaseError as error:
        log.error("halt_not_begun", scope=wish.scope, reason=str(error))
        return None


def _affected(scope: str) -> list[Account]:
    trading = Order.objects.filter(covered_by(scope), status__in=sorted(OPEN)).values("account_id")
    return list(Account.objects.filter(pk__in=trading).select_related("feed").order_by("pk"))
