"""What can be asked of the venue's lists, and how lists are cut into pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

from execution.alpaca_wire.errors import malformed
from execution.emulator.faults import FaultKind
from execution.emulator.venue.ledger import Activity
from execution.emulator.venue.orders import VenueOrder
from execution.emulator.venue.state import VenueState, span
from marketdata.clock import NEW_YORK

MAX_ORDERS = 500
MAX_ACTIVITIES = 100
STATUSES = ("open", "closed", "all")
DIRECTIONS = ("asc", "desc")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderQuery:
    """GET /v2/orders; `after` and `until` exclude their instants and mean the submission."""

    status: str = "open"
    limit: int = 50
    after: datetime | None = None
    until: datetime | None = None
    direction: str = "desc"
    nested: bool = False
    side: str | None = None
    symbols: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise malformed("status", self.status, f"one of {', '.join(STATUSES)}")
        if self.direction not in DIRECTIONS:
            raise malformed("direction", self.direction, f"one of {', '.join(DIRECTIONS)}")
        if not 1 <= self.limit <= MAX_ORDERS:
            raise malformed("limit", self.limit, f"a whole number from 1 to {MAX_ORDERS}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityQuery:
    """GET /v2/account/activities; without `types` all of them. A page begins behind the id `page_token`."""

    types: tuple[str, ...] = ()
    day: date | None = None
    after: datetime | None = None
    until: datetime | None = None
    direction: str = "desc"
    page_size: int = MAX_ACTIVITIES
    page_token: str = ""

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise malformed("direction", self.direction, f"one of {', '.join(DIRECTIONS)}")
        if not 1 <= self.page_size <= MAX_ACTIVITIES:
            raise malformed("page_size", self.page_size, f"a whole number from 1 to {MAX_ACTIVITIES}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQuery:
    """GET /v2/account/portfolio/history: one point a session, from start to end, both included."""

    start: date | None = None
    end: date | None = None


def find_orders(state: VenueState, query: OrderQuery) -> list[dict[str, Any]]:
    """Return the page of orders; nested, the legs are inside their parents only."""
    found = [order for order in state.orders if fits(state, order, query)]
    found.sort(key=lambda order: (order.submitted_at, order.sequence), reverse=query.direction == "desc")
    return [answer(state, order, nested=query.nested) for order in found[: query.limit]]


def fits(state: VenueState, order: VenueOrder, query: OrderQuery) -> bool:
    """Tell whether an order belongs to the answer."""
    if is_hidden(state, order) or (query.nested and order.parent_id is not None):
        return False
    if (query.after and order.submitted_at <= query.after) or (query.until and order.submitted_at >= query.until):
        return False
    if (query.side and order.body.side != query.side) or (query.symbols and order.symbol not in query.symbols):
        return False
    return query.status == "all" or is_open(state, order, nested=query.nested) == (query.status == "open")


def is_open(state: VenueState, order: VenueOrder, *, nested: bool) -> bool:
    """Tell whether an order is listed as open: a held leg is not, a parent is as long as a leg of it lives (nested)."""
    if nested and any(leg.is_live for leg in state.orders.legs_of(order)):
        return True
    return order.is_live and order.status != "held"


def is_hidden(state: VenueState, order: VenueOrder) -> bool:
    """Tell whether the plan of faults hides the order from those who look for it."""
    return order.hidden_until is not None and state.clock.now() < order.hidden_until


def answer(state: VenueState, order: VenueOrder, *, nested: bool = False) -> dict[str, Any]:
    """Return an order's JSON, with its legs where that is asked for."""
    legs = [answer(state, leg) for leg in state.orders.legs_of(order)] if nested and order.leg_ids else None
    is_zero = bool(order.filled_quantity) and state.take_fault(FaultKind.ZERO_AVERAGE_PRICE, order=order) is not None
    return order.answer(legs=legs, without_average=is_zero)


def find_activities(state: VenueState, query: ActivityQuery) -> list[dict[str, Any]]:
    """Return a page of the account's activities, in order of time."""
    now = state.clock.now()
    lag = state.take_fault(FaultKind.ACTIVITIES_LAG)
    visible_until = None if lag is None else now - span(lag.seconds(Decimal(10)))
    shuffled = state.take_fault(FaultKind.ACTIVITIES_SHUFFLED) is not None
    lines = [line for line in state.ledger.activities if takes(line, query, visible_until)]
    lines.sort(key=lambda line: place_of(line, shuffled=shuffled), reverse=query.direction == "desc")
    return [line.line for line in page_of(lines, query)]


def takes(line: Activity, query: ActivityQuery, visible_until: datetime | None) -> bool:
    """Tell whether a line belongs to the answer."""
    if visible_until is not None and line.at > visible_until:
        return False
    if (query.types and line.kind not in query.types) or (query.after and line.at <= query.after):
        return False
    if query.until and line.at >= query.until:
        return False
    return query.day is None or line.at.astimezone(NEW_YORK).date() == query.day


def place_of(line: Activity, *, shuffled: bool) -> tuple[str, int]:
    """Return the line's place: its true one, or any among those of the same millisecond."""
    moment = line.id.partition("::")[0]
    return moment, int.from_bytes(sha256(line.id.encode()).digest()[:8]) if shuffled else line.place


def page_of(lines: Sequence[Activity], query: ActivityQuery) -> Sequence[Activity]:
    """Return the page behind the token; an unknown token is refused."""
    if not query.page_token:
        return lines[: query.page_size]
    for index, line in enumerate(lines):
        if line.id == query.page_token:
            return lines[index + 1 : index + 1 + query.page_size]
    raise malformed("page_token", query.page_token, "the id of the last activity of the page before")
