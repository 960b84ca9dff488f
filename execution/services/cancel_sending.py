"""Send the cancels that were asked for. Nothing stops them: no switch, no breaker, no pause."""

from datetime import datetime, timedelta

import structlog

from execution.brokers.base import Broker, BrokerError, BrokerRejected, BrokerUnreachable, OrderNotFound
from execution.crashpoints import Point, crashpoint
from execution.models import Account, Order
from execution.services import successors
from execution.services.broker_faults import note_errors
from execution.services.cancel_turns import Turns
from execution.states import OrderStatus

log = structlog.get_logger(__name__)
MAX_UNREACHABLE = 3
"""So many cancels in one round find nobody there before the rest of them waits."""
CANCEL_AGAIN_AFTER = timedelta(seconds=2)
"""Wall time between two cancels of an order that is being replaced: each is a request and two lines of its life."""


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
    crashpoint(Point.CANCEL_BEFORE_CALL)
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
        note_errors(order.account_id, [error], wall_now=wall_now)
        if isinstance(error, BrokerUnreachable):
            raise
        return False
    crashpoint(Point.CANCEL_AFTER_CALL)
    # Only the cancel that was read: another may have been asked for since, after this one was refused.
    same = Order.objects.filter(
        pk=order.pk, status=OrderStatus.PENDING_CANCEL, cancel_requested_at=order.cancel_requested_at
    )
    return bool(same.update(cancel_sent_at=wall_now))
