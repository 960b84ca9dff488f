"""Send what was stored, and send it once: claim, commit, call the broker, record the answer.

Cancels go first: they must never queue behind new risk. The claim (`claims`) is the second look at the kill switch and
the breaker, because the gate's look may be a moment old. Where each order of a batch is a round trip, there is a last
look (`last_look`) before each of them, and what it holds back was certainly not sent and waits again. A crash between
claim and answer (`answers`) leaves `submitted`, which recovery resolves.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from execution.brokers.alpaca_modes import NETWORK_MODES
from execution.brokers.base import (
    Broker,
    BrokerError,
    BrokerHeldBack,
    BrokerOrder,
    LegRequest,
    MaySend,
    OrderRequest,
    goes_on,
)
from execution.crashpoints import Point, crashpoint
from execution.models import Account, Order
from execution.services import legs, successors
from execution.services.answers import record_answers
from execution.services.cancel_sending import send_cancels
from execution.services.claims import claim_pending
from execution.services.in_flight import sending
from execution.services.last_look import LastLook
from execution.states import OrderStatus
from execution.types import DispatchReport


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
        may_send = LastLook(account).may_send if account.mode in NETWORK_MODES else None
        claim = claim_pending(
            account=account, dry_run=broker.is_dry_run, wall_now=wall_now, market_at=market_at, limit=batch
        )
        crashpoint(Point.CLAIM_AFTER_COMMIT)
        if claim.has_groups:
            legs.settle_legs(account.pk, market_at=market_at, wall_now=wall_now)
        report = DispatchReport(denied=claim.denied, expired=claim.expired, cancels_sent=cancels)
        if broker.is_dry_run:
            return replace(report, dry_run=len(claim.orders))
        if not claim.orders:
            return report
        answers = send(broker, claim.orders, at=market_at, may_send=may_send)
        counts = record_answers(
            orders=claim.orders, answers=answers, broker=broker, wall_now=wall_now, market_at=market_at
        )
    return replace(report, sent=len(claim.orders) - counts["held_back"], **counts)


def send(
    broker: Broker, orders: Sequence[Order], *, at: datetime, may_send: MaySend | None = None
) -> list[BrokerOrder | BrokerError]:
    """Ask the broker to take orders, new ones in a batch, replacements one by one; one answer each, in their order.

    `may_send` is asked as the port says.
    """
    new = [order for order in orders if not successors.is_successor(order)]
    held = legs.leg_requests(new)
    requests = [request_of(order, held.get(order.pk, ())) for order in new]
    taken = ask(broker, requests, at=at, may_send=may_send) if new else []
    answers = {order.pk: answer for order, answer in zip(new, taken, strict=True)}
    for order in orders:
        if order.pk in answers:
            continue
        if goes_on(answers.values(), order.client_order_id, may_send):
            answers[order.pk] = successors.ask(broker, order, at=at)
        else:
            answers[order.pk] = BrokerHeldBack(order.client_order_id)
    return [answers[order.pk] for order in orders]


def ask(
    broker: Broker, requests: list[OrderRequest], *, at: datetime, may_send: MaySend | None = None
) -> list[BrokerOrder | BrokerError]:
    """Submit a batch; when it fails as a whole, what is known of it is known of each member."""
    crashpoint(Point.SUBMIT_BEFORE_CALL)
    try:
        answers = broker.submit_many(requests, at=at, may_send=may_send)
    except BrokerError as failure:
        answers = [failure for _ in requests]
    crashpoint(Point.SUBMIT_AFTER_CALL)
    return answers


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
