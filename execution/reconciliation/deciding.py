"""What people do about a break: accept the difference, ignore it for a day, or have it repaired as proposed."""

from datetime import datetime
from decimal import Decimal

from django.db import transaction

from execution.brokers.base import Broker
from execution.errors import BreakNotOpen, OrderUnstorable
from execution.ledger import rounded
from execution.models import Account, Break, CashEntry, Fill, Order
from execution.reconciliation import breaks
from execution.reconciliation.arithmetic import Difference
from execution.reconciliation.corrections import take_back
from execution.reconciliation.inference import infer_fill
from execution.reconciliation.strangers import adopt_position
from marketdata import calendar
from risk.services.reasons import require_reason

State, Kind = Break.State, Break.Kind
ZERO = Decimal(0)


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

    :raises InvalidReason, BreakNotOpen: there is nothing to do, or the broker says something else now
    :raises BrokerError: the broker cannot be asked
    """
    text = require_reason(reason)
    row = Break.objects.filter(pk=break_id, account=account).first()
    if row is None or row.state not in (State.OPEN, State.ACCEPTED, State.IGNORED):
        raise BreakNotOpen(f"break {break_id} is {row.state if row else 'not known'}")
    action = row.repair.get("action")
    if action == "adopt_position":
        done = _adopt(row, account, broker, wall_now)
    elif action in ("infer", "take_back"):
        done = _fills(row, account, broker, operator, text, wall_now)
    elif action == "adjust_cash":
        done = _cash(row, account, operator, wall_now)
    else:
        raise BreakNotOpen(f"break {break_id} has no repair that this desk knows")
    if not done:
        raise BreakNotOpen(f"break {break_id}: the books have moved since it was seen; run a reconciliation and look")
    breaks.close(
        account=account,
        row=row,
        state=State.REPAIRED,
        wall_now=wall_now,
        decided_by=operator,
        decided_at=wall_now,
        reason=text,
    )
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


def _adopt(row: Break, account: Account, broker: Broker, wall_now: datetime) -> bool:
    position = broker.position(row.symbol)
    theirs = position.quantity if position is not None else ZERO
    if theirs != Decimal(row.theirs):
        return False
    price = position.average_price if position is not None else ZERO
    difference = Difference(row.symbol, Decimal(row.ours), theirs)
    return adopt_position(account=account, difference=difference, price=price, wall_now=wall_now)


def _fills(row: Break, account: Account, broker: Broker, operator: str, reason: str, wall_now: datetime) -> bool:
    """Bring an order's executions to what the broker counts: infer what is missing, take back what it took back."""
    theirs = broker.order(str(row.repair["broker_order_id"]))
    if theirs is None or theirs.filled_quantity != Decimal(row.theirs):
        return False
    order_id = int(row.repair["order"])
    if row.repair["action"] == "infer":
        try:
            return infer_fill(account_id=account.pk, order_id=order_id, found=theirs, wall_now=wall_now)
        except OrderUnstorable as refusal:
            raise BreakNotOpen(f"break {row.pk} cannot be repaired: {refusal}") from None
    return _take_back(row, account, order_id, operator, reason, wall_now)


@transaction.atomic
def _take_back(row: Break, account: Account, order_id: int, operator: str, reason: str, wall_now: datetime) -> bool:
    left = Decimal(row.ours) - Decimal(row.theirs)
    busted = list(row.repair.get("executions", ()))
    fills = list(Fill.objects.filter(order_id=order_id, corrections__isnull=True).order_by("-pk"))
    fills.sort(key=lambda fill: fill.broker_execution_id not in busted)
    if not Order.objects.filter(pk=order_id, account=account).exists():
        return False
    for fill in fills:
        shares = min(left, fill.quantity)
        if shares <= 0:
            break
        take_back(
            account_id=account.pk,
            fill_id=fill.pk,
            quantity=shares,
            operator=operator,
            reason=reason,
            wall_now=wall_now,
        )
        left -= shares
    return left == 0


@transaction.atomic
def _cash(row: Break, account: Account, operator: str, wall_now: datetime) -> bool:
    """Enter what the broker's cash has and the book lacks; it counts as no transfer, so it is a result."""
    locked = Account.objects.select_for_update(no_key=True).select_related("feed").get(pk=account.pk)
    amount = rounded(Decimal(str(row.repair["amount"])))
    market_at = locked.feed.market_now(wall_now)
    CashEntry.objects.create(
        account=locked,
        kind=CashEntry.Kind.OTHER,
        amount=amount,
        reference=f"break {row.pk} by {operator}"[:96],
        trading_date=calendar.trading_date(market_at),
        market_at=market_at,
        created_at=wall_now,
    )
    locked.cash += amount
    locked.save(update_fields=["cash"])
    account.cash = locked.cash
    return True
