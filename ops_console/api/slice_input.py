"""What an order that is worked in slices may be asked for with, and the wish that comes of it."""

from collections.abc import Mapping
from typing import Any

from execution.models.slicing import MOST_OFFSET_BPS
from execution.services.slices import ParentWish
from execution.services.slices.wish import LONGEST_MINUTES
from execution.slicing.plan import MOST_SLICES
from execution.slicing.states import Algo
from ops_console.api import fields
from ops_console.api.authentication import Caller
from ops_console.api.codes import FieldError, shown
from ops_console.api.order_input import ORDER_FIELDS, source_of
from ops_console.api.problems import invalid_fields
from risk.types import OrderType, Origin, TimeInForce

SLICE_FIELDS: dict[str, fields.Field] = {
    **{name: spec for name, spec in ORDER_FIELDS.items() if name not in {"stop_price", "extended_hours"}},
    "algo": fields.choice(Algo, "How the quantity is spread over the window.", required=True),
    "duration_minutes": fields.whole(
        "Length of the window, from now or from the open; the end of the session shortens it.",
        least=1,
        most=LONGEST_MINUTES,
        required=True,
    ),
    "slices": fields.whole(
        "How many slices at most; one for five minutes when left out.", least=1, most=MOST_SLICES, nullable=True
    ),
    "max_participation": fields.decimal_number(
        "Largest part of the volume that is expected while it works, above 0 and up to 1; 0.1 when left out.",
        nullable=True,
    ),
    "limit_offset_bps": fields.decimal_number(
        "Makes each slice a limit order so many basis points from the last price when it is sent.", nullable=True
    ),
}
SLICE_EXAMPLE = {
    "strategy": "manual",
    "symbol": "AAPL",
    "side": "buy",
    "quantity": "1200",
    "algo": "twap",
    "duration_minutes": 60,
    "slices": 12,
    "max_participation": "0.05",
    "limit_offset_bps": "10",
}


def parent_wish(body: Mapping[str, Any], *, caller: Caller, idempotency_key: str) -> ParentWish:
    """Return what the body asks for; whether it may be is the plan's and the gate's to say.

    :raises Problem: fields that cannot be read or do not go together, all of them listed
    """
    values = fields.read_fields(body, SLICE_FIELDS)
    errors = list(_unfit(values))
    if errors:
        raise invalid_fields(errors)
    del values["order_type"], values["time_in_force"]
    values["client_order_id"] = values["client_order_id"] or ""
    return ParentWish(**values, idempotency_key=idempotency_key, origin=Origin.API, source_ref=source_of(caller))


def _unfit(values: Mapping[str, Any]) -> list[FieldError]:
    """Return what a slice cannot be."""
    found = []
    kind, limit, offset = values["order_type"], values["limit_price"], values["limit_offset_bps"]
    if kind not in (OrderType.MARKET, OrderType.LIMIT):
        found.append(FieldError("order_type", shown(kind), "market or limit: a slice waits for no trigger"))
    if values["time_in_force"] != TimeInForce.DAY:
        found.append(FieldError("time_in_force", shown(values["time_in_force"]), "day: a slice lives in its window"))
    if kind == OrderType.LIMIT and limit is None and offset is None:
        found.append(FieldError("limit_price", "", "required for a limit order without limit_offset_bps"))
    if kind == OrderType.MARKET and limit is not None:
        found.append(FieldError("limit_price", shown(str(limit)), "order_type limit"))
    if limit is not None and limit <= 0:
        found.append(FieldError("limit_price", shown(str(limit)), "above 0"))
    if offset is not None and not 0 <= offset <= MOST_OFFSET_BPS:
        found.append(FieldError("limit_offset_bps", shown(str(offset)), f"from 0 to {MOST_OFFSET_BPS}"))
    return found
