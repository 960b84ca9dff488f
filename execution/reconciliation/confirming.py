"""What one run has found, and what is done about a difference that was seen often enough to be believed."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from execution.brokers.base import Broker, BrokerOrder, BrokerPosition
from execution.errors import OrderUnstorable
from execution.models import Account, Break
from execution.reconciliation import breaks
from execution.reconciliation.arithmetic import Difference
from execution.reconciliation.compare import is_known
from execution.reconciliation.inference import infer_fill
from execution.reconciliation.strangers import adopt_position, adopts
from risk.models import KillSwitchEvent
from risk.services import kill_switch

Kind = Break.Kind
MOST_ADOPTIONS, ADOPTIONS_WITHIN = 3, timedelta(hours=1)
SYSTEM = "reconciliation"
UNDECIDED = (Break.State.SUSPECTED, Break.State.OPEN)


@dataclass(slots=True)
class Findings:
    """What one run came to."""

    orders: int = 0
    positions: int = 0
    adopted: int = 0
    inferred: int = 0
    booked: int = 0
    cash: Decimal | None = None
    cursor: int = 0
    differs: bool = False
    """Something differs that is not decided, be it only a suspicion."""
    held: dict[str, BrokerPosition] = field(default_factory=dict)
    unasked: set[str] = field(default_factory=set)
    """Names of orders that the broker was not asked about this time."""


def confirm(
    account: Account, broker: Broker, row: Break, found: Findings, *, settle: timedelta, wall_now: datetime
) -> None:
    """Act on a break that was seen often enough: ask once more about it alone, then repair or open it."""
    if not breaks.is_confirmed(row, settle=settle, wall_now=wall_now):
        return
    if row.kind == Kind.POSITION:
        _position(account, broker, row, found, wall_now)
    elif row.kind == Kind.FILL and row.repair.get("action") == "infer":
        _fill(account, broker, row, found, wall_now)
    elif row.kind == Kind.ORDER and _is_known(broker, row):
        return  # a list and two answers about the order contradict each other: seen again next time
    else:
        breaks.open_break(account=account, row=row, wall_now=wall_now)


def _is_known(broker: Broker, row: Break) -> bool:
    return is_known(broker, broker_order_id=str(row.repair["broker_order_id"]), client_order_id=row.subject)


def _position(account: Account, broker: Broker, row: Break, found: Findings, wall_now: datetime) -> None:
    position = broker.position(row.symbol)
    theirs = position.quantity if position is not None else Decimal(0)
    difference = Difference(row.symbol, Decimal(row.ours), theirs)
    if theirs != Decimal(row.theirs):
        return  # the list and the answer about the symbol contradict each other: seen again next time
    tried = Break.objects.filter(
        account=account,
        kind=Kind.POSITION,
        subject=row.subject,
        state=Break.State.REPAIRED,
        decided_by=SYSTEM,
        decided_at__gte=wall_now - ADOPTIONS_WITHIN,
    ).count()
    # Shares that an order of ours has filled beyond its quantity are no stranger's.
    own = Break.objects.filter(account=account, kind=Kind.FILL, symbol=row.symbol, state__in=UNDECIDED).exists()
    adopting = adopts(account) and difference.only_adds and tried < MOST_ADOPTIONS and not own
    if adopting and position is not None:
        found.adopted += _adopted(account, row, difference, position.average_price, wall_now)
        return
    breaks.open_break(account=account, row=row, wall_now=wall_now)
    if tried >= MOST_ADOPTIONS:
        kill_switch.engage(
            scope=f"symbol:{row.symbol}",
            operator=SYSTEM,
            reason=f"its position was adopted {tried} times within an hour and differs again",
            source=KillSwitchEvent.Source.SYSTEM,
            now=wall_now,
        )


@transaction.atomic
def _adopted(account: Account, row: Break, difference: Difference, price: Decimal, wall_now: datetime) -> bool:
    """Adopt a position and end its break, both or neither. Locks: the break, then as the adoption."""
    if not breaks.still_suspected(row):
        return False
    if not adopt_position(account=account, difference=difference, price=price, wall_now=wall_now):
        return False
    _repaired(account, row, "adopted under EXTERNAL: shares that no fill explains", wall_now)
    return True


def _fill(account: Account, broker: Broker, row: Break, found: Findings, wall_now: datetime) -> None:
    theirs = broker.order(str(row.repair["broker_order_id"]))
    if theirs is None or theirs.filled_quantity < Decimal(row.theirs):
        return
    try:
        found.inferred += _inferred(account, row, theirs, wall_now)
    except OrderUnstorable as refusal:
        row.cause = str(refusal)[:300]
        row.save(update_fields=["cause"])
        breaks.open_break(account=account, row=row, wall_now=wall_now)


@transaction.atomic
def _inferred(account: Account, row: Break, theirs: BrokerOrder, wall_now: datetime) -> bool:
    """Infer a fill and end its break, both or neither. Locks: the break, then as the inference."""
    if not breaks.still_suspected(row):
        return False
    if not infer_fill(account_id=account.pk, order_id=int(row.repair["order"]), found=theirs, wall_now=wall_now):
        return False
    _repaired(account, row, "booked at the price that the broker's averages imply", wall_now)
    return True


def _repaired(account: Account, row: Break, reason: str, wall_now: datetime) -> None:
    breaks.close(
        account=account,
        row=row,
        state=Break.State.REPAIRED,
        wall_now=wall_now,
        decided_by=SYSTEM,
        decided_at=wall_now,
        reason=reason,
    )
