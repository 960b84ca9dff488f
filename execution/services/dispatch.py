"""Send what was stored, and send it once: claim, commit, call the broker, record the answer.

Cancels go first: they must never queue behind new risk. The claim is the second look at the kill switch and the
breaker, because the gate's look may be a moment old. A crash between claim and answer leaves `submitted`, which
recovery resolves.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Q

from execution.brokers.base import (
    Broker,
    BrokerError,
    BrokerOrder,
    BrokerOutcomeUnknown,
    BrokerRejected,
    BrokerUnavailable,
    BrokerUnreachable,
    DuplicateClientOrderId,
    LegRequest,
    OrderNotFound,
    OrderRequest,
)
from execution.models import Account, BrokerLink, Order, OrderEvent, Position
from execution.services import legs, successors
from execution.services.booking import learn_broker_id
from execution.services.broker_identity import NETWORK_MODES
from execution.services.cancel_turns import Turns
from execution.services.in_flight import sending
from execution.services.journal import Journal
from execution.services.refusals import MOST, refused_too_often
from execution.states import OrderStatus
from execution.types import DispatchReport
from marketdata import calendar
from risk.selectors import breaker_status, kill_switch_status
from risk.states import BreakerState
from risk.types import DenialCode, OrderType, TimeInForce

log = structlog.get_logger(__name__)
CHANNEL = "portcullis_dispatch"
DISPATCH, BROKER = OrderEvent.Source.DISPATCH, OrderEvent.Source.BROKER
ACTOR = "dispatcher"
SESSION_OVER = "session_over"
BROKER_BLOCKED = "BROKER_BLOCKED"
REFUSED_TOO_OFTEN = "REFUSED_TOO_OFTEN"
CODE_LENGTH = 64
MAX_UNREACHABLE = 3
"""So many cancels in one round find nobody there before the rest of them waits."""
CANCEL_AGAIN_AFTER = timedelta(seconds=2)
"""Wall time between two cancels of an order that is being replaced: each is a request and two lines of its life."""
UNANSWERED = (OrderStatus.SUBMITTED, OrderStatus.PENDING_CANCEL)


@dataclass(frozen=True, slots=True)
class Claim:
    """Orders that are to be sent now (or were marked as a dry run), and how many will never be."""

    orders: list[Order] = field(default_factory=list)
    denied: int = 0
    expired: int = 0
    has_groups: bool = False


def dispatch_once(
    *, account: Account, broker: Broker, wall_now: datetime, limit: int = 100, with_cancels: bool = True
) -> DispatchReport:
    """Send all waiting cancels, then at most `limit` pending orders, and no more than the broker takes at once.

    While the broker wants a pause only cancels go; without `with_cancels` somebody else sends these. Broker calls run
    outside every transaction. The account and its feed are read anew, because the caller's copies may be old.
    """
    account = Account.objects.select_related("feed").get(pk=account.pk)
    market_at = account.feed.market_now(wall_now)
    cancels = 0
    if with_cancels:
        cancels = send_cancels(account=account, broker=broker, wall_now=wall_now, market_at=market_at)
    waiting = Order.objects.filter(account=account, status=OrderStatus.PENDING)
    if broker.pause_seconds > 0 or not waiting.exists():
        return DispatchReport(cancels_sent=cancels)
    batch = min(limit, broker.submit_batch_size)
    with sending(account.pk):
        claim = claim_pending(
            account=account, dry_run=broker.is_dry_run, wall_now=wall_now, market_at=market_at, limit=batch
        )
        if claim.has_groups:
            legs.settle_legs(account.pk, market_at=market_at, wall_now=wall_now)
        report = DispatchReport(denied=claim.denied, expired=claim.expired, cancels_sent=cancels)
        if broker.is_dry_run:
            return replace(report, dry_run=len(claim.orders))
        if not claim.orders:
            return report
        answers = send(broker, claim.orders, at=market_at)
        counts = record_answers(
            orders=claim.orders, answers=answers, broker=broker, wall_now=wall_now, market_at=market_at
        )
    return replace(report, sent=len(claim.orders), **counts)


@transaction.atomic
def claim_pending(*, account: Account, dry_run: bool, wall_now: datetime, market_at: datetime, limit: int) -> Claim:
    """Mark pending orders as submitted (or as a dry run): the second look, at what may have changed since the gate.

    Nothing leaves an account that is not reconciled; what the kill switch, the breaker or a smaller position stops is
    denied; what was good for a session that is over expires, because its price and its limits are of yesterday.
    Locks: orders (skipping those another dispatcher holds), positions.
    """
    journal = Journal.lock(
        orders=Q(account_id=account.pk, status=OrderStatus.PENDING),
        market_at=market_at,
        wall_now=wall_now,
        skip_locked=True,
        limit=limit,
    )
    if not journal.orders or not _is_reconciled(account):
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
    denied = len(waiting) - len(claimed) - expired
    return Claim(claimed, denied=denied, expired=expired, has_groups=legs.has_group(waiting))


def _is_of_yesterday(order: Order, session: date) -> bool:
    # A group at the market may be gtc for the sake of its legs: the price of its entry is of its day all the same.
    keeps = order.time_in_force == TimeInForce.GTC and order.order_type != OrderType.MARKET
    return order.trading_date < session and not keeps


def _is_reconciled(account: Account) -> bool:
    state = Account.objects.values_list("reconciliation", flat=True).get(pk=account.pk)
    return state == Account.Reconciliation.CLEAN


class _Stops:
    """What stands in the way of sending, as of the claim."""

    def __init__(
        self,
        halted: frozenset[str] = frozenset(),
        breaker: BreakerState = BreakerState.OPEN,
        *,
        blocked: bool = False,
        is_remote: bool = False,
    ) -> None:
        self._halted = halted
        self._breaker = breaker
        self._blocked = blocked
        self._is_remote = is_remote

    def refusal(self, journal: Journal, order: Order) -> tuple[str, str] | None:
        """Return the code and message that keep the order from being sent."""
        scopes = self._halted & {"global", f"strategy:{order.strategy.name}", "account"}
        if scopes:
            return DenialCode.KILL_SWITCH.value, f"the kill switch was engaged before it was sent ({min(scopes)})"
        reduces = _reduces(journal.position(order), order)
        if self._breaker != BreakerState.OPEN and not reduces:
            return DenialCode.CIRCUIT_BREAKER.value, f"the breaker was {self._breaker} before it was sent"
        if self._blocked and not reduces:
            return BROKER_BLOCKED, "the broker has blocked trading: only orders that reduce a position are sent"
        if order.reduce_only and not reduces:
            return DenialCode.REDUCE_ONLY.value, "it would no longer reduce the position"
        if self._is_remote and refused_too_often(order, journal.wall_now):
            return REFUSED_TOO_OFTEN, f"the broker has refused {MOST} orders of this name within a minute: wait one"
        return None


def _reduces(position: Position, order: Order) -> bool:
    """Tell whether the order can only bring the position nearer to flat, with every open order of its side filled."""
    leaving = position.open_buy_quantity if order.sign > 0 else position.open_sell_quantity
    opposite = position.quantity * order.sign < 0
    return bool(opposite and abs(position.quantity) >= leaving)


def _stops(account: Account, wall_now: datetime) -> _Stops:
    engaged = {status.scope for status in kill_switch_status() if status.engaged}
    scopes = frozenset("account" if scope == account.scope else scope for scope in engaged)
    blocked = BrokerLink.objects.filter(account=account, trading_blocked=True).exists()
    is_remote = account.mode in NETWORK_MODES
    return _Stops(scopes, breaker_status(account.scope, wall_now).state, blocked=blocked, is_remote=is_remote)


def request_of(order: Order, held: tuple[LegRequest, ...] = ()) -> OrderRequest:
    """Say an order in the broker port's words."""
    return OrderRequest(
        client_order_id=order.client_order_id,
        symbol=order.instrument.symbol,
        side=order.side,
        quantity=order.quantity,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        extended_hours=order.extended_hours,
        order_class=order.order_class if held else "",
        legs=held,
    )


def send(broker: Broker, orders: Sequence[Order], *, at: datetime) -> list[BrokerOrder | BrokerError]:
    """Ask the broker to take orders, new ones in a batch, replacements one by one; one answer each, in their order."""
    new = [order for order in orders if not successors.is_successor(order)]
    held = legs.leg_requests(new)
    taken = ask(broker, [request_of(order, held.get(order.pk, ())) for order in new], at=at) if new else []
    answers = {order.pk: answer for order, answer in zip(new, taken, strict=True)}
    for order in orders:
        if order.pk not in answers:
            answers[order.pk] = successors.ask(broker, order, at=at)
    return [answers[order.pk] for order in orders]


def ask(broker: Broker, requests: list[OrderRequest], *, at: datetime) -> list[BrokerOrder | BrokerError]:
    """Submit a batch; when it fails as a whole, what is known of it is known of each member."""
    try:
        return broker.submit_many(requests, at=at)
    except BrokerError as failure:
        return [failure for _ in requests]


def record_answers(
    *,
    orders: Sequence[Order],
    answers: Sequence[BrokerOrder | BrokerError],
    broker: Broker,
    wall_now: datetime,
    market_at: datetime,
) -> dict[str, int]:
    """Store what the broker said to a batch of submits; a report may have been faster, then only the id is learnt.

    An unknown outcome leaves the order `submitted` for recovery: it is never sent again blindly. Returns counts.
    Locks: orders, positions.
    """
    settled = [_adopt_duplicate(broker, order, answer) for order, answer in zip(orders, answers, strict=True)]
    counts = {"accepted": 0, "rejected": 0, "unsent": 0, "unknown": 0}
    with transaction.atomic():
        wanted = Q(pk__in=successors.with_originals(orders))
        if legs.has_group(orders):
            wanted |= legs.with_legs(orders)
        journal = Journal.lock(orders=wanted, market_at=market_at, wall_now=wall_now)
        pairs = successors.Pairs(journal)
        for sent, answer in zip(orders, settled, strict=True):
            order = journal.orders[sent.pk]
            counts[record_answer(journal, order, answer)] += 1
            pairs.follow_cancel(order)
            pairs.settle(order)
        journal.save()
    if legs.has_group(orders):
        legs.settle_legs(orders[0].account_id, market_at=market_at, wall_now=wall_now)
    return counts


def _adopt_duplicate(broker: Broker, order: Order, answer: BrokerOrder | BrokerError) -> BrokerOrder | BrokerError:
    if not isinstance(answer, DuplicateClientOrderId):
        return answer
    try:
        found = broker.find(order.client_order_id)
    except BrokerError as error:
        return BrokerOutcomeUnknown(error.reason, code=error.code)
    if found is None:
        return BrokerOutcomeUnknown("the id is taken but the order cannot be found", code="duplicate_not_found")
    return own_or_duplicate(order, found)


def own_or_duplicate(order: Order, found: BrokerOrder) -> BrokerOrder | DuplicateClientOrderId:
    """Return what was found under the order's id, or the refusal that another order's id means for ours."""
    if successors.is_successor(order):
        same = successors.is_own(order, found)
    else:
        wanted = (order.instrument.symbol, order.side, order.quantity)
        same = (found.symbol, found.side, found.quantity) == wanted
    return found if same else DuplicateClientOrderId(found.client_order_id)


def record_answer(journal: Journal, order: Order, answer: BrokerOrder | BrokerError) -> str:
    """Store one answer on a locked order; returns accepted, rejected, unsent or unknown."""
    if isinstance(answer, BrokerOrder):
        learn_broker_id(journal, order, answer.broker_order_id)
        if answer.legs:
            legs.learn_legs(journal, order, answer)
        if order.status == OrderStatus.SUBMITTED:
            order.error_code = order.error_message = ""
            journal.step(order, OrderStatus.ACCEPTED, source=BROKER)
        return "accepted"
    if order.broker_order_id or order.status not in UNANSWERED:
        return "accepted"  # a report was faster, and a fact is stronger than an answer
    order.error_code, order.error_message = (answer.code or type(answer).__name__)[:CODE_LENGTH], answer.reason
    detail = {"reason": answer.reason}
    if isinstance(answer, BrokerRejected):
        journal.step(order, OrderStatus.REJECTED, source=BROKER, detail=detail)
        return "rejected"
    if isinstance(answer, BrokerUnavailable):
        # Nothing was sent: the order waits again and passes the second look again, unless it is wanted no longer.
        wanted = order.status == OrderStatus.SUBMITTED
        after = OrderStatus.PENDING if wanted else OrderStatus.CANCELED
        journal.step(order, after, source=DISPATCH, actor=ACTOR, detail=detail)
        return "unsent"
    journal.touch(order)
    log.warning("order_outcome_unknown", order_id=order.pk, reason=answer.reason)
    return "unknown"


def send_cancels(
    *, account: Account, broker: Broker, wall_now: datetime, market_at: datetime, turns: Turns | None = None
) -> int:
    """Send every cancel that was asked for and not sent yet; returns how many reached the broker.

    A kill switch does not stop cancels, nor does anything else. An order whose submit has no answer yet is asked for by
    its client_order_id, again and again until the broker knows it. While nobody answers, the rest waits for the next
    round, so that a line that hangs does not keep the whole dispatcher; with `turns` those that failed come last then.
    One that was refused because its order is being replaced is repeated after a pause.
    """
    turns = Turns() if turns is None else turns
    waiting = Order.objects.filter(account=account, status=OrderStatus.PENDING_CANCEL, cancel_sent_at__isnull=True)
    just_now = (wall_now - CANCEL_AGAIN_AFTER + timedelta.resolution, wall_now)
    waiting = waiting.exclude(error_code=successors.CANCEL_REFUSED, cancel_requested_at__range=just_now)
    sent = failures = 0
    for order in turns.due(waiting, wall_now=wall_now):
        try:
            was_sent = _send_cancel(broker, order, wall_now=wall_now, market_at=market_at)
        except BrokerUnreachable:
            was_sent, failures = False, failures + 1
        if was_sent:
            turns.sent(order)
        else:
            turns.failed(order, wall_now=wall_now)
        sent += was_sent
        if failures == MAX_UNREACHABLE:
            break
    return sent


def _is_fresh(order: Order, broker: Broker, wall_now: datetime) -> bool:
    grace = timedelta(seconds=broker.not_found_grace_seconds)
    return order.submitted_at is not None and wall_now - order.submitted_at < grace


def _send_cancel(broker: Broker, order: Order, *, wall_now: datetime, market_at: datetime) -> bool:
    try:
        broker.cancel(client_order_id=order.client_order_id, broker_order_id=order.broker_order_id, at=market_at)
    except BrokerRejected as refusal:
        log.info("cancel_refused", order_id=order.pk, code=refusal.code)
        if not order.broker_order_id:
            return False  # perhaps never sent: recovery asks for it and decides
        if isinstance(refusal, OrderNotFound) and _is_fresh(order, broker, wall_now):
            return False  # a broker may take a moment to know its own order
        # Otherwise the order is over at the broker, and its report says how it ended.
    except BrokerError as error:
        log.warning("cancel_not_sent", order_id=order.pk, reason=error.reason)
        if isinstance(error, BrokerUnreachable):
            raise
        return False
    # Only the cancel that was read: another may have been asked for since, after this one was refused.
    same = Order.objects.filter(
        pk=order.pk, status=OrderStatus.PENDING_CANCEL, cancel_requested_at=order.cancel_requested_at
    )
    return bool(same.update(cancel_sent_at=wall_now))
