"""Adopt what somebody else did at the broker with the same account: orders, and positions that no fill explains.

It belongs to the strategy EXTERNAL: it counts for the account's limits and for no strategy's result. Nothing of it is
ever canceled. An account in quarantine adopts nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from hashlib import sha256

import structlog
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from execution.brokers.base import BrokerOrder, OrderTerms
from execution.ledger import rounded
from execution.models import Account, CashEntry, Order, OrderEvent
from execution.reconciliation.arithmetic import SHARE_TOLERANCE, ZERO, Difference
from execution.reconciliation.entering import Entered, enter_order, external, price_of
from execution.selectors import net_quantities
from execution.services.booking import Execution, book_execution
from execution.services.journal import Journal
from execution.states import OrderStatus
from marketdata import calendar
from marketdata.models import Instrument
from risk.checks.form import storable
from risk.services.alerts import raise_alert
from risk.services.reasons import require_reason
from risk.states import AlertSeverity
from risk.types import OrderType, Origin, Side, TimeInForce

log = structlog.get_logger(__name__)
RECOVERY = OrderEvent.Source.RECOVERY
LONGEST_CLIENT_ORDER_ID = 128
ENDED = {
    "canceled": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
    "replaced": OrderStatus.REPLACED,
}


def adopts(account: Account) -> bool:
    """Tell whether the account takes others' orders and positions into its book."""
    return account.strangers == Account.Strangers.ADOPT


@transaction.atomic
def set_strangers(*, account: Account, policy: str, operator: str, reason: str, wall_now: datetime) -> bool:
    """Say what becomes of others' orders and positions from now on, and tell people; False where it is so already.

    What was adopted stays in the book. Locks: the account.
    :raises InvalidReason: shorter than 10 or longer than 500 characters
    """
    text, chosen = require_reason(reason), Account.Strangers(policy)
    locked = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    account.strangers = chosen
    if locked.strangers == chosen:
        return False
    locked.strangers = chosen
    locked.save(update_fields=["strangers"])
    log.warning("strangers_policy_set", account=account.name, policy=chosen.value, operator=operator, reason=text)
    raise_alert(
        code="strangers_policy_set",
        subject=account.scope,
        severity=AlertSeverity.INFO,
        message=f"orders and positions of others are {chosen.label}, says {operator}: {text}",
        now=wall_now,
        detail={"policy": chosen.value, "operator": operator, "reason": text},
    )
    return True


@transaction.atomic
def adopt_order(
    *, account_id: int, found: BrokerOrder, wall_now: datetime, told_by_reports: bool = False
) -> Order | None:
    """Take an order into the book that nobody of ours sent; None where it is there already or makes no sense.

    Its fills are booked as they are told. With `told_by_reports` its end is told as well; otherwise one that is over is
    entered as over. Locks: account, position.
    """
    account = Account.objects.select_for_update(no_key=True).select_related("feed").get(pk=account_id)
    name = (found.client_order_id or found.broker_order_id)[:LONGEST_CLIENT_ORDER_ID]
    known = Q(client_order_id=name) | (Q(broker_order_id=found.broker_order_id) & ~Q(broker_order_id=""))
    quantity = max(found.quantity, found.filled_quantity)
    instrument = instrument_named(found.symbol)
    if instrument is None or not name or not storable(quantity) or found.side not in Side.values:
        log.error("external_order_not_readable", account=account.name, order=name, symbol=found.symbol)
        return None
    if Order.objects.filter(known, account=account).exists():
        return None
    terms = found.terms or OrderTerms()
    journal = Journal(
        market_at=terms.submitted_at or account.feed.market_now(wall_now), wall_now=wall_now, account=account
    )
    wanted = _wanted(account, instrument, found, terms, name, quantity)
    order = enter_order(journal, strategy=external(), instrument=instrument, wanted=wanted)
    journal.step(order, OrderStatus.ACCEPTED, source=RECOVERY, detail={"reason": "adopted"})
    ends = ENDED.get(found.status)
    if ends is not None and not told_by_reports:
        journal.step(order, ends, source=RECOVERY, detail={"reason": "over at the broker when it was adopted"})
    journal.save()
    _tell_order(account, order, found, wall_now)
    return order


@transaction.atomic
def adopt_position(*, account: Account, difference: Difference, price: Decimal, wall_now: datetime) -> bool:
    """Book shares that no fill explains as a transfer in kind to EXTERNAL, at the broker's average price.

    A purchase (sale) at that price and a deposit (withdrawal) of as much: no cash moves, and nobody has earned
    anything. False where the book has moved since it was compared. Locks: account, position.
    """
    locked = Account.objects.select_for_update(no_key=True).select_related("feed").get(pk=account.pk)
    if abs(net_quantities(locked).get(difference.symbol, ZERO) - difference.ours) > SHARE_TOLERANCE:
        return False
    instrument = instrument_named(difference.symbol)
    shares = rounded(abs(difference.missing))
    if instrument is None or not storable(shares):
        return False
    market_at = locked.feed.market_now(wall_now)
    market_price = price_of(locked, instrument, price)
    paid = rounded(price) if price > 0 else market_price
    journal = Journal(market_at=market_at, wall_now=wall_now, account=locked)
    what = f"{difference.symbol} {difference.ours.normalize():f} to {difference.theirs.normalize():f}"
    key = sha256(f"adopted {locked.pk} {what} {wall_now.isoformat()}".encode()).hexdigest()
    name = f"adopted-{key[:24]}"
    wanted = Entered(
        client_order_id=name,
        key=key,
        side=Side.BUY if difference.missing > 0 else Side.SELL,
        quantity=shares,
        origin=Origin.EXTERNAL,
        price=paid,
        detail={"reason": f"the broker holds {what}, and no fill explains it", "reference": "transfer in kind"},
    )
    order = enter_order(journal, strategy=external(), instrument=instrument, wanted=wanted)
    book_execution(journal, order, Execution(name, shares, paid, ZERO), trading_date=calendar.trading_date(market_at))
    worth = price_of(locked, instrument) if _has_market(locked, instrument) else paid
    _transfer(journal, locked, order, rounded(shares * paid) * order.sign, rounded(shares * worth) * order.sign)
    journal.position(order).current_price = worth
    journal.save()
    locked.save(update_fields=["cash", "starting_cash"])
    account.cash, account.starting_cash = locked.cash, locked.starting_cash
    raise_alert(
        code="external_position",
        subject=f"{locked.scope} symbol:{difference.symbol}",
        severity=AlertSeverity.WARNING,
        message=f"{what} at the broker: adopted under EXTERNAL at {paid.normalize():f}",
        now=wall_now,
        detail={"order": name, "shares": str(shares * order.sign), "price": str(paid)},
    )
    return True


def instrument_named(symbol: str) -> Instrument | None:
    """Return the instrument, made when nobody has heard of it; None where the name is no symbol."""
    found = Instrument.objects.filter(symbol=symbol).first()
    if found is not None or not symbol:
        return found
    made = Instrument(symbol=symbol, name=symbol)
    try:
        made.clean_fields()
        made.validate_constraints()
    except ValidationError:
        return None
    return Instrument.objects.get_or_create(symbol=symbol, defaults={"name": symbol})[0]


def _has_market(account: Account, instrument: Instrument) -> bool:
    return instrument.quotes.filter(feed_id=account.feed_id, last__gt=0).exists()


def _transfer(journal: Journal, account: Account, order: Order, amount: Decimal, worth: Decimal) -> None:
    account.cash += amount
    account.starting_cash += amount
    journal.cash.append(
        CashEntry(
            account_id=account.pk,
            kind=CashEntry.Kind.DEPOSIT if amount >= 0 else CashEntry.Kind.WITHDRAWAL,
            amount=amount,
            base_amount=worth,
            reference=order.client_order_id,
            trading_date=order.trading_date,
            market_at=journal.market_at,
            created_at=journal.wall_now,
        )
    )


def _wanted(
    account: Account, instrument: Instrument, found: BrokerOrder, terms: OrderTerms, name: str, quantity: Decimal
) -> Entered:
    """Say the order in our words; what we have no word for counts as an order at the market."""
    limit = terms.limit_price if terms.order_type in ("limit", "stop_limit") else None
    stop = terms.stop_price if terms.order_type in ("stop", "stop_limit") else None
    whole = terms.order_type in OrderType.values and _has(terms.order_type, limit, stop)
    price = price_of(account, instrument, limit, stop, found.average_fill_price)
    return Entered(
        client_order_id=name,
        key=sha256(f"external {found.broker_order_id or name}".encode()).hexdigest(),
        broker_order_id=found.broker_order_id,
        side=found.side,
        quantity=rounded(quantity),
        order_type=terms.order_type if whole else OrderType.MARKET,
        time_in_force=terms.time_in_force if terms.time_in_force in TimeInForce.values else TimeInForce.DAY,
        limit_price=limit if whole else None,
        stop_price=stop if whole else None,
        extended_hours=terms.extended_hours,
        origin=Origin.EXTERNAL,
        price=price,
        detail={
            "reason": "at the broker, and nobody of ours has sent it",
            "order_type": terms.order_type,
            "status": found.status,
            "reference": found.broker_order_id,
        },
    )


def _has(order_type: str, limit: Decimal | None, stop: Decimal | None) -> bool:
    needs: Sequence[Decimal | None] = {
        "limit": (limit,),
        "stop": (stop,),
        "stop_limit": (limit, stop),
    }.get(order_type, ())
    return all(price is not None and price > 0 for price in needs)


def _tell_order(account: Account, order: Order, found: BrokerOrder, wall_now: datetime) -> None:
    what = f"{order.side} {order.quantity.normalize():f} {order.instrument.symbol}"
    log.warning("external_order", account=account.name, order_id=order.pk, broker_order_id=found.broker_order_id)
    raise_alert(
        code="external_order",
        subject=f"{account.scope} symbol:{order.instrument.symbol}",
        severity=AlertSeverity.WARNING,
        message=f"somebody else's order at the broker: {what}, {order.client_order_id[:64]}; adopted under EXTERNAL",
        now=wall_now,
        detail={"order": order.client_order_id, "broker_order_id": found.broker_order_id, "status": found.status},
    )
