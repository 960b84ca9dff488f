"""Store what the broker answered to orders that were sent."""

from collections.abc import Sequence
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Q

from execution.brokers.base import (
    Broker,
    BrokerError,
    BrokerHeldBack,
    BrokerOrder,
    BrokerOutcomeUnknown,
    BrokerRejected,
    BrokerUnavailable,
    DuplicateClientOrderId,
)
from execution.crashpoints import Point, crashpoint
from execution.models import Order, OrderEvent
from execution.services import legs, successors
from execution.services.booking import learn_broker_id
from execution.services.broker_faults import note_errors
from execution.services.claims import ACTOR, DISPATCH
from execution.services.journal import Journal
from execution.states import OrderStatus

log = structlog.get_logger(__name__)
BROKER = OrderEvent.Source.BROKER
CODE_LENGTH = 64
UNANSWERED = (OrderStatus.SUBMITTED, OrderStatus.PENDING_CANCEL)


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
    counts = {"accepted": 0, "rejected": 0, "unsent": 0, "unknown": 0, "held_back": 0}
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
        failed = [answer for answer in settled if isinstance(answer, BrokerError) and _is_trouble(answer)]
        if failed:
            note_errors(orders[0].account_id, failed, wall_now=wall_now)
        crashpoint(Point.ANSWERS_BEFORE_SAVE)
        journal.save()
        crashpoint(Point.ANSWERS_BEFORE_COMMIT)
    crashpoint(Point.ANSWERS_AFTER_COMMIT)
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
    """Store one answer on a locked order; returns accepted, rejected, unsent, held_back or unknown."""
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
    if isinstance(answer, BrokerHeldBack):
        _wait_again(journal, order, answer)
        return "held_back"
    order.error_code, order.error_message = (answer.code or type(answer).__name__)[:CODE_LENGTH], answer.reason
    if isinstance(answer, BrokerRejected):
        journal.step(order, OrderStatus.REJECTED, source=BROKER, detail={"reason": answer.reason})
        return "rejected"
    if isinstance(answer, BrokerUnavailable):
        _wait_again(journal, order, answer)
        return "unsent"
    journal.touch(order)
    log.warning("order_outcome_unknown", order_id=order.pk, reason=answer.reason)
    return "unknown"


def _wait_again(journal: Journal, order: Order, answer: BrokerUnavailable) -> None:
    """Let an order that was not sent pass the second look again, unless it is wanted no longer."""
    wanted = order.status == OrderStatus.SUBMITTED
    after = OrderStatus.PENDING if wanted else OrderStatus.CANCELED
    journal.step(order, after, source=DISPATCH, actor=ACTOR, detail={"reason": answer.reason})


def _is_trouble(answer: BrokerError) -> bool:
    """Tell whether an answer speaks against the broker or the line to it; being held back is our own doing."""
    held_back = isinstance(answer, BrokerHeldBack)
    return isinstance(answer, BrokerUnavailable | BrokerOutcomeUnknown) and not held_back
