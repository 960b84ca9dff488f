"""Take pending orders to be sent: the second look at everything that may have changed since the gate."""

from dataclasses import dataclass, field
from datetime import date, datetime

from django.db import transaction
from django.db.models import Q

from execution.brokers.alpaca_modes import NETWORK_MODES
from execution.crashpoints import Point, crashpoint
from execution.models import Account, BrokerLink, HaltProcedure, Order, OrderEvent, Position
from execution.models.halting import ProcedureState
from execution.reconciliation.forced import is_forced
from execution.services import legs, successors
from execution.services.journal import Journal
from execution.services.refusals import MOST, refused_too_often
from execution.states import OrderStatus
from marketdata import calendar
from risk.selectors import breaker_status, is_outdated, stop_scopes
from risk.states import BreakerState
from risk.stops import StopScopes
from risk.types import DenialCode, OrderType, Origin, TimeInForce

CLOSING = Q(origin=Origin.FLATTEN, reduce_only=True)
DISPATCH = OrderEvent.Source.DISPATCH
ACTOR = "dispatcher"
HALT_OVER = "HALT_OVER"
SESSION_OVER = "session_over"
BROKER_BLOCKED = "BROKER_BLOCKED"
REFUSED_TOO_OFTEN = "REFUSED_TOO_OFTEN"


@dataclass(frozen=True, slots=True)
class Claim:
    """Orders that are to be sent now (or were marked as a dry run), and how many will never be."""

    orders: list[Order] = field(default_factory=list)
    denied: int = 0
    expired: int = 0
    has_groups: bool = False


@transaction.atomic
def claim_pending(*, account: Account, dry_run: bool, wall_now: datetime, market_at: datetime, limit: int) -> Claim:
    """Mark pending orders as submitted (or as a dry run): the second look, at what may have changed since the gate.

    Of an account that is not reconciled, and in a process of another version than the announced one, only what an
    operator closes positions with leaves; what the kill switch, the breaker or a smaller position stops is denied; what
    was good for a session that is over expires, because its price and its limits are of yesterday.
    Locks: orders (skipping those another dispatcher holds), positions.
    """
    journal = Journal.lock(
        orders=Q(account_id=account.pk, status=OrderStatus.PENDING) & _may_leave(account, wall_now),
        market_at=market_at,
        wall_now=wall_now,
        skip_locked=True,
        limit=limit,
    )
    if not journal.orders:
        return Claim()
    claimed: list[Order] = []
    expired = 0
    stops, session = _stops(account, wall_now), calendar.trading_date(market_at)
    waiting = list(journal.orders.values())
    pairs = successors.Pairs.completed(journal)
    waiting = [order for order in waiting if pairs.may_move(order)]
    unwanted = legs.unwanted(waiting)
    for order in waiting:
        refusal = stops.refusal(journal, order)
        if _is_of_yesterday(order, session):
            order.error_code, order.error_message = SESSION_OVER, f"not sent before the end of {order.trading_date}"
            journal.step(order, OrderStatus.EXPIRED, source=DISPATCH, actor=ACTOR, detail={"code": SESSION_OVER})
            expired += 1
        elif refusal is not None:
            order.error_code, order.error_message = refusal
            # One that was sent before and taken for lost may be at the broker after all, and then its fills are facts.
            ends = OrderStatus.DENIED if order.submitted_at is None else OrderStatus.CANCELED
            journal.step(order, ends, source=DISPATCH, actor=ACTOR, detail={"code": refusal[0]})
        elif reason := pairs.pointless(order):
            order.error_code, order.error_message = successors.ORIGINAL_OVER, reason
            journal.step(order, OrderStatus.CANCELED, source=DISPATCH, actor=ACTOR, detail={"reason": reason})
        elif order.pk in unwanted:
            journal.step(order, OrderStatus.CANCELED, source=DISPATCH, actor=ACTOR, detail={"reason": "leg canceled"})
        elif dry_run:
            journal.step(order, OrderStatus.DRY_RUN, source=DISPATCH, actor=ACTOR)
            claimed.append(order)
        else:
            order.submitted_at = wall_now
            journal.step(order, OrderStatus.SUBMITTED, source=DISPATCH, actor=ACTOR)
            claimed.append(order)
        pairs.settle(order)
    journal.save()
    crashpoint(Point.CLAIM_BEFORE_COMMIT)
    denied = len(waiting) - len(claimed) - expired
    return Claim(claimed, denied=denied, expired=expired, has_groups=legs.has_group(waiting))


def _is_of_yesterday(order: Order, session: date) -> bool:
    # A group at the market may be gtc for the sake of its legs: the price of its entry is of its day all the same.
    keeps = order.time_in_force == TimeInForce.GTC and order.order_type != OrderType.MARKET
    return order.trading_date < session and not keeps


def _may_leave(account: Account, wall_now: datetime) -> Q:
    """Match what may leave the account as it is reconciled; two people's word counts until it expires.

    Two versions of the code would trade by two rule books, so one that was replaced takes no new risk; replays have
    one process each.
    """
    if account.kind == Account.Kind.DESK and is_outdated():
        return CLOSING
    state = Account.objects.values_list("reconciliation", flat=True).get(pk=account.pk)
    forced = state == Account.Reconciliation.FORCED and is_forced(account.pk, wall_now)
    if state == Account.Reconciliation.CLEAN or forced:
        return Q()
    return CLOSING


class _Stops:
    """What stands in the way of sending, as of the claim."""

    def __init__(
        self,
        engaged: StopScopes | None = None,
        breaker: BreakerState = BreakerState.OPEN,
        *,
        account_scope: str = "",
        blocked: bool = False,
        is_remote: bool = False,
    ) -> None:
        self._engaged = engaged or StopScopes({})
        self._breaker = breaker
        self._account_scope = account_scope
        self._blocked = blocked
        self._is_remote = is_remote

    def refusal(self, journal: Journal, order: Order) -> tuple[str, str] | None:
        """Return the code and message that keep the order from being sent."""
        reduces = _reduces(journal.position(order), order)
        if order.origin == Origin.FLATTEN and not _is_wanted(order):
            return HALT_OVER, f"the halt that it closes for ({order.source_ref}) is over"
        stop = self._engaged.stop_of(
            account_scope=self._account_scope, strategy=order.strategy.name, symbol=order.instrument.symbol
        )
        if not stop.lets_pass(reduces=reduces, closes=order.origin == Origin.FLATTEN and order.reduce_only):
            return DenialCode.KILL_SWITCH.value, f"the kill switch was engaged before it was sent ({stop.scopes[0]})"
        if self._breaker != BreakerState.OPEN and not reduces:
            return DenialCode.CIRCUIT_BREAKER.value, f"the breaker was {self._breaker} before it was sent"
        if self._blocked and not reduces:
            return BROKER_BLOCKED, "the broker has blocked trading: only orders that reduce a position are sent"
        if order.reduce_only and not reduces:
            return DenialCode.REDUCE_ONLY.value, "it would no longer reduce the position"
        if self._is_remote and refused_too_often(order, journal.wall_now):
            return REFUSED_TOO_OFTEN, f"the broker has refused {MOST} orders of this name within a minute: wait one"
        return None


def _is_wanted(order: Order) -> bool:
    """Tell whether the halt that made a closing order still closes positions."""
    kind, _, number = order.source_ref.partition(":")
    closing = HaltProcedure.objects.filter(account_id=order.account_id, state=ProcedureState.CLOSING)
    return kind == "halt" and number.isdecimal() and closing.filter(pk=int(number)).exists()


def _reduces(position: Position, order: Order) -> bool:
    """Tell whether the order can only bring the position nearer to flat, with every open order of its side filled."""
    leaving = position.open_buy_quantity if order.sign > 0 else position.open_sell_quantity
    opposite = position.quantity * order.sign < 0
    return bool(opposite and abs(position.quantity) >= leaving)


def _stops(account: Account, wall_now: datetime) -> _Stops:
    blocked = BrokerLink.objects.filter(account=account, trading_blocked=True).exists()
    is_remote = account.mode in NETWORK_MODES
    return _Stops(
        stop_scopes(),
        breaker_status(account.scope, wall_now).state,
        account_scope=account.scope,
        blocked=blocked,
        is_remote=is_remote,
    )
