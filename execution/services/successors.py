"""An order and the one that is to take its place: what happens to one of them means something for the other.

Until the broker has decided both may trade, but what the original fills counts against the total that the successor
was sent for. So the successor alone holds for both, and its cover says for how many shares: what is left of the total,
or what the original may still trade if that is more. When the successor fails, the original steps back into force.

Every service that moves orders settles the pairs among them before it saves, so a pair agrees at any committed instant:
an original waits in `pending_replace` only for a successor that is open, or for a report that is under way.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from django.db import connection
from django.db.models import Q, QuerySet

from execution.brokers.base import (
    Broker,
    BrokerError,
    BrokerOrder,
    BrokerOutcomeUnknown,
    BrokerRejected,
    BrokerReport,
    DuplicateClientOrderId,
    ReplaceRequest,
)
from execution.crashpoints import Point, crashpoint
from execution.models import Order, OrderEvent
from execution.services.journal import Journal
from execution.states import OPEN, OrderStatus, may_follow
from risk.models import Decision

ZERO = Decimal(0)
BROKER, SYSTEM = OrderEvent.Source.BROKER, OrderEvent.Source.SYSTEM
ORIGINAL_OVER = "original_over"
TOTAL_FILLED = "total_filled"
REPLACE_REJECTED = "replace_rejected"
CANCEL_REFUSED = "cancel_refused"
# Statuses in which a replacement may still reach the original, or has reached it without our knowing.
REPLACEABLE = frozenset({OrderStatus.PENDING_REPLACE, OrderStatus.REPLACED})
# Where an original stands that has given way: late fills may have made it whole.
GAVE_WAY = frozenset({OrderStatus.REPLACED, OrderStatus.FILLED})
FILLED_THE_REST = "the order that it replaced has filled the rest of the total"
MAY_HAVE_SUCCESSOR = REPLACEABLE | {OrderStatus.PENDING_CANCEL}
MAY_BE_PAIRED = Q(total_quantity__isnull=False) | Q(status__in=sorted(MAY_HAVE_SUCCESSOR))

FILLED_IN_CHAIN = """
WITH RECURSIVE chain AS (
    SELECT replaces_id, filled_quantity FROM execution_order WHERE id = %s
    UNION ALL
    SELECT o.replaces_id, o.filled_quantity FROM execution_order o JOIN chain ON o.id = chain.replaces_id
)
SELECT coalesce(sum(filled_quantity), 0) FROM chain
"""


def is_successor(order: Order) -> bool:
    """Tell whether the order goes to the broker as the replacement of another one."""
    return order.total_quantity is not None


def filled_before(order: Order) -> Decimal:
    """Return what the orders have filled that the order replaced, its original and all before that (shares)."""
    if order.replaces_id is None:
        return ZERO
    with connection.cursor() as cursor:
        cursor.execute(FILLED_IN_CHAIN, [order.replaces_id])
        filled: Decimal = cursor.fetchone()[0]
    return filled


def may_trade(order: Order) -> Decimal:
    """Return for how many shares an open order counts by itself, what its own original has filled taken off."""
    return order.leaves_quantity if order.cover_quantity is None else order.cover_quantity


def with_partners(wanted: Q) -> Q:
    """Widen a condition on orders to their originals, and to all that were to replace these.

    For one locking statement, so that a pair is locked in the order of ids like everything else.
    """
    found = Order.objects.order_by().filter(wanted)
    originals = found.filter(total_quantity__isnull=False).values("replaces_id")
    successors = Order.objects.order_by().filter(total_quantity__isnull=False)
    return Q(
        pk__in=found.values("pk").union(
            originals,
            successors.filter(replaces__in=found.values("pk")).values("pk"),
            successors.filter(replaces__in=originals).values("pk"),
        )
    )


def with_originals(orders: Iterable[Order]) -> set[int]:
    """Return the ids of the orders and of those that they are to replace."""
    orders = list(orders)
    return {order.pk for order in orders} | {order.replaces_id or 0 for order in orders if is_successor(order)}


def open_successors(originals: Q) -> QuerySet[Order]:
    """Return orders that are to replace those of the condition and have not ended."""
    found = Order.objects.filter(originals).order_by().values("pk")
    return Order.objects.filter(replaces__in=found, total_quantity__isnull=False, status__in=sorted(OPEN))


class Pairs:
    """The pairs of original and successor among a journal's locked orders."""

    def __init__(self, journal: Journal) -> None:
        """Find them."""
        self._journal = journal
        self._of: dict[int, list[tuple[Order, Order]]] = defaultdict(list)
        for successor in journal.orders.values():
            original = journal.orders.get(successor.replaces_id or 0)
            if original is not None and is_successor(successor):
                self._of[original.pk].append((original, successor))
                self._of[successor.pk].append((original, successor))

    @classmethod
    def completed(cls, journal: Journal) -> "Pairs":
        """Lock the originals and the open successors that a journal's orders lack, waiting for nobody.

        Who holds one of a pair alone is a claim, and the next claim settles what it finds then.
        """
        pks = [order.pk for order in journal.orders.values() if order.status in MAY_HAVE_SUCCESSOR]
        lacking = [
            order.replaces_id
            for order in journal.orders.values()
            if is_successor(order) and order.replaces_id not in journal.orders
        ]
        if pks or lacking:
            partners = Q(replaces__in=pks, total_quantity__isnull=False, status__in=sorted(OPEN)) if pks else Q()
            journal.join(partners | Q(pk__in=lacking) if lacking else partners)
        return cls(journal)

    def of(self, order: Order) -> list[tuple[Order, Order]]:
        """Return the pairs that the order belongs to, as (original, successor)."""
        return self._of[order.pk]

    def partners(self, order: Order) -> list[Order]:
        """Return the other, open one of every pair that has not come to its end."""
        return [
            other
            for pair in self.of(order)
            for other in pair
            if other is not order and other.status in OPEN and pair[0].status in OPEN
        ]

    def may_move(self, order: Order) -> bool:
        """Tell whether all that the order's next step may move is locked: a successor moves with its original."""
        return not is_successor(order) or order.replaces_id in self._journal.orders

    def pointless(self, order: Order) -> str:
        """Return why a successor that was not sent yet need not be sent any more, empty when it must."""
        return pointless(self._journal.orders[order.replaces_id or 0], order) if is_successor(order) else ""

    def follow_cancel(self, successor: Order) -> None:
        """Cancel a successor whose original was asked to go while the replacement was on its way."""
        for original, other in self.of(successor):
            asked = other is successor and original.status == OrderStatus.PENDING_CANCEL
            if asked and successor.status in (OrderStatus.SUBMITTED, OrderStatus.ACCEPTED):
                successor.cancel_requested_at, successor.cancel_sent_at = self._journal.wall_now, None
                detail = {"reason": "its original was canceled while it was on its way"}
                self._journal.step(successor, OrderStatus.PENDING_CANCEL, source=SYSTEM, detail=detail)

    def settle(self, order: Order) -> None:
        """Bring the pairs of an order that has moved back into agreement. Locks needed: both orders, position."""
        for original, successor in self.of(order):
            if successor.status not in OPEN:
                self._step_back(original, successor)
            elif not self._end(original, successor, own=order is successor):
                self._hold(original, successor, prices_too=order is original and original.status not in OPEN)

    def told(self, order: Order, report: BrokerReport) -> None:
        """Settle the pairs of an order that a report was booked on."""
        for original, successor in self.of(order):
            if report.kind == REPLACE_REJECTED and order is original:
                self._reject(successor, report)
            if report.kind == "cancel_rejected" and original.status in OPEN:
                self._ask_again(order, successor if order is original else original, report)
        self.settle(order)

    def _ask_again(self, order: Order, other: Order, report: BrokerReport) -> None:
        """Keep the wish to cancel one of a pair: brokers take no cancel while they replace, and both were to go."""
        both = other.status == OrderStatus.PENDING_CANCEL
        if not both or not may_follow(OrderStatus(order.status), OrderStatus.PENDING_CANCEL):
            return
        order.cancel_requested_at, order.cancel_sent_at = self._journal.wall_now, None
        order.error_code, order.error_message = CANCEL_REFUSED, report.reason or "refused while it was being replaced"
        detail = {"reason": "refused while it was being replaced: to be sent again"}
        self._journal.step(order, OrderStatus.PENDING_CANCEL, source=SYSTEM, detail=detail)

    def _reject(self, successor: Order, report: BrokerReport) -> None:
        """End the open successor of an original whose replacement was refused.

        A refusal from before this successor was decided on is that of an earlier one. A broker that refuses tells the
        successor's end as well, so nothing is lost by passing over what cannot be told apart.
        """
        if successor.status not in OPEN or successor.filled_quantity or report.at < successor.market_at:
            return
        ends = OrderStatus.CANCELED if successor.status == OrderStatus.PENDING else OrderStatus.REJECTED
        reason = report.reason or "the broker did not replace the order"
        successor.error_code, successor.error_message = f"broker_{REPLACE_REJECTED}", reason
        self._journal.step(successor, ends, source=BROKER, detail={"reason": reason})

    def _step_back(self, original: Order, successor: Order) -> None:
        """Let an original work on whose successor has failed; one that has traded is the proof of the opposite."""
        if original.status != OrderStatus.PENDING_REPLACE or successor.filled_quantity:
            return
        others = open_successors(Q(pk=original.pk)).exclude(pk=successor.pk)
        if others.exists():
            return
        back = OrderStatus.PARTIALLY_FILLED if original.filled_quantity else OrderStatus.ACCEPTED
        reason = f"its replacement {successor.client_order_id} is {successor.status}"
        if successor.error_message:
            reason += f": {successor.error_message}"
        self._journal.step(original, back, source=SYSTEM, detail={"reason": reason})

    def _end(self, original: Order, successor: Order, *, own: bool) -> bool:
        """End a successor that has nothing left to do, and tell whether it was so.

        `own` says that the successor itself has moved: a fill of its own tells the broker as well that nothing is left.
        After a late fill of its original the broker may still let it trade, so its end is asked for there.
        """
        status = OrderStatus(original.status)
        if successor.status == OrderStatus.PENDING:
            if status in OPEN or status in REPLACEABLE:
                return False
            return self._cancel(successor, ORIGINAL_OVER, f"the order that it was to replace is {status}")
        if status not in GAVE_WAY or successor.status in (OrderStatus.PENDING_REPLACE, OrderStatus.PENDING_CANCEL):
            return False
        if self._rest(original, successor) > 0:
            return False
        if own and successor.filled_quantity:
            return self._cancel(successor, TOTAL_FILLED, FILLED_THE_REST)
        self._cancel_at_broker(successor)
        return False

    def _cancel(self, successor: Order, code: str, reason: str) -> bool:
        successor.error_code, successor.error_message = code, reason
        self._journal.step(successor, OrderStatus.CANCELED, source=SYSTEM, detail={"code": code, "reason": reason})
        return True

    def _cancel_at_broker(self, successor: Order) -> None:
        successor.error_code, successor.error_message = TOTAL_FILLED, FILLED_THE_REST
        successor.cancel_requested_at, successor.cancel_sent_at = self._journal.wall_now, None
        detail = {"code": TOTAL_FILLED, "reason": FILLED_THE_REST}
        self._journal.step(successor, OrderStatus.PENDING_CANCEL, source=SYSTEM, detail=detail)

    def _rest(self, original: Order, successor: Order) -> Decimal:
        """Return what is left of the successor's total (shares), below 0 when the original was faster."""
        done: Decimal = original.filled_quantity + filled_before(original) + successor.filled_quantity
        return _total(successor) - done

    def _hold(self, original: Order, successor: Order, *, prices_too: bool) -> None:
        """Let the successor hold what the pair may still trade; at its own price once the original is over."""
        held = self._rest(original, successor)
        if original.status == OrderStatus.PENDING_REPLACE:
            held = max(held, may_trade(original))
        cover = held if held > 0 and held != successor.leaves_quantity else None
        fields: dict[str, Decimal | None] = own_prices(successor) if prices_too else {}
        if fields or cover != successor.cover_quantity:
            self._journal.amend(successor, cover_quantity=cover, **fields)


def _total(successor: Order) -> Decimal:
    total: Decimal | None = successor.total_quantity
    assert total is not None, "only a successor is sent as a replacement"
    return total


def own_prices(successor: Order) -> dict[str, Decimal | None]:
    """Return what the gate would have counted the successor at, had there been no original."""
    case = Decision.objects.values_list("case", flat=True).get(pk=successor.decision_id)
    return {name: Decimal(case[name]) for name in ("reserve_price", "loss_per_share")}


def pointless(original: Order, successor: Order) -> str:
    """Return why a successor that was not sent yet need not be sent any more, empty when it must."""
    if original.status not in REPLACEABLE:
        return f"the order that it was to replace is {original.status}"
    done, total = original.filled_quantity + filled_before(original), _total(successor)
    if original.status == OrderStatus.PENDING_REPLACE and done >= total:
        return f"{done.normalize():f} shares have been filled by now, and the new total was {total.normalize():f}"
    return ""


def request_of(successor: Order, original: Order) -> ReplaceRequest:
    """Say a replacement in the broker port's words.

    The total is the one that was asked for: sending more because the original has filled meanwhile would buy these
    shares twice.
    """
    return ReplaceRequest(
        client_order_id=successor.client_order_id,
        original_client_order_id=original.client_order_id,
        original_broker_order_id=original.broker_order_id,
        quantity=_total(successor),
        time_in_force=successor.time_in_force,
        limit_price=successor.limit_price,
        stop_price=successor.stop_price,
    )


def ask(broker: Broker, successor: Order, *, at: datetime) -> BrokerOrder | BrokerError:
    """Send one replacement; a refusal is believed when the broker does not know the successor.

    An attempt whose answer was lost may have taken effect, and then the broker refuses to replace the original again.
    """
    original = Order.objects.get(successors=successor)
    crashpoint(Point.REPLACE_BEFORE_CALL)
    try:
        taken = broker.replace(request_of(successor, original), at=at)
        crashpoint(Point.REPLACE_AFTER_CALL)
        return taken
    except DuplicateClientOrderId as taken:
        return taken
    except BrokerRejected as refusal:
        try:
            return broker.find(successor.client_order_id) or refusal
        except BrokerError as error:
            return BrokerOutcomeUnknown(error.reason, code=error.code)
    except BrokerError as failure:
        return failure


def is_own(successor: Order, found: BrokerOrder) -> bool:
    """Tell whether what a broker keeps under the successor's id is the successor.

    Brokers show the total as its quantity, or what was left of the total when it took over.
    """
    same = (found.symbol, found.side) == (successor.instrument.symbol, successor.side)
    return same and (found.quantity == successor.total_quantity or found.quantity <= successor.quantity)
