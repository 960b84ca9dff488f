"""Book broker reports on locked rows: order, position, cash together."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from execution.brokers.base import BrokerReport
from execution.errors import OrderUnstorable
from execution.ledger import Lot, book_fill, rounded
from execution.models import CashEntry, Fill, Order, OrderEvent
from execution.reservation import widen_caps
from execution.services.journal import Journal
from execution.states import OPEN, OrderStatus, may_follow
from risk.checks.form import STORABLE_MAX, storable

ZERO = Decimal(0)
BROKER = OrderEvent.Source.BROKER


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill as the broker reported it: shares, account currency a share, fee in account currency."""

    execution_id: str
    quantity: Decimal
    price: Decimal
    fee: Decimal

    @classmethod
    def of(cls, report: BrokerReport) -> "Execution":
        """Take the execution out of a report.

        :raises OrderUnstorable: a number is missing or makes no sense
        """
        execution_id, quantity, price = report.broker_execution_id, report.quantity, report.price
        if not execution_id or quantity is None or price is None:
            raise OrderUnstorable("fill without execution id, quantity or price")
        price, fee = _in_ledger_precision(price), _in_ledger_precision(report.fee or ZERO)
        if not (storable(quantity) and storable(price) and abs(fee) < STORABLE_MAX):
            raise OrderUnstorable(f"fill of {quantity} at {price}, fee {fee}")
        return cls(execution_id, quantity, price, fee)


def _in_ledger_precision(amount: Decimal) -> Decimal:
    """Round what a broker computed (an average, a fee by rate); what is no storable number stays for the refusal."""
    if not amount.is_finite() or abs(amount) >= STORABLE_MAX:
        return Decimal("Infinity")
    return rounded(amount)


def learn_broker_id(journal: Journal, order: Order, broker_order_id: str) -> None:
    """Note under which id the broker keeps the order; one that waits to be sent has been sent after all."""
    if broker_order_id and not order.broker_order_id:
        order.broker_order_id = broker_order_id
        journal.touch(order)
    if order.status == OrderStatus.PENDING:
        order.submitted_at = order.submitted_at or journal.wall_now
        journal.step(order, OrderStatus.SUBMITTED, source=BROKER, detail={"reason": "the broker knows the order"})


def book_execution(journal: Journal, order: Order, execution: Execution, *, trading_date: date) -> None:
    """Book one execution on a locked order, its position and the account's cash.

    The caller has made sure that the execution was not booked before. Late fills of an order that is over are booked
    too: they are facts. Locks needed: account, order, position.
    :raises OrderUnstorable: more would be filled than was ordered
    :raises IllegalTransition: the order was never to be sent (denied, a dry run)
    """
    filled = order.filled_quantity + execution.quantity
    if filled > order.quantity:
        raise OrderUnstorable(f"overfill: {filled.normalize():f} of {order.quantity.normalize():f}")
    position = journal.position(order)
    signed = execution.quantity * order.sign
    booking = book_fill(Lot(position.quantity, position.cost_basis), signed_quantity=signed, price=execution.price)
    average = _average(order, execution)
    journal.step(
        order,
        _status_after_fill(order, filled),
        source=BROKER,
        filled=filled,
        average_price=average,
        detail={
            "execution_id": execution.execution_id,
            "quantity": str(execution.quantity),
            "price": str(execution.price),
            "fee": str(execution.fee),
        },
    )
    position.quantity, position.cost_basis = booking.lot.quantity, booking.lot.cost_basis
    position.realized_pnl += booking.realized
    position.fees += execution.fee
    if journal.market_at >= position.current_price_at:
        position.current_price, position.current_price_at = execution.price, journal.market_at
    widen_caps(position)
    journal.touch_position(position)
    _book_cash(journal, order, execution, booking.cash, booking.realized, trading_date)


def _average(order: Order, execution: Execution) -> Decimal:
    paid = (order.average_fill_price or ZERO) * order.filled_quantity + execution.price * execution.quantity
    return rounded(paid / (order.filled_quantity + execution.quantity))


def _status_after_fill(order: Order, filled: Decimal) -> OrderStatus:
    if filled == order.quantity:
        return OrderStatus.FILLED
    status = OrderStatus(order.status)
    keeps = status in (OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE) or status not in OPEN
    return status if keeps else OrderStatus.PARTIALLY_FILLED


def _book_cash(
    journal: Journal, order: Order, execution: Execution, cash: Decimal, realized: Decimal, trading_date: date
) -> None:
    account = journal.account
    if account is None:
        raise ValueError("booking a fill needs the account's lock")
    fill = Fill(
        account_id=account.pk,
        order=order,
        strategy_id=order.strategy_id,
        instrument_id=order.instrument_id,
        broker_execution_id=execution.execution_id,
        side=order.side,
        quantity=execution.quantity,
        price=execution.price,
        fee=execution.fee,
        realized_pnl=realized,
        trading_date=trading_date,
        executed_at=journal.market_at,
        created_at=journal.wall_now,
    )
    journal.fills.append(fill)
    amounts = [(CashEntry.Kind.TRADE, cash)]
    if execution.fee:
        amounts.append((CashEntry.Kind.FEE, -execution.fee))
    for kind, amount in amounts:
        account.cash += amount
        journal.cash.append(
            CashEntry(
                account_id=account.pk,
                strategy_id=order.strategy_id,
                fill=fill,
                kind=kind,
                amount=amount,
                reference=execution.execution_id,
                trading_date=trading_date,
                market_at=journal.market_at,
                created_at=journal.wall_now,
            )
        )


def book_status(journal: Journal, order: Order, report: BrokerReport) -> None:
    """Book a report that is no fill; one that says nothing new, or comes late, changes nothing.

    Locks needed: order, position.
    """
    target = _target(order, report)
    if target is None or not may_follow(OrderStatus(order.status), target):
        return
    if report.kind == "cancel_rejected":
        order.cancel_requested_at = order.cancel_sent_at = None
    if target in (OrderStatus.REJECTED, OrderStatus.EXPIRED, OrderStatus.CANCELED) and report.reason:
        order.error_code, order.error_message = f"broker_{report.kind}", report.reason
    journal.step(order, target, source=BROKER, detail={"reason": report.reason} if report.reason else {})


def _target(order: Order, report: BrokerReport) -> OrderStatus | None:
    if report.kind == "accepted":
        return OrderStatus.ACCEPTED if order.status in (OrderStatus.SUBMITTED, OrderStatus.HELD) else None
    if report.kind == "cancel_rejected":
        if order.status != OrderStatus.PENDING_CANCEL:
            return None
        return OrderStatus.PARTIALLY_FILLED if order.filled_quantity else OrderStatus.ACCEPTED
    if order.status not in OPEN or report.kind == "replace_rejected":  # which is about the successor
        return None
    return OrderStatus(report.kind)
