"""A halt until it is proved: cancel, list at the broker until it was twice empty, close positions, verify.

Every step may be repeated and every process may die between two of them. Who takes a step has counted the procedure's
version up first (the fence); what it writes at the end is written only while nobody has counted since.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction
from django.db.models import F, Q

from execution.brokers.base import Broker, BrokerError
from execution.crashpoints import Point, crashpoint
from execution.halting.closing import GIVEN_UP, MOST_FAILURES
from execution.halting.looking import close_positions, look_at_orders, orders_of
from execution.halting.residue import Kind, Why, keeps_open, left, note
from execution.halting.scopes import CLOSING, adding, cancels_of, covers_account
from execution.models import Account, HaltProcedure, Order
from execution.models.halting import RUNNING, ProcedureState
from execution.services.cancels import cancel_open_orders
from execution.services.slices import pause_parents
from execution.states import OrderStatus
from execution.types import HaltWish
from risk.selectors import kill_switch_status
from risk.services.alerts import raise_alert, resolve_alert
from risk.states import AlertSeverity, SwitchLevel
from risk.stops import Cancels

log = structlog.get_logger(__name__)
STEP = timedelta(seconds=1)
WHILE_LEFT = timedelta(seconds=5)
EMPTY_TWICE = 2
ACTOR = "kill switch"


def begin(*, account: Account, wish: HaltWish, wall_now: datetime) -> HaltProcedure:
    """Open the procedure of a halt in the account, in place of an earlier one of the same scope.

    One that carries out the same engage already is returned as it is (a second click), unless it has given something
    up or less was asked of it: pressing again begins the tries anew. Locks: the earlier one.
    """
    running = _running(account, wish.scope)
    if running is not None and _does_all_of(running, wish):
        return running
    try:
        with transaction.atomic():
            end_running(account=account, scope=wish.scope, wall_now=wall_now)
            return HaltProcedure.objects.create(
                account=account,
                scope=wish.scope,
                level=wish.level,
                event_id=wish.event_id,
                flatten=wish.flatten or wish.level == SwitchLevel.FLATTENING,
                everything=wish.everything,
                at_open=wish.at_open,
                top_order_id=None if wish.event_id or wish.level != SwitchLevel.ACTIVE else _top_order(account),
                operator=wish.operator,
                reason=wish.reason,
                asked_at=wall_now,
                next_at=wall_now,
            )
    except IntegrityError:  # somebody else has begun one at the same moment
        return HaltProcedure.objects.get(account=account, scope=wish.scope, state__in=RUNNING)


def end_running(*, account: Account, scope: str, wall_now: datetime) -> int:
    """End what still runs in the scope, because it was released or another one follows; its closing orders go too."""
    running = list(
        HaltProcedure.objects.select_for_update(no_key=True).filter(account=account, scope=scope, state__in=RUNNING)
    )
    for procedure in running:
        HaltProcedure.objects.filter(pk=procedure.pk).update(
            state=ProcedureState.SUPERSEDED, finished_at=wall_now, version=F("version") + 1
        )
        _tell(procedure, [], wall_now)
        cancel_open_orders(
            orders=CLOSING & Q(source_ref=procedure.ref) & ~Q(status=OrderStatus.PENDING_CANCEL),
            account=account,
            operator=ACTOR,
            wall_now=wall_now,
            reason="its halt was replaced or released",
        )
    return len(running)


def ensure_procedures(*, account: Account, wall_now: datetime) -> list[HaltProcedure]:
    """Open the procedures of engaged switches that have none, and end those whose switch was released.

    So a crash between the switch and its procedure loses nothing but wishes about strangers and the next open.
    """
    engaged = {status.scope: status for status in kill_switch_status() if status.engaged}
    engaged = {scope: status for scope, status in engaged.items() if covers_account(scope, account)}
    known = set(
        HaltProcedure.objects.filter(account=account, event_id__in=[status.event_id for status in engaged.values()])
        .exclude(state=ProcedureState.SUPERSEDED)
        .values_list("scope", "event_id")
    )
    begun = [
        begin(
            account=account,
            wish=HaltWish(
                scope=scope,
                level=status.level,
                event_id=status.event_id,
                operator=status.operator or "unknown",
                reason=status.reason,
            ),
            wall_now=wall_now,
        )
        for scope, status in engaged.items()
        if status.event_id and (scope, status.event_id) not in known
    ]
    stale = HaltProcedure.objects.filter(account=account, state__in=RUNNING, event_id__gt=0)
    for procedure in stale.exclude(scope__in=list(engaged)):
        with transaction.atomic():
            end_running(account=account, scope=procedure.scope, wall_now=wall_now)
    return begun


def advance(*, account: Account, broker: Broker, wall_now: datetime) -> int:
    """Take a step of every halt of the account that is due; returns how many steps were taken.

    A broker that cannot be asked is asked again later, and the procedure says so. Locks: orders, positions, account.
    """
    due = HaltProcedure.objects.filter(account=account, state__in=RUNNING, next_at__lte=wall_now)
    taken = 0
    for procedure in due.select_related("account__feed").order_by("pk"):
        taken += step(procedure, broker, wall_now)
    return taken


def step(procedure: HaltProcedure, broker: Broker, wall_now: datetime) -> bool:
    """Take one step, unless somebody else takes it."""
    if not _take(procedure, wall_now):
        return False
    procedure.version += 1
    try:
        _act(procedure, broker, wall_now)
    except BrokerError as failure:
        _write(procedure, problem=f"the broker cannot be asked: {failure.reason}"[:300])
    return True


def _take(procedure: HaltProcedure, wall_now: datetime) -> bool:
    """Count the version up, which only one of all who have read it can."""
    mine = HaltProcedure.objects.filter(pk=procedure.pk, version=procedure.version, state__in=RUNNING)
    return bool(mine.update(version=F("version") + 1, next_at=wall_now + STEP, stepped_at=wall_now))


def _act(procedure: HaltProcedure, broker: Broker, wall_now: datetime) -> None:
    _cancel_in_book(procedure, wall_now)
    crashpoint(Point.HALT_AFTER_CANCELS)
    quiet = look_at_orders(procedure, broker, wall_now)
    crashpoint(Point.HALT_AFTER_LOOK)
    if procedure.state == ProcedureState.CANCELING:
        _after_cancels(procedure, quiet, wall_now)
    else:
        _after_closing(procedure, broker, quiet, wall_now)


def _after_cancels(procedure: HaltProcedure, quiet: bool, wall_now: datetime) -> None:
    empties = procedure.empties + 1 if quiet else 0
    if empties < EMPTY_TWICE:
        _write(procedure, empties=empties, problem="")
        _tell(procedure, keeps_open(procedure), wall_now)
    elif procedure.flatten:
        _write(procedure, state=ProcedureState.CLOSING, empties=0, problem="", next_at=wall_now)
    else:
        _finish(procedure, wall_now)


def _after_closing(procedure: HaltProcedure, broker: Broker, quiet: bool, wall_now: datetime) -> None:
    found = close_positions(procedure, broker, wall_now)
    crashpoint(Point.HALT_AFTER_CLOSING)
    note(procedure, found, kind=Kind.POSITION, wall_now=wall_now)
    empties = procedure.empties + 1 if quiet and not found else 0
    if empties >= EMPTY_TWICE:
        _finish(procedure, wall_now)
        return
    waiting = keeps_open(procedure)
    if found and not waiting:
        _finish(procedure, wall_now, state=ProcedureState.ACCEPTED)
        return
    stuck = bool(waiting) and all(_is_given_up(row.kind, row.why, row.failures) for row in waiting)
    _write(
        procedure,
        state=ProcedureState.RESIDUE if stuck else ProcedureState.CLOSING,
        empties=empties,
        problem="",
        next_at=wall_now + (WHILE_LEFT if stuck else STEP),
    )
    _tell(procedure, waiting if stuck else [], wall_now)


def _is_given_up(kind: str, why: str, failures: int) -> bool:
    if kind != Kind.POSITION or why not in GIVEN_UP:
        return False
    return failures >= MOST_FAILURES or why not in (Why.DENIED, Why.REFUSED)


def _cancel_in_book(procedure: HaltProcedure, wall_now: datetime) -> None:
    reducing = cancels_of(procedure.level) == Cancels.INCREASING
    if cancels_of(procedure.level) == Cancels.EVERYTHING:
        said = f"kill switch {procedure.scope}"
        pause_parents(scope=procedure.scope, operator=procedure.operator, reason=said, wall_now=wall_now)
    cancel_open_orders(
        orders=orders_of(procedure) & ~Q(status=OrderStatus.PENDING_CANCEL),
        account=procedure.account,
        operator=ACTOR if procedure.event_id else procedure.operator,
        wall_now=wall_now,
        reason=f"{procedure.scope} {procedure.level}: halt {procedure.pk}",
        choose=adding if reducing else None,
        everything=procedure.everything,
    )


def _finish(procedure: HaltProcedure, wall_now: datetime, state: ProcedureState = ProcedureState.VERIFIED) -> None:
    """End it and its alert together; what was accepted by name keeps it from being called verified."""
    if state == ProcedureState.VERIFIED and any(row.accepted_at for row in left(procedure)):
        state = ProcedureState.ACCEPTED
    with transaction.atomic():
        _write(procedure, state=state, finished_at=wall_now, empties=EMPTY_TWICE, problem="")
        crashpoint(Point.HALT_BEFORE_END)
        _tell(procedure, [], wall_now)
    crashpoint(Point.HALT_AFTER_END)
    log.warning("halt_over", procedure_id=procedure.pk, scope=procedure.scope, state=state.value)


def _write(procedure: HaltProcedure, **fields: object) -> None:
    """Write the outcome of the step, unless somebody has taken the procedure since."""
    if HaltProcedure.objects.filter(pk=procedure.pk, version=procedure.version).update(**fields):
        for name, value in fields.items():
            setattr(procedure, name, value)


def _tell(procedure: HaltProcedure, rows: Sequence[object], wall_now: datetime) -> None:
    subject = f"{procedure.account.scope} halt:{procedure.pk}"
    if not rows:
        resolve_alert(code="halt_residue", subject=subject, now=wall_now)
        return
    raise_alert(
        code="halt_residue",
        subject=subject,
        severity=AlertSeverity.CRITICAL,
        message=f"halt of {procedure.scope}: {len(rows)} left: " + "; ".join(str(row) for row in rows[:5]),
        now=wall_now,
    )


def _does_all_of(running: HaltProcedure, wish: HaltWish) -> bool:
    if not wish.event_id or running.event_id != wish.event_id or running.state == ProcedureState.RESIDUE:
        return False
    return running.everything >= wish.everything and running.at_open >= wish.at_open


def _running(account: Account, scope: str) -> HaltProcedure | None:
    return HaltProcedure.objects.filter(account=account, scope=scope, state__in=RUNNING).first()


def _top_order(account: Account) -> int:
    return Order.objects.filter(account=account).order_by("-pk").values_list("pk", flat=True).first() or 0
