"""The orders that a parent's slices become, and what the gate would say to them."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from execution.models import ParentOrder
from execution.services.orders import preview_orders
from execution.slicing.plan import PlannedSlice
from execution.slicing.terms import slice_limit
from marketdata.models import Quote
from risk.types import Denial, DenialCode, OrderIntent, OrderType, Origin, Side

LONGEST_ID = 128
# What stops all trading of it: it waits for a person, because trying again would only be refused again.
STOPPING = frozenset({DenialCode.KILL_SWITCH, DenialCode.CIRCUIT_BREAKER, DenialCode.STRATEGY_DISABLED})
# What says nothing about the whole, because each slice is judged by it when it is sent.
OF_ONE_ORDER = frozenset({DenialCode.FAT_FINGER_QUANTITY, DenialCode.FAT_FINGER_NOTIONAL, DenialCode.ADV_LIMIT})
# What may be another by the time that the slice is due.
OF_THE_MOMENT = frozenset(
    {
        DenialCode.ORDER_INTERVAL,
        DenialCode.ORDER_RATE,
        DenialCode.MESSAGE_RATE,
        DenialCode.DUPLICATE_ORDER,
        DenialCode.SELF_TRADE,
        DenialCode.SYMBOL_ORDER_LIMIT,
        DenialCode.OPEN_ORDER_LIMIT,
        DenialCode.AUCTION_WINDOW,
        DenialCode.MARKET_CLOSED,
    }
)


def slice_intent(parent: ParentOrder, *, number: int, quantity: Decimal, last: Decimal | None) -> OrderIntent:
    """Return the order that a slice is, at a last price; its id follows from the parent and the number alone."""
    limit = parent.limit_price
    if last is not None:
        limit = slice_limit(
            side=Side(parent.side),
            last=last,
            offset_bps=parent.limit_offset_bps,
            limit_price=parent.limit_price,
            tick_size=parent.instrument.tick_size,
        )
    is_limit = limit is not None or parent.limit_offset_bps is not None
    return OrderIntent(
        strategy=parent.strategy.name,
        symbol=parent.instrument.symbol,
        side=Side(parent.side),
        quantity=quantity,
        order_type=OrderType.LIMIT if is_limit else OrderType.MARKET,
        limit_price=limit,
        reduce_only=parent.reduce_only,
        client_order_id=child_id(parent.client_order_id, number),
        origin=Origin.SLICE,
        source_ref=parent.source_ref,
        parent_id=parent.pk,
        slice_number=number,
    )


def child_id(parent_id: str, number: int) -> str:
    """Return the id of a slice's order after its parent's, so that people see whose it is."""
    name = f"{parent_id}-S{number}"
    return name if len(name) <= LONGEST_ID else hashlib.sha256(name.encode()).hexdigest()


def plan_denials(parent: ParentOrder, slices: Sequence[PlannedSlice], wall_now: datetime) -> list[Denial]:
    """Return why the whole could never pass, and why its largest slice could not."""
    whole = slice_intent(parent, number=0, quantity=parent.quantity, last=last_price(parent))
    largest = replace(whole, quantity=max(planned.quantity for planned in slices))
    found: dict[DenialCode, Denial] = {}
    for intent, ignored in ((whole, OF_ONE_ORDER | OF_THE_MOMENT), (largest, OF_THE_MOMENT)):
        judged = preview_orders(intents=[intent], account=parent.account, wall_now=wall_now)[0]
        for denial in judged.denials:
            if denial.code not in ignored:
                found.setdefault(denial.code, denial)
    return list(found.values())


def last_price(parent: ParentOrder) -> Decimal | None:
    """Return the last price of its instrument in the account's feed, None where there is none."""
    quote = Quote.objects.filter(feed_id=parent.account.feed_id, instrument_id=parent.instrument_id).first()
    return None if quote is None else quote.last
