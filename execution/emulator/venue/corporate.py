"""Splits and dividends at the broker: shares, cash, and open orders in old shares."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal

from execution.emulator.venue.entry import described, new_order
from execution.emulator.venue.life import end_order, settle_replacement
from execution.emulator.venue.orders import PENDING, VenueOrder
from execution.emulator.venue.state import VenueState
from execution.matching.pricing import round_against, traded_value
from marketdata.calendar import previous_session

ONE_SHARE = Decimal(1)
DAY = timedelta(days=1)


def apply_actions(state: VenueState, day: date, at: datetime) -> None:
    """Apply what goes ex between the last session and this one; a dividend is paid on shares held after a split."""
    first = previous_session(day) + DAY
    for split in sorted(state.market.splits(first, day), key=lambda split: (split.ex_date, split.symbol)):
        apply_split(state, split.symbol, split.ratio, at)
    for dividend in sorted(state.market.dividends(first, day), key=lambda paid: (paid.ex_date, paid.symbol)):
        pay_dividend(state, dividend.symbol, dividend.cash, at, day)


def apply_split(state: VenueState, symbol: str, ratio: Decimal, at: datetime) -> None:
    """Give `ratio` new shares for an old one; a simple GTC order goes on in new shares under a new id.

    Orders of a group are left as they are (the broker sends them "do not reduce").
    """
    held = state.ledger.held(symbol)
    state.ledger.hold(symbol, held.after_split(ratio))
    state.log.add("split", at=at, symbol=symbol, ratio=ratio)
    for order in state.orders.live(symbol):
        is_simple = order.group is None and order.waits_for is None
        if order.is_live and is_simple and order.body.time_in_force == "gtc":
            adjust_order(state, order, ratio, at)


def adjust_order(state: VenueState, old: VenueOrder, ratio: Decimal, at: datetime) -> None:
    """Replace an order by one for the same money in new shares; one that is not worth a new share ends."""
    quantity = (old.leaves_quantity * ratio).quantize(ONE_SHARE, rounding=ROUND_FLOOR)
    if not quantity:
        end_order(state, old, "canceled", at, reason="nothing is left of it after a split")
        return
    limit_price, stop_price = (
        None if price is None else round_against(price / ratio, old.side)
        for price in (old.body.limit_price, old.body.stop_price)
    )
    body = replace(old.body, client_order_id="", quantity=quantity, limit_price=limit_price, stop_price=stop_price)
    new = new_order(state, body, at, reserve_price=old.reserve_price / ratio)
    new.replaces, new.status = old.id, old.before_pending if old.status in PENDING else old.status
    state.note("submitted", new, at, replaces=old.id, **described(body))
    old.status, old.updated_at, old.replaced_at, old.replaced_by = "replaced", at, at, new.id
    state.note("replaced", old, at, by=new.id, reason="split")
    state.tell("replaced", old, at)
    settle_replacement(state, old, at)
    state.tell(new.status, new, at)


def pay_dividend(state: VenueState, symbol: str, per_share: Decimal, at: datetime, day: date) -> None:
    """Pay (a short: take) the dividend on what is held."""
    quantity = state.ledger.held(symbol).quantity
    amount = traded_value(quantity, per_share)
    if not amount:
        return
    state.ledger.pay(
        "DIV",
        id=state.new_id(),
        at=at,
        day=day,
        amount=amount,
        symbol=symbol,
        qty=str(quantity),
        per_share_amount=str(per_share),
    )
    state.log.add("dividend", at=at, symbol=symbol, quantity=quantity, per_share=per_share, cash=amount)
