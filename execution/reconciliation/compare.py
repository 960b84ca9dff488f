"""Look at both books: orders with what they have filled, positions, cash. Nothing is written and nothing concluded."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Q, Sum

from execution.brokers.base import Broker, BrokerOrder, BrokerPosition
from execution.models import Account, Break, BrokerMessage, Correction, Order, Position
from execution.reconciliation.arithmetic import SHARE_TOLERANCE, Difference, differences
from execution.reconciliation.breaks import Sighting
from execution.reconciliation.cash import cash_difference
from execution.selectors import net_quantities
from execution.services import legs
from execution.states import OPEN, OrderStatus
from marketdata import calendar

LOOKED_BACK = timedelta(hours=24)
"""Market time, and wall time of an order's end, within which orders that are over are looked at again."""
LONGEST_ORDER = timedelta(days=92)
MOST_ASKED = 50
NEWEST = 500
LEAD = timedelta(minutes=1)
"""By which another process's clock, or the database's, may be ahead of ours."""
CLOSES_AT = Decimal("0.02")
"""Part of the broker's cash (at least of what was paid in) from which on a difference closes the account."""
Kind = Break.Kind
COLUMNS = (
    "pk",
    "client_order_id",
    "broker_order_id",
    "instrument__symbol",
    "filled_quantity",
    "quantity",
    "status",
)
"""Of an order, in the order of `Known`."""
NEVER_SENT = (OrderStatus.PENDING, OrderStatus.HELD)


@dataclass(frozen=True, slots=True)
class Known:
    """An order of the book, as far as it is compared; `filled` is what still stands of its executions."""

    pk: int
    client_order_id: str
    broker_order_id: str
    symbol: str
    filled: Decimal
    quantity: Decimal
    status: str

    @property
    def is_open(self) -> bool:
        """Whether it may still fill, as far as the book knows."""
        return self.status in OPEN


@dataclass(slots=True)
class OrdersSeen:
    """What the broker's lists have shown: pairs with orders of the book, and orders that are not in it."""

    pairs: list[tuple[Known, BrokerOrder]] = field(default_factory=list)
    strangers: list[BrokerOrder] = field(default_factory=list)
    """Empty while the broker's names of legs are not known yet: then it cannot be told who is one."""
    unknown: list[Known] = field(default_factory=list)
    """Open in the book, and the broker has no order of the id that it gave."""
    unasked: set[str] = field(default_factory=set)
    """Names of orders that are in no list and were not asked for this time: of them nothing is known."""

    def differing(self) -> list[tuple[Known, BrokerOrder]]:
        """Return the pairs whose filled shares differ."""
        return [
            (ours, theirs) for ours, theirs in self.pairs if abs(theirs.filled_quantity - ours.filled) > SHARE_TOLERANCE
        ]


def look_at_orders(
    *, account: Account, listed: Sequence[BrokerOrder], broker: Broker, wall_now: datetime
) -> OrdersSeen:
    """Bring together the book's orders and what the broker has listed; what is in no list is asked for by its id.

    A list goes by the time of submission, so a GTC order of last week that has filled today is in none.
    :raises BrokerError: an answer is missing: absent is not gone
    """
    shown = flattened(listed)
    known = _known(account, shown, wall_now)
    seen = OrdersSeen()
    by_id = {each.broker_order_id: each for each in known if each.broker_order_id}
    by_name = {each.client_order_id: each for each in known}
    found: set[int] = set()
    for order in shown:
        ours = by_id.get(order.broker_order_id) or by_name.get(order.client_order_id)
        if ours is None:
            seen.strangers.append(order)
        else:
            found.add(ours.pk)
            seen.pairs.append((ours, order))
    if seen.strangers and legs.awaits_names(account.pk):
        seen.strangers.clear()  # they may be legs of ours, whose names at the broker are learnt first
    absent = [each for each in known if each.pk not in found and each.broker_order_id]
    if broker.is_dry_run:
        return seen
    absent = _first_those_in_doubt(account, absent, wall_now)
    for each in absent[:MOST_ASKED]:
        asked = broker.order(each.broker_order_id)
        if asked is not None:
            seen.pairs.append((each, asked))
        elif each.is_open:
            seen.unknown.append(each)
    seen.unasked = {each.client_order_id for each in absent[MOST_ASKED:]}
    return seen


def _first_those_in_doubt(account: Account, orders: list[Known], wall_now: datetime) -> list[Known]:
    """Return the orders in the order of asking: those with a break, the open ones, and of the rest others each time."""
    doubtful = _in_doubt(account)
    urgent = [each for each in orders if each.client_order_id in doubtful]
    rest = [each for each in orders if each.client_order_id not in doubtful]
    start = wall_now.microsecond % max(len(rest), 1)
    rest = rest[start:] + rest[:start]
    return [*urgent, *sorted(rest, key=lambda each: not each.is_open)]


def _in_doubt(account: Account) -> set[str]:
    """Return the names of the orders that a break is about."""
    rows = Break.objects.filter(account=account, kind__in=(Kind.ORDER, Kind.FILL), state__in=Break.LIVE)
    return set(rows.values_list("subject", flat=True))


def is_known(broker: Broker, *, broker_order_id: str, client_order_id: str) -> bool:
    """Tell whether the broker knows an order by its own id or by ours.

    :raises BrokerError: no answer, which is none
    """
    return broker.order(broker_order_id) is not None or broker.find(client_order_id) is not None


def listed_orders(*, account: Account, broker: Broker, wall_now: datetime) -> list[BrokerOrder]:
    """Return all that is open at the broker and all that is over and was submitted within a day.

    :raises BrokerError: a page is missing
    """
    after = account.feed.market_now(wall_now) - LOOKED_BACK
    return [*broker.closed_orders(after=after), *broker.open_orders()]


def flattened(orders: Iterable[BrokerOrder]) -> list[BrokerOrder]:
    """Return orders with their legs, each once, as told last."""
    found: dict[str, BrokerOrder] = {}
    for order in orders:
        for each in (order, *flattened(order.legs)):
            found[each.broker_order_id or each.client_order_id] = each
    return list(found.values())


def _known(account: Account, shown: Sequence[BrokerOrder], wall_now: datetime) -> list[Known]:
    """Return the orders of the book that the lists may show, or that are open or ended lately."""
    today = calendar.trading_date(account.feed.market_now(wall_now))
    at_broker = Q(status__in=sorted(OPEN - set(NEVER_SENT))) & ~Q(broker_order_id="")
    lately = Q(closed_at__gte=wall_now - LOOKED_BACK, trading_date__gte=today - LONGEST_ORDER)
    lately &= ~Q(broker_order_id="")
    # A break stands until the difference is gone, and not until its order is old.
    named = Q(client_order_id__in=[*(order.client_order_id for order in shown), *_in_doubt(account)])
    rows = Order.objects.filter(at_broker | lately | named, account=account).order_by("pk")
    found = {row[0]: Known(*row) for row in rows.values_list(*COLUMNS)}
    ids = {order.broker_order_id for order in shown} - {each.broker_order_id for each in found.values()} - {""}
    if ids:
        more = Order.objects.filter(~Q(broker_order_id=""), account=account, broker_order_id__in=ids)
        found |= {row[0]: Known(*row) for row in more.values_list(*COLUMNS)}
    taken_back = _taken_back(account)
    return [_less(each, taken_back) for each in found.values()]


def _taken_back(account: Account) -> Mapping[int, Decimal]:
    """Return the shares of each order's executions that were corrected away."""
    rows = Correction.objects.filter(account=account, key__startswith="bust:").values_list("corrects__order_id")
    return dict(rows.annotate(Sum("order__quantity")).order_by())


def _less(order: Known, taken_back: Mapping[int, Decimal]) -> Known:
    gone = taken_back.get(order.pk)
    if not gone:
        return order
    return replace(order, filled=order.filled - gone)


def order_sighting(ours: Known) -> Sighting:
    """Say that the broker does not know an order that it has taken; compared are the shares that may still trade."""
    left = ours.quantity - ours.filled
    filled = f"{ours.filled.normalize():f} of {ours.quantity.normalize():f} shares filled"
    return Sighting(
        kind=Kind.ORDER,
        subject=ours.client_order_id,
        symbol=ours.symbol,
        ours=left,
        theirs=Decimal(0),
        cause=f"the broker no longer knows its id {ours.broker_order_id}: reset there, or answered by somebody else",
        proposal=f"end it in the book as canceled, {filled}",
        repair={"action": "end_order", "order": ours.pk, "broker_order_id": ours.broker_order_id},
    )


def fill_sighting(ours: Known, theirs: BrokerOrder) -> Sighting:
    """Say how an order's filled shares differ."""
    more = theirs.filled_quantity > ours.filled
    repair = {"action": "infer" if more else "take_back", "order": ours.pk, "broker_order_id": theirs.broker_order_id}
    shares = f"{abs(theirs.filled_quantity - ours.filled).normalize():f} shares"
    return Sighting(
        kind=Kind.FILL,
        subject=ours.client_order_id,
        symbol=ours.symbol,
        ours=ours.filled,
        theirs=theirs.filled_quantity,
        cause="an execution was not told yet" if more else "the venue took an execution back, or its answer is wrong",
        proposal=f"book {shares} at the price that the broker's averages imply" if more else f"take back {shares}",
        repair=repair if more else repair | {"executions": _told_as_taken_back(theirs.broker_order_id)},
    )


def _told_as_taken_back(broker_order_id: str) -> list[str]:
    """Return the executions of an order that the broker has told as taken back or changed."""
    told = BrokerMessage.objects.filter(kind="corrected", broker_order_id=broker_order_id).order_by("-sequence")
    return list(told.values_list("broker_execution_id", flat=True)[:MOST_ASKED])


def look_at_positions(*, account: Account, broker: Broker) -> tuple[list[Difference], dict[str, BrokerPosition], int]:
    """Return where net shares differ, what the broker holds, and how many symbols were compared.

    :raises BrokerError: no whole answer: a symbol that is missing in a failed one is not flat
    """
    ours = net_quantities(account)
    theirs = {position.symbol: position for position in broker.positions()}
    found = differences(ours, {symbol: position.quantity for symbol, position in theirs.items()})
    return found, theirs, len({*ours, *theirs})


def position_sighting(difference: Difference, strangers: Mapping[str, str]) -> Sighting:
    """Say how a position differs, and what may have happened."""
    shares = f"{difference.missing.normalize():f} shares"
    return Sighting(
        kind=Kind.POSITION,
        subject=difference.symbol,
        symbol=difference.symbol,
        ours=difference.ours,
        theirs=difference.theirs,
        cause=strangers.get(difference.symbol) or _cause(difference),
        proposal=f"book {shares} under EXTERNAL at the broker's average price",
        repair={"action": "adopt_position"},
    )


def _cause(difference: Difference) -> str:
    ours, theirs = difference.ours, difference.theirs
    if not theirs:
        return "closed, moved or merged away at the broker, or its list is short"
    if ours and (theirs % ours == 0 or ours % theirs == 0) and ours * theirs > 0:
        return "a split that one of the books has not applied, or an execution that was not told"
    if difference.only_adds:
        return "bought or transferred in by somebody else, or an execution that was not told"
    if ours * theirs < 0:
        return "traded through zero by somebody else, or a liquidation by the broker"
    return "sold by somebody else, or a liquidation by the broker"


def cash_sighting(*, account: Account, broker: Broker) -> tuple[Decimal | None, Sighting | None]:
    """Return by how much cash differs (None: the broker has no view), and a sighting where it is too much.

    :raises BrokerError: no answer
    """
    difference = cash_difference(account=account, broker=broker)
    tolerance = Decimal(settings.RECONCILIATION_CASH_TOLERANCE)
    if difference is None or abs(difference) <= tolerance:
        return difference, None
    ours: Decimal = Account.objects.values_list("cash", flat=True).get(pk=account.pk)
    base = max(abs(ours - difference), abs(account.starting_cash))
    return difference, Sighting(
        kind=Kind.CASH,
        subject="cash",
        ours=ours,
        theirs=ours - difference,
        cause="a fee, a transfer or a dividend that the broker has not told as an activity",
        proposal=f"enter {-difference.normalize():f} as told by the broker",
        repair={"action": "adjust_cash", "amount": str(-difference), "closes": abs(difference) > base * CLOSES_AT},
    )


def unsettled_symbols(*, account: Account, settle: timedelta, wall_now: datetime) -> set[str]:
    """Return the symbols of which something was told or booked so lately that the broker's views may lag."""
    span = (wall_now - settle, wall_now + LEAD)
    lines = Position.objects.filter(account=account, updated_at__gt=span[0], updated_at__lte=span[1])
    found = set(lines.values_list("instrument__symbol", flat=True)) if settle else set()
    messages = BrokerMessage.objects.filter(account=account).exclude(kind="").order_by("-sequence")
    newest = messages.values_list("received_at", "broker_order_id")[:NEWEST]
    fresh = {order for at, order in newest if span[0] < at <= span[1]} - {""}
    told = Order.objects.filter(account=account, broker_order_id__in=fresh)
    return found | set(told.values_list("instrument__symbol", flat=True)) if fresh else found
