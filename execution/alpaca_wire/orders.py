"""Orders on the wire: the body that asks for one, the body that replaces one, the order itself, its updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from execution.alpaca_wire.errors import malformed, unprocessable
from execution.alpaca_wire.text import moment, number, read_number

SIDES = ("buy", "sell")
TYPES = ("market", "limit", "stop", "stop_limit")
TIMES_IN_FORCE = ("day", "gtc", "opg", "cls", "ioc", "fok")
CLASSES = ("simple", "bracket", "oco", "oto")
INTENTS = ("buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close")
LONGEST_CLIENT_ORDER_ID = 128
LONGEST_SYMBOL = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderBody:
    """A well-formed POST /v2/orders; whether it makes sense is judged by whoever takes it.

    `order_class` is empty for a simple order. `take_profit_price` and the stop-loss prices belong to the legs.
    """

    symbol: str
    side: str
    quantity: Decimal
    order_type: str
    time_in_force: str
    order_class: str = ""
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    extended_hours: bool = False
    client_order_id: str = ""
    take_profit_price: Decimal | None = None
    stop_loss_price: Decimal | None = None
    stop_loss_limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceBody:
    """A well-formed PATCH /v2/orders/{id}; what is None stays as it is. `quantity` is the new total."""

    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: str | None = None
    client_order_id: str = ""


def read_order(body: Mapping[str, Any]) -> OrderBody:
    """Read a POST /v2/orders body whose JSON numbers were parsed as `Decimal`.

    :raises WireError: 422, naming the field, the value and what is allowed
    """
    for name in ("notional", "trail_price", "trail_percent"):
        if body.get(name) is not None:
            raise unprocessable(f"{name} is not supported: give qty, and type market, limit, stop or stop_limit")
    order_class = _order_class(body)
    take_profit, stop_loss = _leg(body, "take_profit"), _leg(body, "stop_loss")
    _require_legs(order_class, take_profit, stop_loss)
    # An OCO names the price of its first order in take_profit, as alpaca-py sends it.
    limit_price = _price(body, "limit_price")
    if order_class == "oco" and limit_price is None:
        limit_price = _price(take_profit, "limit_price", of="take_profit")
    return OrderBody(
        symbol=_symbol(body),
        side=_choice(body, "side", SIDES),
        quantity=_quantity(body),
        order_type="limit" if order_class == "oco" else _choice(body, "type", TYPES),
        time_in_force=_choice(body, "time_in_force", TIMES_IN_FORCE),
        order_class=order_class,
        limit_price=limit_price,
        stop_price=_price(body, "stop_price"),
        extended_hours=_flag(body, "extended_hours"),
        client_order_id=_client_order_id(body),
        take_profit_price=None if order_class == "oco" else _price(take_profit, "limit_price", of="take_profit"),
        stop_loss_price=_price(stop_loss, "stop_price", of="stop_loss"),
        stop_loss_limit_price=_price(stop_loss, "limit_price", of="stop_loss"),
    )


def read_replace(body: Mapping[str, Any]) -> ReplaceBody:
    """Read a PATCH /v2/orders/{id} body.

    :raises WireError: 422, naming the field, the value and what is allowed
    """
    if body.get("trail") is not None:
        raise unprocessable("trail is not supported")
    time_in_force = None if body.get("time_in_force") is None else _choice(body, "time_in_force", TIMES_IN_FORCE)
    return ReplaceBody(
        quantity=None if body.get("qty") is None else _quantity(body),
        limit_price=_price(body, "limit_price"),
        stop_price=_price(body, "stop_price"),
        time_in_force=time_in_force,
        client_order_id=_client_order_id(body),
    )


def order_answer(
    *,
    id: str,
    client_order_id: str,
    asset_id: str,
    symbol: str,
    side: str,
    quantity: Decimal,
    order_type: str,
    time_in_force: str,
    status: str,
    created_at: datetime,
    submitted_at: datetime,
    updated_at: datetime,
    filled_quantity: Decimal = Decimal(0),
    average_fill_price: Decimal | None = None,
    limit_price: Decimal | None = None,
    stop_price: Decimal | None = None,
    extended_hours: bool = False,
    order_class: str = "",
    filled_at: datetime | None = None,
    expires_at: datetime | None = None,
    expired_at: datetime | None = None,
    canceled_at: datetime | None = None,
    failed_at: datetime | None = None,
    replaced_at: datetime | None = None,
    replaced_by: str | None = None,
    replaces: str | None = None,
    legs: Sequence[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the JSON of an order; ids are UUIDs as text, prices account currency a share."""
    return {
        "id": id,
        "client_order_id": client_order_id,
        "created_at": moment(created_at),
        "updated_at": moment(updated_at),
        "submitted_at": moment(submitted_at),
        "filled_at": moment(filled_at),
        "expires_at": moment(expires_at),
        "expired_at": moment(expired_at),
        "canceled_at": moment(canceled_at),
        "failed_at": moment(failed_at),
        "replaced_at": moment(replaced_at),
        "replaced_by": replaced_by,
        "replaces": replaces,
        "asset_id": asset_id,
        "symbol": symbol,
        "asset_class": "us_equity",
        "notional": None,
        "qty": number(quantity),
        "filled_qty": number(filled_quantity),
        "filled_avg_price": number(average_fill_price),
        "order_class": order_class,
        "order_type": order_type,
        "type": order_type,
        "side": side,
        "position_intent": None,
        "time_in_force": time_in_force,
        "limit_price": number(limit_price),
        "stop_price": number(stop_price),
        "status": status,
        "extended_hours": extended_hours,
        "legs": None if legs is None else list(legs),
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
        "subtag": None,
        "source": None,
    }


def trade_update(
    *,
    event: str,
    order: Mapping[str, Any],
    at: datetime,
    execution_id: str | None = None,
    quantity: Decimal | None = None,
    price: Decimal | None = None,
    position_quantity: Decimal | None = None,
) -> dict[str, Any]:
    """Return one message of the `trade_updates` stream; quantity and price are of this execution alone."""
    data: dict[str, Any] = {"event": event, "timestamp": moment(at), "order": dict(order)}
    if execution_id is not None:
        data["execution_id"] = execution_id
    if quantity is not None and price is not None:
        data |= {"qty": number(quantity), "price": number(price)}
    if position_quantity is not None:
        data["position_qty"] = number(position_quantity)
    return {"stream": "trade_updates", "data": data}


def _order_class(body: Mapping[str, Any]) -> str:
    given = body.get("order_class") or "simple"
    if given not in CLASSES:
        raise malformed("order_class", given, f"one of {', '.join(CLASSES)}")
    return "" if given == "simple" else str(given)


def _require_legs(order_class: str, take_profit: Mapping[str, Any], stop_loss: Mapping[str, Any]) -> None:
    given = {name for name, leg in (("take_profit", take_profit), ("stop_loss", stop_loss)) if leg}
    if not order_class and given:
        raise unprocessable(f"{', '.join(sorted(given))} needs order_class bracket, oco or oto")
    if order_class == "bracket" and given != {"take_profit", "stop_loss"}:
        raise unprocessable("bracket orders need take_profit.limit_price and stop_loss.stop_price")
    if order_class == "oco" and "stop_loss" not in given:
        raise unprocessable("oco orders need stop_loss.stop_price")
    if order_class == "oto" and len(given) != 1:
        raise unprocessable("oto orders need exactly one of take_profit and stop_loss")


def _leg(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    leg = body.get(name)
    if leg is None:
        return {}
    if not isinstance(leg, Mapping):
        raise malformed(name, leg, "an object")
    needed = "limit_price" if name == "take_profit" else "stop_price"
    if leg.get(needed) is None:
        raise malformed(f"{name}.{needed}", None, "a price")
    return leg


def _symbol(body: Mapping[str, Any]) -> str:
    symbol = body.get("symbol")
    if not isinstance(symbol, str) or not 0 < len(symbol) <= LONGEST_SYMBOL or not symbol.isprintable():
        raise malformed("symbol", symbol, "a symbol")
    return symbol


def _choice(body: Mapping[str, Any], name: str, allowed: Sequence[str]) -> str:
    value = body.get(name)
    if not isinstance(value, str) or value not in allowed:
        raise malformed(name, value, f"one of {', '.join(allowed)}")
    return value


def _quantity(body: Mapping[str, Any]) -> Decimal:
    quantity = read_number("qty", body.get("qty"))
    if quantity <= 0:
        raise malformed("qty", body.get("qty"), "a number above 0")
    return quantity


def _price(body: Mapping[str, Any], name: str, *, of: str = "") -> Decimal | None:
    value = body.get(name)
    if value is None:
        return None
    field = f"{of}.{name}" if of else name
    price = read_number(field, value)
    if price <= 0:
        raise malformed(field, value, "a price above 0")
    return price


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise malformed(name, value, "true or false")
    return bool(value)


def _client_order_id(body: Mapping[str, Any]) -> str:
    value = body.get("client_order_id")
    if value is None:
        return ""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_CLIENT_ORDER_ID or not value.isprintable():
        raise malformed("client_order_id", value, f"1 to {LONGEST_CLIENT_ORDER_ID} printable characters")
    return value
