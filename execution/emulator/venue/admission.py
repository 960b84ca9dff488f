"""What the broker refuses on entry, with Alpaca's status, code and words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from execution.alpaca_wire.errors import WireError, forbidden, malformed, not_unique, unprocessable
from execution.alpaca_wire.orders import OrderBody
from execution.alpaca_wire.text import number
from execution.emulator.market import Listing
from execution.emulator.venue.orders import VenueOrder, held_once
from execution.emulator.venue.state import VenueState
from execution.emulator.venue.values import Need, need_of, power_left
from execution.matching.admission import Entry, Refusal, find_refusal
from execution.session_hours import hours_for_entry
from risk.types import OrderType, Side, TimeInForce

ZERO = Decimal(0)
CENT = Decimal("0.01")
GROUP_TIMES = ("day", "gtc")
# Refusals of the matching engine that mean a field is missing or not a number; all others are rules.
MALFORMED_CODES = frozenset(
    {"invalid_quantity", "missing_limit_price", "missing_stop_price", "invalid_limit_price", "invalid_stop_price"}
)


def judge(state: VenueState, body: OrderBody, at: datetime) -> Need:
    """Return what the order holds when it is taken.

    :raises WireError: 403 what the account may not or cannot pay, 422 what nobody may
    """
    refuse_account(state)
    refuse_used_id(state, body.client_order_id)
    listing = refuse_asset(state, body)
    refuse_form(body, at)
    refuse_group(state, body, at)
    need = refuse_shares(state, body, listing)
    refuse_wash_trade(state, body)
    refuse_power(state, need)
    return need


def refuse_account(state: VenueState) -> None:
    """Refuse every order of an account that may not trade."""
    flags = state.flags
    if flags.account_blocked:
        raise forbidden("account is blocked")
    if flags.trading_blocked:
        raise forbidden("trading is blocked for this account")
    if flags.suspended:
        raise forbidden("new orders are rejected by user request")


def refuse_used_id(state: VenueState, client_order_id: str) -> None:
    """Refuse a client order id that was ever used."""
    if client_order_id and state.orders.knows(client_order_id):
        raise not_unique()


def refuse_asset(state: VenueState, body: OrderBody) -> Listing:
    """Refuse a symbol that is unknown or cannot be traded."""
    listing = state.market.listings.get(body.symbol)
    if listing is None:
        raise malformed("symbol", body.symbol, "a symbol of /v2/assets")
    if not listing.active or not listing.tradable:
        raise unprocessable(f"asset {body.symbol} is not tradable")
    if body.quantity % 1 and not (listing.fractionable and state.flags.fractional):
        raise forbidden(f"asset {body.symbol} is not fractionable")
    return listing


def refuse_form(body: OrderBody, at: datetime) -> None:
    """Refuse combinations and prices that no exchange takes, and auction orders out of their window."""
    entry = Entry(
        side=Side(body.side),
        order_type=OrderType(body.order_type),
        time_in_force=TimeInForce(body.time_in_force),
        quantity=body.quantity,
        limit_price=body.limit_price,
        stop_price=body.stop_price,
        extended_hours=body.extended_hours,
    )
    refuse(find_refusal(entry, hours=hours_for_entry(at), at=at))


def refuse(refusal: Refusal | None) -> None:
    """Raise a refusal of the matching engine in Alpaca's form."""
    if refusal is None:
        return
    if refusal.code in MALFORMED_CODES:
        raise WireError(422, 40010001, refusal.reason)
    raise unprocessable(refusal.reason)


def refuse_group(state: VenueState, body: OrderBody, at: datetime) -> None:
    """Refuse a bracket, OCO or OTO whose exits do not lie on the two sides of its price."""
    if not body.order_class:
        return
    if body.time_in_force not in GROUP_TIMES or body.extended_hours:
        raise unprocessable(f"{body.order_class} orders must be day or gtc, without extended hours")
    if body.quantity % 1:
        raise unprocessable(f"{body.order_class} orders cannot be for part of a share")
    entry_buys = (body.side == "buy") != (body.order_class == "oco")
    profit = body.limit_price if body.order_class == "oco" else body.take_profit_price
    base = None if body.order_class == "oco" else body.limit_price or body.stop_price or state.last_price(body.symbol)
    sign = 1 if entry_buys else -1
    stop = body.stop_loss_price
    for name, price in (("take_profit.limit_price", body.take_profit_price), ("stop_loss.stop_price", stop)):
        if price is not None and price % CENT and price >= 1:
            raise unprocessable(f"{name} {number(price)} is not a whole number of ticks")
    if profit is not None and stop is not None and sign * (profit - stop) <= 0:
        raise unprocessable("take_profit.limit_price must be on the other side of the market than stop_loss.stop_price")
    if base is not None and profit is not None and sign * (profit - base) < CENT:
        raise unprocessable(f"take_profit.limit_price must be {'>=' if entry_buys else '<='} base_price ± 0.01")
    if base is not None and stop is not None and sign * (base - stop) < CENT:
        raise unprocessable(f"stop_loss.stop_price must be {'<=' if entry_buys else '>='} base_price ± 0.01")


def refuse_shares(state: VenueState, body: OrderBody, listing: Listing) -> Need:
    """Refuse an order that crosses zero, closes shares that another one holds, or opens what may not be opened."""
    held = state.ledger.held(body.symbol).quantity
    closes = held < 0 if body.side == "buy" else held > 0
    if not closes:
        refuse_opening(state, body, listing)
        return need_of(state, body)
    if body.order_class in ("bracket", "oto"):
        raise forbidden(f"{body.order_class} orders must be entry orders", symbol=body.symbol)
    closing = [order for order in state.orders.live(body.symbol) if order.body.side == body.side]
    held_for_orders = shares_held(closing)
    available = max(abs(held) - held_for_orders, ZERO)
    if body.quantity > available:
        raise forbidden(
            f"insufficient qty available for order (requested: {number(body.quantity)},"
            f" available: {number(available)})",
            symbol=body.symbol,
            available=number(available),
            existing_qty=number(abs(held)),
            held_for_orders=number(held_for_orders),
            related_orders=[order.id for order in closing if order.held_shares],
        )
    return Need()


def refuse_opening(state: VenueState, body: OrderBody, listing: Listing) -> None:
    """Refuse what opens against an opening order of the other side, and shorts that are not allowed."""
    if body.order_class == "oco":
        raise forbidden("oco orders need a position to close", symbol=body.symbol)
    against = [
        order for order in state.orders.live(body.symbol) if order.body.side != body.side and order.reserve_price
    ]
    if body.side == "buy":
        if against:
            raise forbidden("cannot open a long buy while a short sell order is open", existing_order_id=against[0].id)
        return
    if against:
        raise forbidden("cannot open a short sell while a long buy order is open", existing_order_id=against[0].id)
    if not state.flags.shorting_enabled or state.flags.no_shorting:
        raise forbidden("account is not allowed to short")
    if not listing.shortable:
        raise unprocessable(f"asset {body.symbol} cannot be sold short")
    if body.quantity % 1:
        raise unprocessable("fractional orders cannot be sold short")


def shares_held(orders: Iterable[VenueOrder]) -> Decimal:
    """Return the shares that open orders hold."""
    return held_once(orders, lambda order: order.held_shares)


def refuse_shares_of_replacement(state: VenueState, old: VenueOrder, leaves: Decimal) -> None:
    """Refuse a replacement of a closing order that needs more shares than are free."""
    others = [o for o in state.orders.live(old.symbol) if o.body.side == old.body.side and o is not old]
    if old.group is not None:
        others = [order for order in others if order.group is not old.group]
    available = abs(state.ledger.held(old.symbol).quantity) - shares_held(others)
    if leaves > available and leaves > old.leaves_quantity:
        raise forbidden(
            f"insufficient qty available for order (requested: {number(leaves)},"
            f" available: {number(max(available, ZERO))})",
            symbol=old.symbol,
            available=number(max(available, ZERO)),
        )


def refuse_wash_trade(state: VenueState, body: OrderBody) -> None:
    """Refuse an order that could trade with an open one of the account: markets and stops always, limits that cross.

    An OCO and the exits of groups are exempt: the broker sees to it that they do not meet.
    """
    if body.order_class == "oco":
        return
    for order in state.orders.live(body.symbol):
        if order.body.side == body.side or order.is_exit:
            continue
        ours = body.limit_price if body.order_type == "limit" else None
        theirs = order.body.limit_price if order.body.order_type == "limit" else None
        if ours is not None and theirs is not None:
            buys, sells = (ours, theirs) if body.side == "buy" else (theirs, ours)
            if buys < sells:
                continue
            reason = "opposite side limit order exists"
        else:
            reason = "opposite side market/stop order exists"
        raise unprocessable(
            "potential wash trade detected. use complex orders", existing_order_id=order.id, reject_reason=reason
        )


def refuse_power(state: VenueState, need: Need, *, released: Decimal = ZERO) -> None:
    """Refuse what the buying power cannot carry; `released` (account currency) is what the order gives back."""
    if not need.price:
        return
    left = power_left(state) + released
    if need.amount > left:
        raise forbidden(
            "insufficient buying power",
            buying_power=number(max(left, ZERO).quantize(CENT)),
            cost_basis=number(need.amount.quantize(CENT)),
        )
