"""Executions whose price the venue has changed: found by what the broker told, and traded again at the new one."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from execution.errors import NothingToCorrect
from execution.models import Account, Break, BrokerMessage, Correction, Fill, Order
from execution.reconciliation.breaks import Sighting
from execution.reconciliation.compare import Known
from execution.reconciliation.corrections import OTHER, Trade, correct, standing_price, taken_back_of
from execution.services.journal import Journal
from risk.types import Side

ZERO = Decimal(0)
NEWEST = 500


def price_sightings(account: Account, agreeing: Iterable[Known]) -> list[Sighting]:
    """Say of which executions the broker has told another price than the book has; one of an order at a time.

    Only of orders whose shares agree: those that were taken back, or not told yet, come first.
    """
    orders = {order.broker_order_id: order for order in agreeing if order.broker_order_id}
    told = BrokerMessage.objects.filter(
        account=account, kind="corrected", broker_order_id__in=orders, price__gt=ZERO
    ).exclude(broker_execution_id="")
    newest: dict[tuple[str, str], Decimal] = {}
    for message in told.order_by("-sequence")[:NEWEST]:
        assert message.price is not None, "only those with a price were asked for"
        newest.setdefault((message.broker_order_id, message.broker_execution_id), message.price)
    found: dict[int, Sighting] = {}
    for (order_id, execution_id), price in newest.items():
        order = orders[order_id]
        fill = Fill.objects.filter(account=account, order_id=order.pk, broker_execution_id=execution_id).first()
        if fill is None or order.pk in found or taken_back_of(fill) >= fill.quantity:
            continue
        before, _count = standing_price(fill)
        if before != price:
            found[order.pk] = _sighting(order, fill, before, price)
    return list(found.values())


def _sighting(order: Known, fill: Fill, before: Decimal, price: Decimal) -> Sighting:
    return Sighting(
        kind=Break.Kind.FILL,
        subject=order.client_order_id,
        symbol=order.symbol,
        ours=before,
        theirs=price,
        cause=f"the venue has changed the price of execution {fill.broker_execution_id}",
        proposal=f"trade its shares back at {before.normalize():f} and again at {price.normalize():f}",
        repair={
            "action": "change_price",
            "order": order.pk,
            "broker_order_id": order.broker_order_id,
            "fill": fill.pk,
            "price": str(price),
        },
    )


@transaction.atomic
def change_price(
    *, account_id: int, fill_id: int, price: Decimal, operator: str, reason: str, wall_now: datetime
) -> tuple[Order, Order]:
    """Trade what stands of an execution back at the price in the book, and again at the venue's new one.

    Asking again for the same price returns what was done. Shares stay as they are, cost, profit and cash follow.
    Locks: account, position.
    :raises NothingToCorrect: there is no such execution, nothing of it stands, or the book has that price
    """
    account = Account.objects.select_for_update(no_key=True).select_related("feed").get(pk=account_id)
    fill = Fill.objects.select_related("order", "instrument", "strategy").filter(pk=fill_id, account=account).first()
    if fill is None or not price.is_finite() or price <= ZERO:
        raise NothingToCorrect(f"execution {fill_id}, price {price}: an execution of the account and a price over 0")
    before, count = standing_price(fill)
    keys = [f"price:{fill.order_id}:{fill.broker_execution_id}"[:130] + f":{count}:{way}" for way in ("out", "in")]
    if before == price:
        keys = [key.replace(f":{count}:", f":{count - 1}:") for key in keys]
        done = [each.order for each in Correction.objects.filter(account=account, key__in=keys).order_by("pk")]
        if len(done) == len(keys):
            return done[0], done[1]
        raise NothingToCorrect(f"execution {fill_id}: the book has the price {price} already")
    left = fill.quantity - taken_back_of(fill)
    if left <= ZERO:
        raise NothingToCorrect(f"execution {fill_id}: all of it was taken back")
    journal = Journal(market_at=account.feed.market_now(wall_now), wall_now=wall_now, account=account)
    sides = ((OTHER[Side(fill.side)], before), (Side(fill.side), price))
    out, again = (
        correct(
            journal,
            fill.order,
            Trade(key=key, side=side, quantity=left, price=at),
            corrects=fill,
            operator=operator,
            reason=reason,
        )
        for key, (side, at) in zip(keys, sides, strict=True)
    )
    journal.save()
    account.save(update_fields=["cash"])
    return out, again
