"""What an order may be asked for with, and the intent that comes of it."""

import re
from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiParameter

from ops_console.api import fields
from ops_console.api.authentication import Caller
from ops_console.api.problems import invalid
from risk.types import OrderIntent, OrderType, Origin, Side, TimeInForce

SOURCE_LENGTH = 64

ORDER_FIELDS: dict[str, fields.Field] = {
    "strategy": fields.strategy(required=True),
    "symbol": fields.symbol(required=True),
    "side": fields.choice(Side, "Buy or sell; selling what is not held is a short.", required=True),
    "quantity": fields.decimal_number("Shares.", required=True),
    "order_type": fields.choice(OrderType, "", default=OrderType.MARKET),
    "time_in_force": fields.choice(TimeInForce, "", default=TimeInForce.DAY),
    "limit_price": fields.decimal_number("For limit and stop_limit orders.", nullable=True),
    "stop_price": fields.decimal_number("For stop and stop_limit orders.", nullable=True),
    "extended_hours": fields.boolean("May trade outside regular hours.", default=False),
    "reduce_only": fields.boolean("Refused unless it brings the position nearer to flat.", default=False),
    "client_order_id": fields.client_order_id(nullable=True),
}
ORDER_EXAMPLE = {
    "strategy": "manual",
    "symbol": "AAPL",
    "side": "buy",
    "quantity": "100",
    "order_type": "limit",
    "time_in_force": "day",
    "limit_price": "571.25",
}
REPLACE_FIELDS: dict[str, fields.Field] = {
    "quantity": fields.decimal_number(
        "The new total in shares: what the order, and those that it replaced, have filled counts against it.",
        nullable=True,
    ),
    "limit_price": fields.decimal_number("For limit and stop_limit orders.", nullable=True),
    "stop_price": fields.decimal_number("For stop and stop_limit orders.", nullable=True),
    "time_in_force": fields.choice(TimeInForce, "", nullable=True),
    "client_order_id": fields.client_order_id(nullable=True).but(
        help="Your own id of the new order; the old one's with -R1, -R2 and so on when left out."
    ),
}
REPLACE_EXAMPLE = {"quantity": "150", "limit_price": "571.30"}
IDEMPOTENCY_KEY = OpenApiParameter(
    name="Idempotency-Key",
    type=str,
    location=OpenApiParameter.HEADER,
    description=(
        "1 to 128 printable ASCII characters. The same key with the same body returns the first order (200) and with "
        "another body is a 422. Without key and client_order_id, the same order on the same trading date is the same "
        "order, unless the first one was denied, canceled, expired or rejected."
    ),
)
_KEY = re.compile(fields.PRINTABLE.strip("^$"), re.ASCII)


def order_intent(body: Mapping[str, Any], *, caller: Caller, idempotency_key: str) -> OrderIntent:
    """Return what the body asks for; whether it may be is the gate's to say.

    :raises Problem: fields that cannot be read, all of them listed
    """
    values = fields.read_fields(body, ORDER_FIELDS)
    values["client_order_id"] = values["client_order_id"] or ""
    return OrderIntent(**values, idempotency_key=idempotency_key, origin=Origin.API, source_ref=source_of(caller))


def source_of(caller: Caller) -> str:
    """Return how the caller is named on orders."""
    return caller.username[:SOURCE_LENGTH]


def key_from(headers: Mapping[str, Any]) -> str:
    """Return the idempotency key of a request's META, empty when there is none.

    :raises Problem: too long or not printable
    """
    key = str(headers.get("HTTP_IDEMPOTENCY_KEY", ""))
    if key and _KEY.fullmatch(key) is None:
        raise invalid("Idempotency-Key", key, "1 to 128 printable ASCII characters without blanks")
    return key
