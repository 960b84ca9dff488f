"""Shares that the broker counts and no execution tells: booked at the price that its averages imply, until one comes.

The execution id follows from the order and the count, so that whoever infers first infers for all. A real execution
that comes later takes the place of the same shares: it is linked, its price and fee are made good, and not one share is
counted twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import structlog
from django.db import transaction
from django.db.models import Q, Sum

from execution.brokers.base import BrokerOrder, BrokerReport
from execution.errors import OrderUnstorable
from execution.ledger import rounded
from execution.models import Fill, InferredFill, Order, Supersession
from execution.reconciliation.arithmetic import Span, price_of_missing
from execution.reconciliation.corrections import OTHER, Trade, correct
from execution.services import successors
from execution.services.booking import Execution, book_execution
from execution.services.journal import Journal
from marketdata import calendar
from risk.services.alerts import raise_alert
from risk.states import AlertSeverity
from risk.types import Side

log = structlog.get_logger(__name__)
ZERO = Decimal(0)
RECONCILIATION = "reconciliation"


def execution_id(broker_order_id: str, filled: Decimal) -> str:
    """Name the inferred execution after which so many shares of an order are filled."""
    return f"inferred:{broker_order_id}:{filled.normalize():f}"[:96]


@transaction.atomic
def infer_fill(*, account_id: int, order_id: int, found: BrokerOrder, wall_now: datetime) -> bool:
    """Book what an order has filled at the broker beyond the book; False where there is nothing (any more).

    Locks: account, the order with its partners, positions.
    :raises OrderUnstorable: the broker's numbers imply no price, or more than was ordered
    """
    journal = Journal.lock(
        orders=successors.with_partners(Q(pk=order_id, account_id=account_id)),
        market_at=found.updated_at,
        wall_now=wall_now,
        account_id=account_id,
    )
    order, locked = journal.orders.get(order_id), journal.account
    if order is None or locked is None or found.filled_quantity <= order.filled_quantity:
        return False
    before, after = order.filled_quantity, rounded(found.filled_quantity)
    price = _price(order, found)
    if price is None:
        raise OrderUnstorable(f"{found.filled_quantity} filled at an average of {found.average_fill_price}: no price")
    execution = Execution(execution_id(found.broker_order_id, after), after - before, price, ZERO)
    pairs = successors.Pairs.completed(journal)
    book_execution(journal, order, execution, trading_date=calendar.trading_date(found.updated_at))
    pairs.told(order, _report(order, found, execution))
    journal.save()
    locked.save(update_fields=["cash"])
    [fill] = journal.fills
    InferredFill.objects.create(fill=fill, order=order, from_quantity=before, to_quantity=after, created_at=wall_now)
    log.warning("fill_inferred", order_id=order.pk, quantity=str(execution.quantity), price=str(price))
    raise_alert(
        code="fill_inferred",
        subject=f"{locked.scope} order:{order.client_order_id[:64]}",
        severity=AlertSeverity.WARNING,
        message=f"{execution.quantity.normalize():f} {order.instrument.symbol} at {price.normalize():f}: the broker "
        "counts these shares and tells no execution of them",
        now=wall_now,
        detail={"order": order.client_order_id, "execution_id": execution.execution_id},
    )
    return True


def _price(order: Order, found: BrokerOrder) -> Decimal | None:
    if found.average_fill_price is None:
        return None
    return price_of_missing(
        quantity_before=order.filled_quantity,
        average_before=order.average_fill_price or ZERO,
        quantity_after=found.filled_quantity,
        average_after=found.average_fill_price,
    )


def _report(order: Order, found: BrokerOrder, execution: Execution) -> BrokerReport:
    return BrokerReport(
        sequence=0,
        kind="fill",
        client_order_id=order.client_order_id,
        broker_order_id=found.broker_order_id,
        at=found.updated_at,
        cumulative_quantity=found.filled_quantity,
        broker_execution_id=execution.execution_id,
        quantity=execution.quantity,
        price=execution.price,
    )


class Inferences:
    """What was inferred of some locked orders; mostly nothing, which one query tells."""

    def __init__(self, orders: Iterable[int]) -> None:
        self._left: dict[int, list[tuple[InferredFill, Decimal]]] = {}
        rows = InferredFill.objects.filter(order_id__in=list(orders)).select_related("fill")
        for row in rows.annotate(told=Sum("supersessions__quantity")).order_by("from_quantity"):
            left = row.to_quantity - row.from_quantity - (row.told or ZERO)
            self._left.setdefault(row.order_id, []).append((row, left))

    def told(self) -> set[tuple[int, str]]:
        """Return order and id of the real executions that have taken an inferred one's place."""
        if not self._left:
            return set()
        rows = Supersession.objects.filter(inferred__order_id__in=list(self._left))
        return set(rows.values_list("inferred__order_id", "broker_execution_id"))

    def supersede(
        self, journal: Journal, order: Order, execution: Execution, filled_after: Decimal
    ) -> Execution | None:
        """Give an execution the place of the shares that were inferred for it; returns what of it is new, if anything.

        Locks needed: account, order, position.
        """
        span = Span(filled_after - execution.quantity, filled_after)
        left = execution.quantity
        for place, (row, open_shares) in enumerate(self._left.get(order.pk, ())):
            shares = min(span.shared(Span(row.from_quantity, row.to_quantity)), open_shares, left)
            if shares <= 0:
                continue
            self._left[order.pk][place] = (row, open_shares - shares)
            left -= shares
            self._link(journal, order, row, execution, shares)
        if left == execution.quantity:
            return execution
        return replace(execution, quantity=left, fee=ZERO) if left else None

    def _link(self, journal: Journal, order: Order, row: InferredFill, execution: Execution, shares: Decimal) -> None:
        Supersession.objects.create(
            inferred=row,
            broker_execution_id=execution.execution_id,
            quantity=shares,
            price=execution.price,
            fee=execution.fee,
            created_at=journal.wall_now,
        )
        log.info("inferred_fill_superseded", order_id=order.pk, execution_id=execution.execution_id)
        if row.fill.price == execution.price and not execution.fee:
            return
        for trade in _trades(row.fill, execution, shares):
            reason = f"execution {execution.execution_id} tells shares that were inferred at {row.fill.price}"
            correct(journal, order, trade, corrects=row.fill, operator=RECONCILIATION, reason=reason)


def _trades(fill: Fill, execution: Execution, shares: Decimal) -> Sequence[Trade]:
    """Return the trades that put a real price in the place of an inferred one."""
    key, side = f"superseded:{fill.pk}:{execution.execution_id}"[:190], Side(fill.side)
    return (
        Trade(key=f"{key}:out", side=OTHER[side], quantity=shares, price=fill.price),
        Trade(key=f"{key}:in", side=side, quantity=shares, price=execution.price, fee=execution.fee),
    )
