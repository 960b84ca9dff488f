"""Write an order into the book that our gate never judged: somebody else's, or the book's own correction.

It gets a decision that says so, the step that creates it, and holds of the limits what any open order holds.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db.models import Q

from execution import reservation
from execution.ledger import rounded
from execution.models import Account, Order, OrderEvent, Position, Strategy
from execution.services.accounts import ensure_strategy
from execution.services.journal import Journal
from execution.states import OrderStatus
from marketdata import calendar
from marketdata.models import Instrument, Quote
from risk.models import Decision
from risk.states import DecisionOutcome
from risk.types import OrderType, Origin, TimeInForce

ZERO = Decimal(0)
RECOVERY = OrderEvent.Source.RECOVERY
PENNY = Decimal("0.01")
LONGEST_REFERENCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """What is to be written; `detail` is kept with the decision and the first step."""

    client_order_id: str
    key: str
    side: str
    quantity: Decimal
    origin: Origin
    price: Decimal
    broker_order_id: str = ""
    order_type: str = OrderType.MARKET
    time_in_force: str = TimeInForce.DAY
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    extended_hours: bool = False
    actor: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


def external() -> Strategy:
    """Return the strategy that owns what nobody of ours wanted; no schedule runs it."""
    return ensure_strategy(name=Strategy.EXTERNAL, description="orders and positions of others at the broker")


def enter_order(journal: Journal, *, strategy: Strategy, instrument: Instrument, wanted: Entered) -> Order:
    """Insert the order as one that was sent, with what it holds. Locks needed: the account; takes its position's."""
    account = journal.account
    assert account is not None, "entering an order needs the account's lock"
    decision = _decision(journal, account, strategy, instrument, wanted)
    order = Order.objects.create(
        account=account,
        strategy=strategy,
        instrument=instrument,
        client_order_id=wanted.client_order_id,
        intent_key=wanted.key,
        broker_order_id=wanted.broker_order_id,
        side=wanted.side,
        quantity=wanted.quantity,
        order_type=wanted.order_type,
        time_in_force=wanted.time_in_force,
        limit_price=wanted.limit_price,
        stop_price=wanted.stop_price,
        extended_hours=wanted.extended_hours,
        origin=wanted.origin,
        source_ref=str(wanted.detail.get("reference", ""))[:LONGEST_REFERENCE],
        status=OrderStatus.PENDING,
        reserve_price=wanted.price,
        loss_per_share=ZERO,
        reference_price=wanted.price,
        decision=decision,
        trading_date=calendar.trading_date(journal.market_at),
        market_at=journal.market_at,
        created_at=journal.wall_now,
        submitted_at=journal.wall_now,
    )
    OrderEvent.objects.create(
        order=order,
        sequence=1,
        from_status="",
        to_status=OrderStatus.PENDING,
        source=RECOVERY,
        actor=wanted.actor,
        detail=wanted.detail,
        market_at=journal.market_at,
        created_at=journal.wall_now,
    )
    journal.orders[order.pk] = order
    position = _position(journal, order, wanted.price)
    reservation.apply(position, reservation.reservation_of(order))
    reservation.widen_caps(position)
    journal.touch_position(position)
    journal.step(order, OrderStatus.SUBMITTED, source=RECOVERY, actor=wanted.actor)
    return order


def price_of(account: Account, instrument: Instrument, *known: Decimal | None) -> Decimal:
    """Return the first price that is one, else the market's, the mark's, or a cent: something to count it at."""
    quote = Quote.objects.filter(feed_id=account.feed_id, instrument=instrument).values_list("last", flat=True).first()
    mark = Position.objects.filter(account=account, instrument=instrument).values_list("current_price", flat=True)
    return next((rounded(price) for price in (*known, quote, mark.first()) if price is not None and price > 0), PENNY)


def _position(journal: Journal, order: Order, price: Decimal) -> Position:
    key = (order.account_id, order.strategy_id, order.instrument_id)
    if key not in journal.positions:
        names = {"account_id": key[0], "strategy_id": key[1], "instrument_id": key[2]}
        Position.objects.get_or_create(
            **names, defaults={"current_price": price, "current_price_at": journal.market_at}
        )
        locked = Position.objects.select_for_update(of=("self",), no_key=True)
        journal.positions[key] = locked.get(Q(**names))
    return journal.positions[key]


def _decision(
    journal: Journal, account: Account, strategy: Strategy, instrument: Instrument, wanted: Entered
) -> Decision:
    """Keep why the order is in the book although no gate has judged it."""
    intent = {
        "strategy": strategy.name,
        "symbol": instrument.symbol,
        "side": wanted.side,
        "quantity": f"{wanted.quantity.normalize():f}",
        "order_type": wanted.order_type,
        "time_in_force": wanted.time_in_force,
        "limit_price": "" if wanted.limit_price is None else f"{wanted.limit_price.normalize():f}",
        "stop_price": "" if wanted.stop_price is None else f"{wanted.stop_price.normalize():f}",
        "extended_hours": wanted.extended_hours,
        "reduce_only": False,
        "origin": wanted.origin.value,
        "source_ref": "",
    }
    return Decision.objects.create(
        account=account.name,
        strategy=strategy.name,
        symbol=instrument.symbol,
        outcome=DecisionOutcome.ACCEPTED,
        case={"intent": intent, "not_judged": wanted.detail},
        market_at=journal.market_at,
        created_at=journal.wall_now,
    )
