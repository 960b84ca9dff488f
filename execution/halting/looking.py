"""One look at the broker for a halt: which orders are still there, which positions, and what is to be said of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import structlog
from django.db.models import Q

from execution.brokers.base import Broker, BrokerOrder, BrokerRejected
from execution.halting.closing import close_symbol
from execution.halting.residue import Found, Kind, Why, note
from execution.halting.scopes import CLOSING, OTHERS, cancels_of, covered_by
from execution.models import Account, HaltProcedure, Order, Position
from execution.selectors import net_quantities
from execution.states import OPEN, OrderStatus
from risk.models import GLOBAL_SCOPE
from risk.stops import Cancels

log = structlog.get_logger(__name__)
ZERO = Decimal(0)
CANCEL_LATE = timedelta(seconds=3)
"""Wall time after which a cancel that is not done is told as left."""


def orders_of(procedure: HaltProcedure) -> Q:
    """Match the orders that the halt takes back: all of its scope, but not those that close for it."""
    matching = covered_by(procedure.scope) & ~CLOSING
    if not procedure.everything:
        matching &= ~OTHERS
    return matching if procedure.top_order_id is None else matching & Q(pk__lte=procedure.top_order_id)


def look_at_orders(procedure: HaltProcedure, broker: Broker, wall_now: datetime) -> bool:
    """List at the broker (with held legs) and in the book; True when nothing is left that must go."""
    account = procedure.account
    listed = [each for order in broker.open_orders() for each in (order, *order.legs)]
    known = _known(account, listed)
    # Under `reducing` what stays open is what reduces: what must go is what was asked to go.
    going = Q(status__in=sorted(OPEN))
    if cancels_of(procedure.level) == Cancels.INCREASING:
        going = Q(status=OrderStatus.PENDING_CANCEL)
    in_book = Order.objects.filter(going, orders_of(procedure), account=account).select_related(
        "instrument", "strategy"
    )
    in_book = in_book.order_by("pk")
    over = set(
        Order.objects.filter(orders_of(procedure), pk__in=known.values())
        .exclude(status__in=sorted(OPEN))
        .values_list("pk", flat=True)
    )
    at_broker = [order for order in listed if known.get(order.broker_order_id) in over]
    taken_in = set(Order.objects.filter(OTHERS, pk__in=known.values()).values_list("pk", flat=True))
    not_ours = [each for each in listed if known.get(each.broker_order_id) in (None, *taken_in)]
    strangers = [each for each in not_ours if _concerns(procedure, each)]
    if procedure.everything:
        _cancel_strangers(broker, strangers, account.feed.market_now(wall_now))
    found = [_late(order, wall_now) for order in in_book]
    note(
        procedure,
        [*(each for each in found if each is not None), *map(_stranger, strangers)],
        kind=Kind.ORDER,
        wall_now=wall_now,
    )
    return not in_book and not at_broker and not (procedure.everything and strangers)


def _known(account: Account, listed: Sequence[BrokerOrder]) -> dict[str, int]:
    """Return the book's orders among those the broker lists, by the broker's ids."""
    ours = {order.client_order_id: order.broker_order_id for order in listed}
    rows = Order.objects.filter(
        Q(client_order_id__in=list(ours)) | Q(broker_order_id__in=[order.broker_order_id for order in listed]),
        account=account,
    ).values_list("pk", "client_order_id", "broker_order_id")
    return {theirs or ours.get(name, ""): pk for pk, name, theirs in rows} | {
        ours[name]: pk for pk, name, _ in rows if name in ours
    }


def _concerns(procedure: HaltProcedure, order: BrokerOrder) -> bool:
    """Tell whether an order of others may be meant: by the account or the symbol, never by a strategy of ours."""
    kind, _, name = procedure.scope.partition(":")
    return kind in (GLOBAL_SCOPE, "account") or (kind == "symbol" and name == order.symbol)


def _cancel_strangers(broker: Broker, strangers: Sequence[BrokerOrder], at: datetime) -> None:
    for order in strangers:
        if order.status in ("pending_cancel", "held"):
            continue
        log.warning("strangers_order_canceled", client_order_id=order.client_order_id, symbol=order.symbol)
        try:
            broker.cancel(client_order_id=order.client_order_id, broker_order_id=order.broker_order_id, at=at)
        except BrokerRejected:
            continue  # it has ended meanwhile


def _stranger(order: BrokerOrder) -> Found:
    left_of_it = order.quantity - order.filled_quantity
    return Found(
        kind=Kind.ORDER,
        name=order.client_order_id or order.broker_order_id,
        symbol=order.symbol,
        quantity=left_of_it if order.side == "buy" else -left_of_it,
        why=Why.STRANGER,
        detail=f"{order.side} {left_of_it.normalize():f} {order.status}, not in our book",
    )


def _late(order: Order, wall_now: datetime) -> Found | None:
    """Tell of an order whose cancel takes longer than cancels do."""
    if order.cancel_requested_at is None or wall_now - order.cancel_requested_at < CANCEL_LATE:
        return None
    replaced = order.status == OrderStatus.PENDING_REPLACE or order.error_code == "cancel_refused"
    return Found(
        kind=Kind.ORDER,
        name=order.client_order_id,
        symbol=order.instrument.symbol,
        strategy=order.strategy.name,
        quantity=order.leaves_quantity * order.sign,
        why=Why.BEING_REPLACED if replaced else Why.CANCEL_PENDING,
        detail=order.error_message or f"{order.status}, the broker has not said that it is canceled",
    )


def close_positions(procedure: HaltProcedure, broker: Broker, wall_now: datetime) -> list[Found]:
    """Ask what the broker holds in the scope and order what closes it; returns what is left, empty when it is flat.

    A broker that forgets a position which the book has is not believed at once: the next look decides.
    """
    kind, _, name = procedure.scope.partition(":")
    before = net_quantities(procedure.account)
    live = {position.symbol: position.quantity for position in broker.positions() if position.quantity}
    strategy = name if kind == "strategy" else ""
    if kind == "symbol":
        live = {symbol: quantity for symbol, quantity in live.items() if symbol == name}
    if strategy:
        lines = Position.objects.filter(account=procedure.account, strategy__name=strategy).exclude(quantity=0)
        ours = set(lines.values_list("instrument__symbol", flat=True))
        live = {symbol: quantity for symbol, quantity in live.items() if symbol in ours}
    found: list[Found] = []
    for symbol in sorted(live):
        found += close_symbol(
            procedure, symbol, live[symbol], before=before.get(symbol, ZERO), strategy=strategy, wall_now=wall_now
        )
    return found + _unseen(procedure, set(live), strategy)


def _unseen(procedure: HaltProcedure, seen: set[str], strategy: str) -> list[Found]:
    """Tell of what the book holds and the broker does not show: a fill whose report is on its way, or a break."""
    if strategy:
        return []
    kind, _, name = procedure.scope.partition(":")
    ours = net_quantities(procedure.account)
    return [
        Found(
            kind=Kind.POSITION,
            name=symbol,
            symbol=symbol,
            quantity=quantity,
            why=Why.CLOSING,
            detail="the broker shows none of it and the book has not heard why",
        )
        for symbol, quantity in sorted(ours.items())
        if symbol not in seen and (kind != "symbol" or symbol == name)
    ]
