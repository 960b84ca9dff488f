"""What a turn of the kill switch would do now, counted before anybody turns it; nothing is locked or changed."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import F, QuerySet, Sum

from execution.brokers.alpaca_modes import NETWORK_MODES
from execution.halting.scopes import cancels_of, covered_by, covers_account
from execution.models import Account, Order, ParentOrder, Position
from execution.selectors import positions
from execution.slicing.states import PARENT_LIVE
from execution.states import OPEN, OrderStatus
from marketdata import calendar
from risk.errors import InvalidLevel
from risk.selectors import level_of
from risk.services.kill_switch import LEVELS, require_scope
from risk.states import SwitchLevel
from risk.stops import Cancels, strongest
from trading.models import Heartbeat, Run
from trading.states import RunState

ZERO = Decimal(0)
SHOWN = 5
SILENT = timedelta(seconds=5)
"""Wall time after which cancels are said to wait for a dispatcher that gives no sign of life."""
UNDER_WAY = (RunState.RUNNING, RunState.AWAITING_FILLS)


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltPreview:
    """Scope and consequence; values in account currency at reserve prices and marks, times are wall time."""

    scope: str
    level: str
    level_now: str
    level_then: str
    open_orders: int
    open_value: Decimal
    cancel_pending: int
    being_replaced: int
    replaced_alive: int
    orders: tuple[Order, ...]
    positions: int
    gross: Decimal
    parents: int
    parent_shares_left: Decimal
    runs_under_way: int
    runs_pending: int
    market_phase: str
    dispatcher_silent_seconds: int | None
    notes: tuple[str, ...]


def preview(
    *, scope: str, level: str, account: Account | None, wall_now: datetime, at_open: bool = False
) -> HaltPreview:
    """Count what engaging the scope at the level would touch: in every account orders, at the desk's the rest.

    :raises InvalidScope, InvalidLevel: there is no such scope or level
    """
    require_scope(scope)
    if level not in LEVELS:
        raise InvalidLevel(f"level: got {level!r}, allowed are {', '.join(LEVELS)}")
    working = Order.objects.filter(covered_by(scope), status__in=sorted(OPEN))
    left = F("quantity") - F("filled_quantity")
    held, gross = _positions(scope, account, wall_now)
    parents = ParentOrder.objects.filter(covered_by(scope), status__in=sorted(PARENT_LIVE))
    now_at = level_of(scope)
    silent = silent_seconds(wall_now)
    phase = "unknown" if account is None else calendar.market_phase(account.feed.market_now(wall_now))
    counted = HaltPreview(
        scope=scope,
        level=level,
        level_now=now_at.value,
        level_then=strongest((now_at, level)).value,
        open_orders=working.count(),
        open_value=working.aggregate(value=Sum(left * F("reserve_price")))["value"] or ZERO,
        cancel_pending=working.filter(status=OrderStatus.PENDING_CANCEL).count(),
        being_replaced=working.filter(status=OrderStatus.PENDING_REPLACE).count(),
        replaced_alive=working.filter(replaces_id__isnull=False).count(),
        orders=tuple(working.select_related("instrument", "strategy", "account").order_by("-id")[:SHOWN]),
        positions=held,
        gross=gross,
        parents=parents.count(),
        parent_shares_left=_shares_left(parents),
        runs_under_way=_runs(scope, UNDER_WAY),
        runs_pending=_runs(scope, (RunState.PENDING,)),
        market_phase=phase,
        dispatcher_silent_seconds=silent,
        notes=(),
    )
    return _with_notes(counted, account, at_open)


def dispatcher_note(silent: int | None) -> str:
    """Say that cancels wait for a process that is silent; empty while it is not."""
    if silent is None:
        return "cancels wait: no dispatcher has ever given a sign of life (--direct cancels from the command itself)"
    if silent > SILENT.total_seconds():
        return f"cancels wait: dispatcher silent {silent} s (--direct cancels from the command itself)"
    return ""


def silent_seconds(wall_now: datetime) -> int | None:
    """Return for how long the dispatcher has given no sign of life (wall seconds); None when it never did."""
    at = Heartbeat.objects.filter(name="dispatcher").values_list("at", flat=True).first()
    return None if at is None else max(int((wall_now - at).total_seconds()), 0)


def _with_notes(counted: HaltPreview, account: Account | None, at_open: bool) -> HaltPreview:
    notes = []
    wanted = cancels_of(counted.level_then)
    if counted.level_then != counted.level:
        notes.append(f"{counted.scope} is at {counted.level_now} already: a weaker level takes nothing back")
    if wanted == Cancels.INCREASING:
        notes.append("open orders that reduce a position stay")
    if counted.cancel_pending:
        notes.append(f"{counted.cancel_pending} cancels are under way already and are not sent twice")
    if counted.being_replaced:
        notes.append(f"{counted.being_replaced} orders are being replaced: their cancel is repeated until it is taken")
    if counted.level_then == SwitchLevel.FLATTENING and counted.market_phase != "open":
        notes.append(
            "the market is closed: closing orders wait for the opening auction"
            if at_open
            else "the market is closed: positions are left and named; ask for the next open to queue them"
        )
    if note := dispatcher_note(counted.dispatcher_silent_seconds):
        notes.append(note)
    if account is not None and account.mode in NETWORK_MODES and wanted == Cancels.EVERYTHING:
        notes.append("the account is suspended at the broker as well; orders that are not ours are listed and left")
    return replace(counted, notes=tuple(notes))


def _positions(scope: str, account: Account | None, wall_now: datetime) -> tuple[int, Decimal]:
    if account is None or not covers_account(scope, account):
        return 0, ZERO
    ids = set(
        Position.objects.filter(covered_by(scope), account=account).exclude(quantity=0).values_list("pk", flat=True)
    )
    held = [line for line in positions(account, wall_now) if line.position_id in ids]
    return len(held), sum((abs(line.market_value) for line in held), ZERO)


def _shares_left(parents: QuerySet[ParentOrder]) -> Decimal:
    total = parents.aggregate(shares=Sum("quantity"))["shares"] or ZERO
    done = Order.objects.filter(parent__in=parents).aggregate(shares=Sum("filled_quantity"))["shares"] or ZERO
    return total - done


def _runs(scope: str, states: tuple[RunState, ...]) -> int:
    kind, _, name = scope.partition(":")
    runs = Run.objects.filter(state__in=states)
    if kind == "strategy":
        runs = runs.filter(strategy__name=name)
    elif kind == "account":
        runs = runs.filter(account__name=name)
    return 0 if kind == "symbol" else runs.count()
