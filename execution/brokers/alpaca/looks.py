"""What reconciliation asks of Alpaca besides: closed orders, one order, one position, executions, other cash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from execution.alpaca_wire.text import moment
from execution.brokers.alpaca.crosscheck import MAX_PAGES, PAGE, AlpacaReads
from execution.brokers.alpaca.failures import unreadable
from execution.brokers.alpaca.line import Line
from execution.brokers.alpaca.listing import closed_orders
from execution.brokers.alpaca.words import ZERO, amount, instant, objects, text
from execution.brokers.base import BrokerActivity, BrokerOrder, BrokerPosition, BrokerRejected
from execution.services.inbox import Message

Tell = Callable[[list[Message], datetime], int]
ACTIVITIES = "/account/activities"
OVERLAP = timedelta(minutes=5)
MEANS = {
    "FEE": "fee",
    "CFEE": "fee",
    "DIVFEE": "fee",
    "PTC": "fee",
    "PTR": "fee",
    "INT": "interest",
    "INTNRA": "interest",
    "INTTW": "interest",
    "DIV": "dividend",
    "DIVCGL": "dividend",
    "DIVCGS": "dividend",
    "DIVFT": "dividend",
    "DIVNRA": "dividend",
    "DIVROC": "dividend",
    "DIVTW": "dividend",
    "DIVTXEX": "dividend",
    "CSD": "deposit",
    "CSR": "deposit",
    "CSW": "withdrawal",
    "JNLC": "deposit",
    "JNL": "deposit",
    "MA": "other",
    "REORG": "other",
    "SC": "other",
    "SSO": "other",
    "SSP": "other",
    "NC": "other",
}
"""Alpaca's types of activities that move cash and are no trade, in the ledger's words."""


class AlpacaLooks:
    """Reads of one account over a line; `tell` takes executions into the inbox."""

    def __init__(self, line: Line, *, tell: Tell | None = None) -> None:
        self.line = line
        self._tell = tell

    def order(self, broker_order_id: str) -> BrokerOrder | None:
        """Return one order in any state, None when the broker has none."""
        return AlpacaReads(self.line).order(broker_order_id)

    def closed_orders(self, *, after: datetime) -> list[BrokerOrder]:
        """Return every page of the closed list."""
        return closed_orders(self.line, after=after)

    def position(self, symbol: str) -> BrokerPosition | None:
        """Return one position; only the API's own 404 says that there is none."""
        try:
            position = read_position(self.line.get_order(f"/positions/{quote(symbol, safe='')}"))
        except BrokerRejected:
            return None
        if position.symbol != symbol:
            raise unreadable(f"asked for {symbol}, told of {position.symbol[:16]!r}", writes=False)
        return position if position.quantity else None

    def executions_of(self, *, client_order_id: str, broker_order_id: str, since: datetime, wall_now: datetime) -> int:
        """Read the executions since and hand those of the order to the inbox, under the keys that everybody uses."""
        if self._tell is None:
            return 0
        found = AlpacaReads(self.line).executions(after=since - OVERLAP)
        own = [each for each in found if each.broker_order_id == broker_order_id]
        return self._tell([replace(each, client_order_id=client_order_id) for each in own], wall_now)

    def activities(self, *, after: datetime) -> list[BrokerActivity]:
        """Return every page of the activities that move cash and are no trade."""
        query: dict[str, Any] = {
            "after": moment(after),
            "direction": "asc",
            "page_size": PAGE,
            "activity_types": ",".join(MEANS),
        }
        found: dict[str, BrokerActivity] = {}
        for _ in range(MAX_PAGES):
            page = self.line.get(ACTIVITIES, query)
            if not isinstance(page, list):
                raise unreadable("activities", writes=False)
            read = [read_activity(item) for item in objects(page)]
            fresh = {each.activity_id: each for each in read if each.activity_id not in found}
            found |= fresh
            if len(page) < PAGE or not fresh:
                return sorted(found.values(), key=lambda each: (each.at, each.activity_id))
            query["page_token"] = next(reversed(fresh))
        raise unreadable(f"more than {MAX_PAGES * PAGE} activities", writes=False)


def read_activity(item: Mapping[str, Any]) -> BrokerActivity:
    """Read one activity; a transfer's sign says which way it went.

    :raises BrokerUnavailable: it tells no id, amount or time
    """
    activity_id, kind, moved = text(item.get("id")), text(item.get("activity_type")), amount(item.get("net_amount"))
    at = instant(item.get("transaction_time")) or _instant_of(activity_id) or instant(item.get("date"))
    if not activity_id or moved is None or at is None:
        raise unreadable("an activity without id, amount or time", writes=False)
    means = MEANS.get(kind, "other")
    if means in ("deposit", "withdrawal"):
        means = "withdrawal" if moved < ZERO else "deposit"
    return BrokerActivity(
        activity_id=activity_id,
        kind=kind,
        means=means,
        amount=moved,
        at=at,
        symbol=text(item.get("symbol")),
        description=text(item.get("description")),
    )


def read_position(item: object) -> BrokerPosition:
    """Read one position.

    :raises BrokerUnavailable: without symbol or quantity it tells nothing, least of all that there is none
    """
    fields = item if isinstance(item, Mapping) else {}
    symbol, quantity = text(fields.get("symbol")), amount(fields.get("qty"))
    if not symbol or quantity is None:
        raise unreadable("a position without symbol or quantity", writes=False)
    signed = -abs(quantity) if text(fields.get("side")) == "short" else quantity
    return BrokerPosition(symbol=symbol, quantity=signed, average_price=amount(fields.get("avg_entry_price")) or ZERO)


def _instant_of(activity_id: str) -> datetime | None:
    """Return the time that an activity's id begins with, to the second."""
    digits = activity_id.partition("::")[0][:14]
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
