"""Take an execution back, or change its price: by orders of the book's own that were never sent, with who and why.

The execution stays as it was told. What is taken back is traded in the other direction at the price that it has by
then, so shares, cost and cash are as if it had never been; the order that it belonged to keeps its count.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256

from django.db import transaction
from django.db.models import Sum

from execution.errors import NothingToCorrect
from execution.models import Account, Correction, Fill, Order
from execution.reconciliation.entering import Entered, enter_order
from execution.services.booking import Execution, book_execution
from execution.services.journal import Journal
from marketdata import calendar
from risk.types import Origin, Side

ZERO = Decimal(0)
OTHER = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One side of a correction; `key` makes it happen once."""

    key: str
    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal = ZERO


@transaction.atomic
def take_back(
    *,
    account_id: int,
    fill_id: int,
    quantity: Decimal,
    operator: str,
    reason: str,
    wall_now: datetime,
    already: Decimal = ZERO,
) -> Order:
    """Reverse so many shares of an execution that the venue has busted; asking again returns what was done.

    `already` are the shares of it that were taken back before.

    Locks: account, position.
    :raises NothingToCorrect: there is no such execution, or it has fewer shares
    """
    account = Account.objects.select_for_update(no_key=True).select_related("feed").get(pk=account_id)
    fill = Fill.objects.select_related("order", "instrument", "strategy").filter(pk=fill_id, account=account).first()
    if fill is None or not ZERO < quantity <= fill.quantity - already:
        held = "none" if fill is None else f"{(fill.quantity - already).normalize():f} shares"
        raise NothingToCorrect(f"execution {fill_id}: {held}, asked to take back {quantity}")
    part = f":{already.normalize():f}" if already else ""
    key = f"bust:{fill.order_id}:{fill.broker_execution_id}"[:150] + part
    done = Correction.objects.filter(account=account, key=key).select_related("order").first()
    if done is not None:
        return done.order
    journal = Journal(market_at=account.feed.market_now(wall_now), wall_now=wall_now, account=account)
    trade = Trade(key=key, side=OTHER[Side(fill.side)], quantity=quantity, price=standing_price(fill)[0])
    order = correct(journal, fill.order, trade, corrects=fill, operator=operator, reason=reason)
    journal.save()
    account.save(update_fields=["cash"])
    return order


def standing_price(fill: Fill) -> tuple[Decimal, int]:
    """Return the price that an execution has in the book by now, and how often it was changed."""
    changes = Correction.objects.filter(corrects=fill, key__startswith="price:", key__endswith=":in").order_by("pk")
    prices = [price for price in changes.values_list("order__average_fill_price", flat=True) if price is not None]
    return (prices[-1] if prices else fill.price), len(prices)


def taken_back_of(fill: Fill) -> Decimal:
    """Return the shares of an execution that were taken back."""
    gone: Decimal | None = Correction.objects.filter(corrects=fill, key__startswith="bust:").aggregate(
        shares=Sum("order__quantity")
    )["shares"]
    return gone or ZERO


def correct(
    journal: Journal, corrected: Order, trade: Trade, *, corrects: Fill | None, operator: str, reason: str
) -> Order:
    """Book a trade of the corrected order's line on a journal that holds the account; the mark stays as it is."""
    name = f"correction-{sha256(trade.key.encode()).hexdigest()[:24]}"
    wanted = Entered(
        client_order_id=name,
        key=sha256(f"correction {corrected.account_id} {trade.key}".encode()).hexdigest(),
        side=trade.side,
        quantity=trade.quantity,
        origin=Origin.CORRECTION,
        price=trade.price,
        actor=operator[:150],
        detail={
            "reason": reason,
            "corrects_order": corrected.client_order_id,
            "corrects_execution": "" if corrects is None else corrects.broker_execution_id,
            "reference": f"order {corrected.pk}",
        },
    )
    order = enter_order(journal, strategy=corrected.strategy, instrument=corrected.instrument, wanted=wanted)
    position = journal.position(order)
    mark, marked_at = position.current_price, position.current_price_at
    book_execution(
        journal,
        order,
        Execution(name, trade.quantity, trade.price, trade.fee),
        trading_date=calendar.trading_date(journal.market_at),
    )
    position.current_price, position.current_price_at = mark, marked_at
    Correction.objects.create(
        order=order,
        corrects=corrects,
        account_id=order.account_id,
        key=trade.key,
        reason=reason[:500],
        operator=operator,
        created_at=journal.wall_now,
    )
    return order
