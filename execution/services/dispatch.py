"""Send what was stored, and send it once: claim, commit, call the broker, record the answer.

Cancels go first: they must never queue behind new risk. The claim is the second look at the kill switch and the breaker,
because the gate's look may be a moment old. A crash between claim and answer leaves `submitted`, which recovery resolves.
"""

from collections.abc import Sequence
from datetime import datetime

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
    DuplicateClientOrderId,
    OrderRequest,
)
from execution.models import Account, Order, OrderEvent
from execution.services.journal import Journal
from execution.states import OrderStatus
from execution.types import DispatchReport
from risk.selectors import breaker_status, kill_switch_status
from risk.states import BreakerState
from risk.types import DenialCode

log = structlog.get_logger(__name__)
CHANNEL = "portcullis_dispatch"
DISPATCH = OrderEvent.Source.DISPATCH
ACTOR = "dispatcher"


def dispatch_once(*, account: Account, broker: Broker, wall_now: datetime, limit: int = 100) -> DispatchReport:
    """Send waiting cancels, then at most `limit` pending orders; broker calls run outside every transaction."""
    market_at = account.feed.market_now(wall_now)
    cancels = send_cancels(account=account, broker=broker, wall_now=wall_now, market_at=market_at, limit=limit)
    claimed, denied = claim_pending(
        account=account, dry_run=broker.is_dry_run, wall_now=wall_now, market_at=market_at, limit=limit
    )
    if broker.is_dry_run or not claimed:
        return DispatchReport(denied=denied, cancels_sent=cancels, dry_run=len(claimed))
    answers = broker.submit_many([request_of(order) for order in claimed], at=market_at)
    counts = record_answers(
        account=account, orders=claimed, answers=answers, broker=broker, wall_now=wall_now, market_at=market_at
    )
    return DispatchReport(sent=len(claimed), denied=denied, cancels_sent=cancels, **counts)


@transaction.atomic
def claim_pending(
    *, account: Account, dry_run: bool, wall_now: datetime, market_at: datetime, limit: int
) -> tuple[list[Order], int]:
    """Mark pending orders as submitted (or as a dry run) and return them, with the number denied at the second look.

    Locks: orders (skipping those another dispatcher holds), positions.
    """
    if account.reconciliation != Account.Reconciliation.CLEAN:
        return [], 0
    journal = Journal.lock(
        orders=Q(account_id=account.pk, status=OrderStatus.PENDING),
        market_at=market_at,
        wall_now=wall_now,
        skip_locked=True,
        limit=limit,
    )
    claimed = []
    stops = _stops(account, wall_now) if journal.orders else _Stops()
    for order in journal.orders.values():
        refusal = stops.refusal(journal, order)
        if refusal is not None:
            order.error_code, order.error_message = refusal
            journal.step(order, OrderStatus.DENIED, source=DISPATCH, actor=ACTOR, detail={"code": refusal[0]})
        elif dry_run:
            journal.step(order, OrderStatus.DRY_RUN, source=DISPATCH, actor=ACTOR)
            claimed.append(order)
        else:
            order.submitted_at = wall_now
            journal.step(order, OrderStatus.SUBMITTED, source=DISPATCH, actor=ACTOR)
            claimed.append(order)
    journal.save()
    return claimed, len(journal.orders) - len(claimed)


class _Stops:
    """What stands in the way of sending, as of the claim."""

    def __init__(self, halted: frozenset[str] = frozenset(), breaker: BreakerState = BreakerState.OPEN) -> None:
        self._halted = halted
        self._breaker = breaker

    def refusal(self, journal: Journal, order: Order) -> tuple[str, str] | None:
        """Return the code and message that keep the order from being sent."""
        scopes = self._halted & {"global", f"strategy:{order.strategy.name}", "account"}
        if scopes:
            return DenialCode.KILL_SWITCH.value, f"the kill switch was engaged before it was sent ({min(scopes)})"
        position = journal.position(order)
        reduces = position.quantity * order.sign < 0 and abs(position.quantity) >= order.leaves_quantity
        if self._breaker != BreakerState.OPEN and not reduces:
            return DenialCode.CIRCUIT_BREAKER.value, f"the breaker was {self._breaker} before it was sent"
        if order.reduce_only and not reduces:
            return DenialCode.REDUCE_ONLY.value, "it would no longer reduce the position"
        return None


def _stops(account: Account, wall_now: datetime) -> _Stops:
    engaged = {status.scope for status in kill_switch_status() if status.engaged}
    scopes = frozenset("account" if scope == account.scope else scope for scope in engaged)
    return _Stops(scopes, breaker_status(account.scope, wall_now).state)


def request_of(order: Order) -> OrderRequest:
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
    )


def record_answers(
    *,
    account: Account,
    orders: Sequence[Order],
    answers: Sequence[BrokerOrder | BrokerError],
    broker: Broker,
    wall_now: datetime,
    market_at: datetime,
) -> dict[str, int]:
    """Store what the broker said to a batch of submits; a report may have been faster, then only the id is learnt.

    An unknown outcome leaves the order `submitted` for recovery: it is never sent again blindly. Locks: orders, positions.
    """
    settled = [_adopt_duplicate(broker, order, answer) for order, answer in zip(orders, answers, strict=True)]
    counts = {"accepted": 0, "rejected": 0, "unknown": 0}
    with transaction.atomic():
        journal = Journal.lock(
            orders=Q(pk__in=[order.pk for order in orders]), market_at=market_at, wall_now=wall_now
        )
        for sent, answer in zip(orders, settled, strict=True):
            counts[record_answer(journal, journal.orders[sent.pk], answer)] += 1
        journal.save()
    return counts


def _adopt_duplicate(broker: Broker, order: Order, answer: BrokerOrder | BrokerError) -> BrokerOrder | BrokerError:
    if not isinstance(answer, DuplicateClientOrderId):
        return answer
    try:
        found = broker.find(order.client_order_id)
    except BrokerError as error:
        return BrokerOutcomeUnknown(error.reason, code=error.code)
    return found or BrokerOutcomeUnknown("the id is taken but the order cannot be found", code="duplicate_not_found")


def record_answer(journal: Journal, order: Order, answer: BrokerOrder | BrokerError) -> str:
    """Store one answer on a locked order; returns accepted, rejected or unknown."""
    if isinstance(answer, BrokerOrder):
        if not order.broker_order_id:
            order.broker_order_id = answer.broker_order_id
            journal.touch(order)
        if order.status == OrderStatus.SUBMITTED:
            order.error_code = order.error_message = ""
            journal.step(order, OrderStatus.ACCEPTED, source=OrderEvent.Source.BROKER)
        return "accepted"
    if order.status != OrderStatus.SUBMITTED:
        return "unknown"
    order.error_code, order.error_message = answer.code or type(answer).__name__, answer.reason
    if isinstance(answer, BrokerRejected):
        journal.step(
            order, OrderStatus.REJECTED, source=OrderEvent.Source.BROKER, detail={"reason": answer.reason}
        )
        return "rejected"
    if isinstance(answer, BrokerUnavailable):
        # Nothing was sent, so the order waits again and passes the second look again.
        journal.step(order, OrderStatus.PENDING, source=DISPATCH, actor=ACTOR, detail={"reason": answer.reason})
        return "unknown"
    journal.touch(order)
    log.warning("order_outcome_unknown", order_id=order.pk, reason=answer.reason)
    return "unknown"


def send_cancels(
    *, account: Account, broker: Broker, wall_now: datetime, market_at: datetime, limit: int = 100
) -> int:
    """Send the cancels that were asked for and not sent yet; returns how many reached the broker.

    A kill switch does not stop cancels. An order whose submit has no answer yet waits until it has one.
    """
    waiting = list(
        Order.objects.filter(
            account=account, status=OrderStatus.PENDING_CANCEL, cancel_sent_at__isnull=True
        ).order_by("pk")[:limit]
    )
    return sum(_send_cancel(broker, order, wall_now=wall_now, market_at=market_at) for order in waiting)


def _send_cancel(broker: Broker, order: Order, *, wall_now: datetime, market_at: datetime) -> bool:
    try:
        broker.cancel(client_order_id=order.client_order_id, broker_order_id=order.broker_order_id, at=market_at)
    except BrokerRejected as refusal:
        log.info("cancel_refused", order_id=order.pk, code=refusal.code)
        if not order.broker_order_id:
            return False  # perhaps never sent: recovery asks for it and decides
        # Otherwise the order is over at the broker, and its report says how it ended.
    except BrokerError as error:
        log.warning("cancel_not_sent", order_id=order.pk, reason=error.reason)
        return False
    Order.objects.filter(pk=order.pk, status=OrderStatus.PENDING_CANCEL).update(cancel_sent_at=wall_now)
    return True
