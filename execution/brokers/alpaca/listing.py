"""The whole list of open or closed orders, page by page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from execution.alpaca_wire.text import moment
from execution.brokers.alpaca.failures import unreadable
from execution.brokers.alpaca.line import Line
from execution.brokers.alpaca.words import FINAL, instant, objects, read_order, text
from execution.brokers.base import BrokerOrder

PAGE = 500
MAX_PAGES = 100
OVERLAP = timedelta(milliseconds=1)


def open_orders(line: Line, *, page_size: int = PAGE) -> list[BrokerOrder]:
    """Return every order that may still fill, oldest first; a listing that cannot be completed is none.

    :raises BrokerUnavailable: a page did not come, or more orders share one instant than a page holds
    """
    orders: list[BrokerOrder] = []
    for order in (read_order(answer) for answer in order_answers(line, page_size=page_size)):
        orders += [leg for leg in order.legs if leg.status not in FINAL] if order.status in FINAL else [order]
    return orders


def closed_orders(line: Line, *, after: datetime, page_size: int = PAGE) -> list[BrokerOrder]:
    """Return every order submitted later than `after` that may fill no more, oldest first, legs with their entry.

    :raises BrokerUnavailable: as `open_orders`
    """
    return [read_order(answer) for answer in order_answers(line, page_size=page_size, status="closed", after=after)]


def order_answers(
    line: Line, *, page_size: int = PAGE, status: str = "open", after: datetime | None = None
) -> list[Mapping[str, Any]]:
    """Return a list of orders as the broker tells it, with legs, by the time they were submitted.

    `after` leaves out what was submitted at that very instant, so each page begins a little before the end of the one
    before it and what comes again is passed over.
    :raises BrokerUnavailable: as `open_orders`
    """
    seen: dict[str, Mapping[str, Any]] = {}
    query: dict[str, Any] = {"status": status, "limit": page_size, "direction": "asc", "nested": "true"}
    if after is not None:
        query["after"] = moment(after)
    for _ in range(MAX_PAGES):
        page = line.get("/orders", query)
        if not isinstance(page, list):
            raise unreadable(f"{status} orders", writes=False)
        fresh = {text(item.get("id")): item for item in objects(page) if text(item.get("id")) not in seen}
        seen |= fresh
        if _counted(page) < page_size:
            return list(seen.values())
        newest = max((at for item in objects(page) if (at := instant(item.get("submitted_at")))), default=None)
        if not fresh or newest is None:
            raise unreadable(f"more than {page_size} {status} orders of one instant", writes=False)
        query["after"] = moment(newest - OVERLAP)
    raise unreadable(f"more than {MAX_PAGES * page_size} {status} orders", writes=False)


def _counted(page: list[Any]) -> int:
    """Count orders with their legs, as the limit may do."""
    return sum(1 + len(objects(item.get("legs"))) for item in objects(page))
