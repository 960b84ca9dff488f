"""What people do about a break: accept the difference, ignore it for a day, or have it repaired as proposed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import Q, Sum

from execution.brokers.base import Broker
from execution.errors import BreakNotOpen, NothingToCorrect, OrderUnstorable
from execution.ledger import rounded
from execution.models import Account, Break, CashEntry, Fill, OrderEvent
from execution.reconciliation import breaks
from execution.reconciliation.arithmetic import Difference
from execution.reconciliation.cash import cash_difference
from execution.reconciliation.compare import is_known
from execution.reconciliation.corrections import take_back
from execution.reconciliation.inference import infer_fill
from execution.reconciliation.prices import change_price
from execution.reconciliation.strangers import adopt_position
from execution.services import successors
from execution.services.journal import Journal
from execution.states import TERMINAL, OrderStatus, may_follow
from marketdata import calendar
from risk.services.reasons import require_reason

State = Break.State
ZERO = Decimal(0)
OPERATOR = OrderEvent.Source.OPERATOR
UNKNOWN_AT_BROKER = "unknown_at_broker"
LONGEST_MESSAGE = 200
Booking = Callable[[], bool]
"""Books within the caller's transaction; False where the book has moved, and then nothing of it stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who has something repaired, why and when (wall time)."""

    operator: str
    reason: str
    wall_now: datetime


@transaction.atomic
def accept(*, break_id: int, account: Account, operator: str, reason: str, wall_now: datetime) -> Break:
    """Let a difference stand: it closes nothing as long as it is exactly this one. Locks: the break.

    :raises InvalidReason, BreakNotOpen: nothing changes
    """
    return _decide(break_id, account, State.ACCEPTED, operator, reason, wall_now)


@transaction.atomic
def ignore(*, break_id: int, account: Account, operator: str, reason: str, wall_now: datetime) -> Break:
    """Let a difference stand for a day; then it is looked at anew. Locks: the break.

    :raises InvalidReason, BreakNotOpen: nothing changes
    """
    return _decide(break_id, account, State.IGNORED, operator, reason, wall_now)


def repair(*, break_id: int, account: Account, broker: Broker, operator: str, reason: str, wall_now: datetime) -> Break:
    """Carry out what a break proposes, after asking the broker once more; the books agree about it afterwards.

    The broker is asked outside of the transaction; what is booked and the break's end are one, so whoever asks a second
    time finds nothing to do. Locks: the break, then as the booking.
    :raises InvalidReason, BreakNotOpen: there is nothing to do, or the broker says something else now
    :raises BrokerError: the broker cannot be asked
    """
    text = require_reason(reason)
    row = _repairable(Break.objects.filter(pk=break_id, account=account).first(), break_id)
    looks = REPAIRS.get(str(row.repair.get("action")))
    if looks is None:
        raise BreakNotOpen(f"break {break_id} has no repair that this desk knows")
    by = By(operator=operator, reason=text, wall_now=wall_now)
    book = looks(row, account, broker, by)
    with transaction.atomic():
        locked = Break.objects.select_for_update(no_key=True).filter(pk=break_id, account=account).first()
        same = _repairable(locked, break_id)
        if book is None or (same.ours, same.theirs, same.repair) != (row.ours, row.theirs, row.repair) or not book():
            raise BreakNotOpen(
                f"break {break_id}: the books have moved since it was seen; run a reconciliation and look"
            )
        breaks.close(
            account=account,
            row=same,
            state=State.REPAIRED,
            wall_now=wall_now,
            decided_by=operator,
            decided_at=wall_now,
            reason=text,
        )
    return same


def _repairable(row: Break | None, break_id: int) -> Break:
    if row is None or row.state not in (State.OPEN, State.ACCEPTED, State.IGNORED):
        raise BreakNotOpen(f"break {break_id} is {row.state if row else 'not known'}")
    return row


def _decide(break_id: int, account: Account, state: str, operator: str, reason: str, wall_now: datetime) -> Break:
    text = require_reason(reason)
    row = Break.objects.select_for_update(no_key=True).filter(pk=break_id, account=account).first()
    if row is None or row.state not in Break.LIVE or row.state == state:
        raise BreakNotOpen(f"break {break_id} is {row.state if row else 'not known'}")
    breaks.close(
        account=account,
        row=row,
        state=state,
        wall_now=wall_now,
        decided_by=operator,
        decided_at=wall_now,
        reason=text,
    )
    return row


def _adopt(row: Break, account: Account, broker: Broker, by: By) -> Booking | None:
    position = broker.position(row.symbol)
    theirs = position.quantity if position is not None else ZERO
    if theirs != Decimal(row.theirs):
        return None
    price = position.average_price if position is not None else ZERO
    difference = Difference(row.symbol, Decimal(row.ours), theirs)
    return lambda: adopt_position(account=account, difference=difference, price=price, wall_now=by.wall_now)


def _infer(row: Break, account: Account, broker: Broker, by: By) -> Booking | None:
    """Book what the broker counts and nobody has told."""
    theirs, order_id = broker.order(str(row.repair["broker_order_id"])), int(row.repair["order"])
    if theirs is None or theirs.filled_quantity != Decimal(row.theirs):
        return None

    def book() -> bool:
        try:
            return infer_fill(account_id=account.pk, order_id=order_id, found=theirs, wall_now=by.wall_now)
        except OrderUnstorable as refusal:
            raise BreakNotOpen(f"break {row.pk} cannot be repaired: {refusal}") from None

    return book


def _take_back(row: Break, account: Account, broker: Broker, by: By) -> Booking | None:
    """Take executions back until as many shares are left as the broker counts, those first that it told about."""
    theirs, order_id = broker.order(str(row.repair["broker_order_id"])), int(row.repair["order"])
    if theirs is None or theirs.filled_quantity != Decimal(row.theirs):
        return None
    busted = list(row.repair.get("executions", ()))

    def book() -> bool:
        Account.objects.select_for_update(no_key=True).get(pk=account.pk)  # nobody takes the same back meanwhile
        left = Decimal(row.ours) - Decimal(row.theirs)
        gone = Sum("corrections__order__quantity", filter=Q(corrections__key__startswith="bust:"))
        fills = list(Fill.objects.filter(order_id=order_id, account=account).annotate(gone=gone).order_by("-pk"))
        fills.sort(key=lambda fill: fill.broker_execution_id not in busted)
        standing = sum((fill.quantity - (fill.gone or ZERO) for fill in fills), ZERO)
        if standing != Decimal(row.ours):
            return False
        for fill in fills:
            already = fill.gone or ZERO
            shares = min(left, fill.quantity - already)
            if shares > 0:
                _take_back_of(fill.pk, account, shares, already, by)
                left -= shares
        return left == 0

    return book


def _take_back_of(fill_id: int, account: Account, shares: Decimal, already: Decimal, by: By) -> None:
    take_back(
        account_id=account.pk,
        fill_id=fill_id,
        quantity=shares,
        already=already,
        operator=by.operator,
        reason=by.reason,
        wall_now=by.wall_now,
    )


def _change_price(row: Break, account: Account, broker: Broker, by: By) -> Booking | None:
    """Trade an execution again at the price that the venue has given it since, as long as its order is there."""
    if broker.order(str(row.repair["broker_order_id"])) is None:
        return None

    def book() -> bool:
        try:
            change_price(
                account_id=account.pk,
                fill_id=int(row.repair["fill"]),
                price=Decimal(str(row.repair["price"])),
                operator=by.operator,
                reason=by.reason,
                wall_now=by.wall_now,
            )
        except NothingToCorrect:
            return False
        return True

    return book


def _enter_cash(row: Break, account: Account, broker: Broker, by: By) -> Booking | None:
    """Enter what the broker's cash has and the book lacks; it counts as no transfer, so it is a result."""
    amount = rounded(Decimal(str(row.repair["amount"])))
    seen: Decimal = Account.objects.values_list("cash", flat=True).get(pk=account.pk)
    difference = cash_difference(account=account, broker=broker)
    if difference is None or rounded(-difference) != amount:
        return None

    def book() -> bool:
        locked = Account.objects.select_for_update(no_key=True).select_related("feed").get(pk=account.pk)
        if locked.cash != seen:
            return False
        market_at = locked.feed.market_now(by.wall_now)
        CashEntry.objects.create(
            account=locked,
            kind=CashEntry.Kind.OTHER,
            amount=amount,
            reference=f"break {row.pk} by {by.operator}"[:96],
            trading_date=calendar.trading_date(market_at),
            market_at=market_at,
            created_at=by.wall_now,
        )
        locked.cash += amount
        locked.save(update_fields=["cash"])
        account.cash = locked.cash
        return True

    return book


def _end_order(row: Break, account: Account, broker: Broker, by: By) -> Booking | None:
    """End in the book what the broker does not know, by its id and by ours; what has filled of it stays."""
    if is_known(broker, broker_order_id=str(row.repair["broker_order_id"]), client_order_id=row.subject):
        return None
    order_id = int(row.repair["order"])

    def book() -> bool:
        journal = Journal.lock(
            orders=successors.with_partners(Q(pk=order_id, account=account)),
            market_at=account.feed.market_now(by.wall_now),
            wall_now=by.wall_now,
            account_id=account.pk,
        )
        order = journal.orders.get(order_id)
        if order is None or not may_follow(OrderStatus(order.status), OrderStatus.CANCELED) or order.status in TERMINAL:
            return False
        order.error_code, order.error_message = UNKNOWN_AT_BROKER, by.reason[:LONGEST_MESSAGE]
        detail = {"reason": f"the broker does not know it: {by.reason}"}
        journal.step(order, OrderStatus.CANCELED, source=OPERATOR, actor=by.operator, detail=detail)
        successors.Pairs(journal).settle(order)
        journal.save()
        return True

    return book


REPAIRS: dict[str, Callable[[Break, Account, Broker, By], Booking | None]] = {
    "adopt_position": _adopt,
    "infer": _infer,
    "take_back": _take_back,
    "change_price": _change_price,
    "adjust_cash": _enter_cash,
    "end_order": _end_order,
}
"""What asks the broker for an action, and returns what is to be booked; None where it says something else by now."""
