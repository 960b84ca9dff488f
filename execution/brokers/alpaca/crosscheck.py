"""What the cross-check reads from Alpaca's REST API: executions page by page, open orders, single orders."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from execution.alpaca_wire.text import moment
from execution.brokers.alpaca.failures import unreadable
from execution.brokers.alpaca.line import Line
from execution.brokers.alpaca.listing import open_orders
from execution.brokers.alpaca.words import amount, instant, objects, read_order, text
from execution.brokers.base import BrokerOrder, BrokerRejected
from execution.services.inbox import POLL, Message, fill_key

FILLS = "/account/activities/FILL"
PAGE = 100
MAX_PAGES = 500


class AlpacaReads:
    """Reads of one account over a line."""

    def __init__(self, line: Line, *, page_size: int = PAGE) -> None:
        self._line = line
        self._page_size = page_size

    def executions(self, *, after: datetime) -> list[Message]:
        """Return every execution later than `after`, ordered by time and then by the order's filled shares.

        The list is unordered within a millisecond; a page begins after the id that ended the one before.
        :raises BrokerUnavailable: a page did not come, or cannot be read
        """
        query: dict[str, Any] = {"after": moment(after), "direction": "asc", "page_size": self._page_size}
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        for _ in range(MAX_PAGES):
            page = self._line.get(FILLS, query)
            if not isinstance(page, list):
                raise unreadable("executions", writes=False)
            fresh = {name: item for item in objects(page) if (name := _name_of(item)) not in found}
            found |= fresh
            if len(page) < self._page_size or not fresh:
                break
            query["page_token"] = next(reversed(fresh))[0]
        read = [message for item in found.values() if (message := execution(item)) is not None]
        return sorted(read, key=lambda message: (message.at, message.cumulative_quantity))

    def open_orders(self) -> list[BrokerOrder]:
        """Return the whole open list, with legs.

        :raises BrokerUnavailable: it did not come whole
        """
        return open_orders(self._line)

    def order(self, broker_order_id: str) -> BrokerOrder | None:
        """Return one order in any state, None when the broker has none.

        :raises BrokerUnavailable: no answer, or none about this order
        """
        try:
            answer = self._line.get_order(f"/orders/{quote(broker_order_id, safe='')}", {"nested": "true"})
        except BrokerRejected:
            return None
        if not isinstance(answer, Mapping):
            raise unreadable("an order", writes=False)
        order = read_order(answer)
        if order.broker_order_id != broker_order_id:
            raise unreadable(f"asked for order {broker_order_id}, told of {order.broker_order_id[:64]!r}", writes=False)
        return order


def _name_of(item: Mapping[str, Any]) -> tuple[str, str]:
    """Return the activity's id and its order's: venues have given one execution id to several orders."""
    return text(item.get("id")), text(item.get("order_id"))


def execution(item: Mapping[str, Any]) -> Message | None:
    """Read one activity; None where order, time or filled shares are missing, because then it names no fact."""
    order_id, at, filled = (
        text(item.get("order_id")),
        instant(item.get("transaction_time")),
        amount(item.get("cum_qty")),
    )
    if not order_id or at is None or filled is None:
        return None
    # "time::execution"; the stream tells the latter alone.
    execution_id = text(item.get("id")).rpartition("::")[2]
    return Message(
        key=fill_key(order_id, filled),
        source=POLL,
        kind="fill",
        broker_order_id=order_id,
        broker_execution_id=execution_id,
        at=at,
        quantity=amount(item.get("qty")),
        price=amount(item.get("price")),
        cumulative_quantity=filled,
        payload=item,
    )
