"""Find out what became of orders whose submit has no answer, and let the account trade again.

The same path runs at every start, after a crash or not, and while running for outcomes that stayed unknown.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Q

from execution.brokers.base import (
    Broker,
    BrokerError,
    BrokerOrder,
    BrokerRejected,
    BrokerUnavailable,
    BrokerUnreachable,
)
from execution.crashpoints import Point, crashpoint
from execution.errors import ReconciliationUnderWay
from execution.models import Account, Order, OrderEvent, ReconciliationRun
from execution.reconciliation.compare import listed_orders, look_at_positions
from execution.reconciliation.locking import one_at_a_time
from execution.reconciliation.runs import begin, conclude, fail
from execution.services import legs, successors
from execution.services.answers import UNANSWERED, own_or_duplicate, record_answer
from execution.services.asking import MOST_ASKED, ask_about, in_turn
from execution.services.in_flight import nothing_in_flight
from execution.services.journal import Journal
from execution.services.reports import apply_reports
from execution.states import TERMINAL, OrderStatus

log = structlog.get_logger(__name__)
RECOVERY = OrderEvent.Source.RECOVERY
Difference = tuple[str, object, object]
"""Symbol, our net quantity, the broker's."""
GOES_BY_ITSELF = frozenset({"held", "pending_cancel"})
"""A held leg goes with its entry; a cancel that the broker has taken is not sent twice."""


def begin_recovery(*, account: Account) -> None:
    """Keep everything from leaving until the account has been reconciled."""
    account.reconciliation = Account.Reconciliation.PENDING
    account.save(update_fields=["reconciliation"])


def recover_account(*, account: Account, broker: Broker, wall_now: datetime) -> int:
    """Book missed reports, resolve unanswered orders, cancel strays, compare positions; then the account may trade.

    Returns the number of orders resolved. The account stays closed when the broker cannot be asked, and is marked
    broken when the books differ.
    :raises BrokerError: the broker cannot be asked, or somebody else compares at this moment; try again
    """
    try:
        with one_at_a_time(account.pk):
            run = begin(account=account, trigger=ReconciliationRun.Trigger.START, wall_now=wall_now)
            try:
                return _recover(account, broker, run, wall_now)
            except BrokerError as failure:
                fail(run, account, failure, wall_now)
                raise
    except ReconciliationUnderWay as busy:
        raise BrokerUnavailable(str(busy), code=busy.code) from None


def _recover(account: Account, broker: Broker, run: ReconciliationRun, wall_now: datetime) -> int:
    apply_reports(account=account, broker=broker, wall_now=wall_now)
    crashpoint(Point.RECOVERY_AFTER_REPORTS)
    listed = listed_orders(account=account, broker=broker, wall_now=wall_now)
    resolved = resolve_unanswered(account=account, broker=broker, wall_now=wall_now, most=None, listed=listed)
    apply_reports(account=account, broker=broker, wall_now=wall_now)
    cancel_strays(account=account, broker=broker, at=account.feed.market_now(wall_now))
    conclude(account=account, broker=broker, run=run, listed=listed, wall_now=wall_now)
    return resolved


def resolve_unanswered(
    *,
    account: Account,
    broker: Broker,
    wall_now: datetime,
    most: int | None = MOST_ASKED,
    listed: Sequence[BrokerOrder] = (),
) -> int:
    """Ask the broker by client_order_id about orders that were claimed and have no answer, at most `most` of them.

    What the broker knows is adopted. What it does not know after its grace period was never sent: the order goes back
    to pending and passes the second look again, under the same id, so that a broker that knew it after all would refuse
    it; one that was to be canceled is canceled. Waits for orders that are on their way. Broker calls run outside the
    transaction. Returns how many were resolved. What was `listed` a moment ago need not be asked for. Legs have no
    answers of their own, and learn their names from those of their entries.
    :raises BrokerError: about some nothing was answered; what was answered is in the book
    """
    resolved, failure = _resolve_orders(account, broker, wall_now, most, listed)
    legs.settle_legs(account.pk, market_at=account.feed.market_now(wall_now), wall_now=wall_now)
    if not isinstance(failure, BrokerUnreachable):
        resolved += legs.find_names(account=account, broker=broker, wall_now=wall_now)
    if failure is not None:
        raise failure
    return resolved


def _resolve_orders(
    account: Account, broker: Broker, wall_now: datetime, most: int | None, listed: Sequence[BrokerOrder]
) -> tuple[int, BrokerError | None]:
    waiting = Order.objects.filter(
        account=account, status__in=UNANSWERED, broker_order_id="", submitted_at__isnull=False
    )
    if not waiting.exists():
        return 0, None
    with nothing_in_flight(account.pk):
        known = {order.client_order_id: order for order in listed}
        found, failure = ask_about(broker, in_turn(list(waiting.order_by("pk")), wall_now)[:most], known)
        crashpoint(Point.RESOLVE_AFTER_ASKING)
        asked = list(Order.objects.filter(pk__in=found))
        horizon = wall_now - timedelta(seconds=broker.not_found_grace_seconds)
        with transaction.atomic():
            journal = Journal.lock(
                orders=Q(pk__in=successors.with_originals(asked)) | legs.with_legs(asked),
                market_at=account.feed.market_now(wall_now),
                wall_now=wall_now,
            )
            pairs = successors.Pairs(journal)
            resolved = 0
            for order in (journal.orders[pk] for pk in found):
                if order.status not in UNANSWERED or order.broker_order_id:
                    continue  # a report was faster
                resolved += _resolve(journal, order, found[order.pk], horizon)
                pairs.follow_cancel(order)
                pairs.settle(order)
            journal.save()
            crashpoint(Point.RESOLVE_BEFORE_COMMIT)
    return resolved, failure


def _resolve(journal: Journal, order: Order, answer: BrokerOrder | None, horizon: datetime) -> bool:
    if answer is not None:
        record_answer(journal, order, own_or_duplicate(order, answer))
        return True
    if order.submitted_at is not None and order.submitted_at > horizon:
        return False
    wanted_gone = order.status == OrderStatus.PENDING_CANCEL
    journal.step(
        order,
        OrderStatus.CANCELED if wanted_gone else OrderStatus.PENDING,
        source=RECOVERY,
        detail={"reason": "the broker has no order with this id"},
    )
    return True


def cancel_strays(*, account: Account, broker: Broker, at: datetime) -> int:
    """Cancel what is open at the broker although it is over in the book, because nobody else would; returns how many.

    An order that is not in the book at all belongs to somebody else and is left alone.
    :raises BrokerError: the broker's list cannot be had, or nobody answers any more
    """
    open_orders = [each for order in broker.open_orders() for each in (order, *order.legs)]
    working = [order for order in open_orders if order.status not in GOES_BY_ITSELF]
    if not working:
        return 0
    ours = Q(client_order_id__in=[order.client_order_id for order in working])
    theirs = Q(entry__isnull=False, broker_order_id__in=[order.broker_order_id for order in working])
    strays = Order.objects.filter(ours | theirs, account=account, status__in=sorted(TERMINAL))
    for order in strays:
        log.error("stray_order_canceled", order_id=order.pk, status=order.status)
        try:
            broker.cancel(client_order_id=order.client_order_id, broker_order_id=order.broker_order_id, at=at)
        except BrokerRejected:
            continue  # it has ended meanwhile
        except BrokerUnreachable:
            raise
        except BrokerUnavailable as error:  # not now: one that is being replaced keeps no other
            log.warning("stray_order_not_canceled", order_id=order.pk, reason=error.reason)
    return len(strays)


def position_differences(*, account: Account, broker: Broker) -> list[Difference]:
    """Return (symbol, our net quantity, the broker's) wherever they differ; empty is agreement."""
    found, _held, _count = look_at_positions(account=account, broker=broker)
    return [(each.symbol, each.ours, each.theirs) for each in found]
