"""Let a scope trade again: two people, a wait, and nothing left of its halt that nobody has accepted."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from execution.errors import HaltNotOver
from execution.halting.procedure import end_running
from execution.halting.residue import keeps_open
from execution.halting.scopes import covered_by
from execution.models import Account, HaltProcedure, Order, ParentOrder
from execution.models.halting import RUNNING, ProcedureState
from execution.slicing.states import ParentStatus
from execution.states import OPEN
from risk import selectors
from risk.models import KillSwitchEvent, ReleaseRequest
from risk.services import kill_switch
from risk.states import SwitchLevel

SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStatement:
    """What a release of the scope would let loose, and what it would not; lines are for people."""

    scope: str
    level: str
    to_level: str
    lines: tuple[str, ...]


def statement(scope: str, *, to_level: str = SwitchLevel.ACTIVE) -> ReleaseStatement:
    """Say what a release means: which engages it takes back, what stays as it is."""
    engages = list(selectors.engages_in_force(scope)[:SHOWN])
    lines = [
        f"{event.level} by {event.operator} at {event.at:%Y-%m-%d %H:%M:%S} UTC: {event.reason}" for event in engages
    ]
    paused = ParentOrder.objects.filter(covered_by(scope), status=ParentStatus.PAUSED).count()
    working = Order.objects.filter(covered_by(scope), status__in=sorted(OPEN)).count()
    lines += [
        f"{working} orders are still open in the scope",
        f"{paused} orders in slices stay paused: each is resumed by hand",
        "the breaker stays as it is",
    ]
    return ReleaseStatement(scope=scope, level=selectors.level_of(scope).value, to_level=to_level, lines=tuple(lines))


def require_over(scope: str) -> None:
    """Make sure that no halt of the scope closes positions still, or has left what nobody has accepted.

    :raises HaltNotOver: it names what is left
    """
    for procedure in HaltProcedure.objects.filter(scope=scope, state__in=RUNNING).select_related("account"):
        waiting = keeps_open(procedure)
        closing = procedure.flatten and procedure.state != ProcedureState.RESIDUE
        if not waiting and not closing:
            continue
        rest = ", ".join(f"{row.kind} {row.name} ({row.why})" for row in waiting[:SHOWN])
        said = f"left: {rest}" if rest else "it is not verified yet"
        raise HaltNotOver(
            f"halt {procedure.pk} of {scope} in {procedure.account.name} is {procedure.state}: {said}; "
            "wait for it, or accept what is left by name"
        )


@transaction.atomic
def approve_release(*, request_id: int, operator: str, source: str, wall_now: datetime) -> KillSwitchEvent:
    """Release as the second person, and end the halt of the scope. Locks: the request, procedures, orders, positions.

    :raises HaltNotOver: something is left of its halt
    :raises RequestNotPending, SecondOperatorRequired, AlreadyInState, TooSoon: nothing changes
    """
    asked = ReleaseRequest.objects.filter(pk=request_id).first()
    if asked is not None:
        require_over(asked.scope)
    event = kill_switch.approve_release(request_id=request_id, operator=operator, source=source, now=wall_now)
    running = Account.objects.filter(halts__scope=event.scope, halts__state__in=RUNNING).select_related("feed")
    for account in running.distinct().order_by("pk"):
        end_running(account=account, scope=event.scope, wall_now=wall_now)
    return event
