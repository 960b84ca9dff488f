"""What becomes of the held legs of a group, from the sending of their entry to its answer and its end.

A broker names the legs as it likes and tells their names in its answer to the entry. Until then a report about one of
them cannot be understood and waits. From then on legs live by reports of their own. What ends before it was ever sent
is told by nobody, so the ledger ends its legs itself.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Q

from execution.brokers.base import Broker, BrokerOrder, BrokerReport, LegRequest
from execution.models import Account, Order, OrderEvent
from execution.services.asking import MOST_ASKED, ask_about, in_turn
from execution.services.journal import Journal
from execution.states import TERMINAL, OrderStatus

log = structlog.get_logger(__name__)
SYSTEM, OPERATOR = OrderEvent.Source.SYSTEM, OrderEvent.Source.OPERATOR
WAITING = (OrderStatus.HELD, OrderStatus.PENDING_CANCEL)
UNSENT_ENDS = (
    OrderStatus.DENIED,
    OrderStatus.DRY_RUN,
    OrderStatus.CANCELED,
    OrderStatus.EXPIRED,
    OrderStatus.REJECTED,
)
LEG_NOT_SHOWN = "leg_not_shown"
ENTRY_OVER = "entry_over"

# Legs that were sent with their entry and are known to us by no name of the broker's.
NAMELESS = Q(entry__isnull=False, total_quantity__isnull=True, broker_order_id="", status__in=WAITING) & ~Q(
    error_code=LEG_NOT_SHOWN
)


def has_group(orders: Sequence[Order]) -> bool:
    """Tell whether one of the orders belongs to a group; a look at what is in memory."""
    return any(order.order_class for order in orders)


def with_legs(orders: Sequence[Order]) -> Q:
    """Match the legs of those orders that have some; to be locked in one statement with them."""
    return Q(entry_id__in=[order.pk for order in orders if order.order_class and not order.leg_role])


def leg_requests(orders: Sequence[Order]) -> dict[int, tuple[LegRequest, ...]]:
    """Return the legs to be sent with each of the orders that has some, in the broker port's words."""
    if not has_group(orders):
        return {}
    found: dict[int, list[LegRequest]] = defaultdict(list)
    for leg in Order.objects.filter(with_legs(orders), total_quantity__isnull=True).order_by("pk"):
        assert leg.entry_id is not None, "a leg has an entry"
        found[leg.entry_id].append(
            LegRequest(
                role=leg.leg_role,
                client_order_id=leg.client_order_id,
                limit_price=leg.limit_price,
                stop_price=leg.stop_price,
            )
        )
    return {entry: tuple(legs) for entry, legs in found.items()}


def unwanted(orders: Sequence[Order]) -> frozenset[int]:
    """Return the entries, not sent yet, of which somebody has canceled a leg: one cancels all."""
    if not has_group(orders):
        return frozenset()
    canceled = Order.objects.filter(with_legs(orders), status__in=[OrderStatus.PENDING_CANCEL, OrderStatus.CANCELED])
    return frozenset(canceled.values_list("entry_id", flat=True))


def learn_legs(journal: Journal, entry: Order, answer: BrokerOrder) -> None:
    """Note under which ids the broker keeps the legs that it shows with their entry. Locks needed: the legs."""
    for leg in journal.orders.values():
        if leg.entry_id != entry.pk or leg.broker_order_id:
            continue
        shown = next((each for each in answer.legs if is_shown(leg, each)), None)
        if shown is not None:
            leg.broker_order_id = shown.broker_order_id
            journal.touch(leg)


def is_shown(leg: Order, shown: BrokerOrder) -> bool:
    """Tell whether a broker's order is this leg: by our id for it, or by its role where the broker has its own ids."""
    return leg.client_order_id == shown.client_order_id or (bool(shown.role) and shown.role == leg.leg_role)


def awaits_names(account_id: int) -> bool:
    """Tell whether a group was sent whose legs we do not know by the broker's names: a report may be about them.

    One that waits to be sent again is not at the broker, and may wait for as long as its account is closed.
    """
    sent = Order.objects.filter(NAMELESS, account_id=account_id, entry__submitted_at__isnull=False)
    return sent.exclude(entry__status=OrderStatus.PENDING).exists()


def named_by_broker(account_id: int, reports: Sequence[BrokerReport]) -> set[int]:
    """Return the legs that the reports are about by the broker's ids."""
    ids = {report.broker_order_id for report in reports} - {""}
    named = Order.objects.filter(
        ~Q(broker_order_id=""), account_id=account_id, broker_order_id__in=ids, entry__isnull=False
    )
    return set(named.values_list("pk", flat=True))


def activated(journal: Journal, leg: Order) -> None:
    """Send a cancel again that was asked for while the leg was held: a broker may refuse it until the leg works.

    It is a new wish, so that the refusal of the one that is on its way at this moment is not taken for its answer.
    """
    if leg.leg_role and leg.status == OrderStatus.PENDING_CANCEL:
        leg.cancel_requested_at, leg.cancel_sent_at = journal.wall_now, None
        journal.touch(leg)


def group_of(order: Order) -> Q:
    """Match the order with those of its group; to be locked in one statement."""
    if not order.order_class:
        return Q(pk=order.pk)
    entry = order.entry_id or order.pk
    return Q(pk__in=[order.pk, entry]) | Q(entry_id=entry)


def unsent_group(journal: Journal, order: Order) -> list[Order]:
    """Return the locked members of the order's group while it waits to be sent: a cancel of one cancels all."""
    if not order.order_class:
        return []
    entry = journal.orders.get(order.entry_id or order.pk)
    if entry is None or entry.status != OrderStatus.PENDING:
        return []
    return [entry, *(leg for leg in journal.orders.values() if leg.entry_id == entry.pk)]


def cancel_held(journal: Journal, leg: Order, *, operator: str, detail: dict[str, str]) -> None:
    """Cancel a held leg: at once with an entry that was not sent, otherwise at the broker.

    When such an entry is not among the locked orders it is canceled instead of being claimed.
    """
    leg.cancel_requested_at, leg.cancel_sent_at = journal.wall_now, None
    entry = journal.orders.get(leg.entry_id or 0)
    unsent = entry is not None and entry.status in (OrderStatus.PENDING, *UNSENT_ENDS) and not entry.broker_order_id
    after = OrderStatus.CANCELED if unsent else OrderStatus.PENDING_CANCEL
    journal.step(leg, after, source=OPERATOR, actor=operator, detail=detail)


def settle_legs(account_id: int, *, market_at: datetime, wall_now: datetime) -> int:
    """End the legs of entries that ended without having reached the broker; returns how many.

    Also what a crash has left between the end of an entry and that of its legs, and legs that the broker never showed:
    of neither will anybody else tell the end. Locks: legs, positions.
    """
    waiting = Q(account_id=account_id, status__in=WAITING, total_quantity__isnull=True)
    unsent = Q(entry__status__in=UNSENT_ENDS, entry__broker_order_id="")
    unseen = Q(error_code=LEG_NOT_SHOWN, broker_order_id="", entry__status__in=sorted(TERMINAL))
    if not Order.objects.filter(waiting & (unsent | unseen)).exists():
        return 0  # every round asks, and hardly ever is there one
    with transaction.atomic():
        journal = Journal.lock(orders=waiting & (unsent | unseen), market_at=market_at, wall_now=wall_now)
        entries = Order.objects.in_bulk({leg.entry_id for leg in journal.orders.values() if leg.entry_id})
        for leg in journal.orders.values():
            entry = entries[leg.entry_id or 0]
            reason = f"its entry is {entry.status}" + (f": {entry.error_message}" if entry.error_message else "")
            was_seen = leg.error_code != LEG_NOT_SHOWN
            if was_seen:
                leg.error_code, leg.error_message = entry.error_code or ENTRY_OVER, reason
            falls = was_seen and leg.status == OrderStatus.HELD
            ends = OrderStatus(entry.status) if falls else OrderStatus.CANCELED
            journal.step(leg, ends, source=SYSTEM, detail={"reason": reason})
        journal.save()
    return len(journal.orders)


def find_names(*, account: Account, broker: Broker, wall_now: datetime) -> int:
    """Ask the broker for the names of legs whose entry it knows: the answer to the entry was lost, a report came first.

    Returns how many were learnt. A leg that the broker does not show is noted as such and waited for no longer. Broker
    calls run outside the transaction, a few in a round.
    :raises BrokerError: about some nothing was answered; what was answered is in the book
    """
    horizon = wall_now - timedelta(seconds=broker.not_found_grace_seconds)
    lacking = NAMELESS & ~Q(entry__broker_order_id="") & Q(entry__submitted_at__lte=horizon)
    entries = Order.objects.filter(pk__in=Order.objects.filter(lacking, account=account).values("entry_id"))
    nameless = list(entries.order_by("pk"))
    if not nameless:
        return 0
    found, failure = ask_about(broker, in_turn(nameless, wall_now)[:MOST_ASKED])
    learnt = 0
    with transaction.atomic():
        journal = Journal.lock(
            orders=lacking & Q(account=account, entry_id__in=list(found)),
            market_at=account.feed.market_now(wall_now),
            wall_now=wall_now,
        )
        for leg in journal.orders.values():
            answer = found[leg.entry_id or 0]
            if answer is not None:
                learnt += _learn_name(journal, leg, answer)
        journal.save()
    if failure is not None:
        raise failure
    return learnt


def _learn_name(journal: Journal, leg: Order, answer: BrokerOrder) -> bool:
    shown = next((each for each in answer.legs if is_shown(leg, each)), None)
    if shown is None:
        log.error("leg_not_shown", order_id=leg.pk, entry_id=leg.entry_id)
        leg.error_code, leg.error_message = LEG_NOT_SHOWN, "the broker shows no such leg with its entry"
    else:
        leg.broker_order_id = shown.broker_order_id
    journal.touch(leg)
    return shown is not None
