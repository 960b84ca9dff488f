"""A venue on a clock set by hand and a market that knows what it is told: Thursday 2012-06-14, times in UTC."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from execution.alpaca_wire.json import decode_object, encode
from execution.alpaca_wire.orders import OrderBody, read_order, read_replace
from execution.emulator.clock import VenueClock
from execution.emulator.faults import FaultPlan, read_fault
from execution.emulator.log import EventLog
from execution.emulator.market import ScriptedMarket
from execution.emulator.venue import OrderQuery, Venue, VenueSettings

OPEN = datetime(2012, 6, 14, 13, 30, tzinfo=UTC)
MIDDAY = datetime(2012, 6, 14, 16, 0, tzinfo=UTC)
CLOSE = datetime(2012, 6, 14, 20, 0, tzinfo=UTC)
EVENING = datetime(2012, 6, 15, 0, 30, tzinfo=UTC)
NEXT_OPEN = datetime(2012, 6, 15, 13, 30, tzinfo=UTC)


def body(**fields: Any) -> OrderBody:
    """Make the body of an order, a market day order to buy 10 AAPL unless said otherwise."""
    given = {"symbol": "AAPL", "side": "buy", "qty": "10", "type": "market", "time_in_force": "day", **fields}
    if given.get("limit_price") and "type" not in fields:
        given["type"] = "limit"
    return read_order(decode_object(encode(given)))


class Desk:
    """A venue with all that a test needs around it; prices begin at 100 with a cent on both sides."""

    def __init__(self, at: datetime = MIDDAY, log: EventLog | None = None, **settings: Any) -> None:
        self.market = ScriptedMarket()
        self.clock = VenueClock.manual(at)
        self.faults = FaultPlan()
        self.log = log or EventLog()
        self.venue = Venue(
            settings=VenueSettings(**{"participation": Decimal(1), **settings}),
            market=self.market,
            clock=self.clock,
            faults=self.faults,
            log=self.log,
        )
        self.messages: list[dict[str, Any]] = []
        self.venue.listeners.append(self.messages.append)
        self.price("100")

    def price(self, last: str, *, symbol: str = "AAPL", bid: str | None = None, ask: str | None = None, **more: Any):
        """Set prices, a cent around the last one unless they are said."""
        middle = Decimal(last)
        self.venue.tick(
            symbol,
            last=middle,
            bid=Decimal(bid) if bid else middle - Decimal("0.01"),
            ask=Decimal(ask) if ask else middle + Decimal("0.01"),
            **more,
        )

    def look(self, at: datetime | None = None) -> None:
        """Let the venue look at the market, at a later time if one is given."""
        if at is not None:
            self.clock.set(at)
        self.venue.pump(self.clock.now())

    def send(self, **fields: Any) -> dict[str, Any]:
        """Submit an order, a market day order to buy 10 AAPL unless said otherwise."""
        return self.venue.submit(body(**fields))

    def change(self, order: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """Replace an order."""
        return self.venue.replace(order["id"], read_replace(fields))

    def fault(self, kind: str, **fields: Any) -> None:
        """Plan a fault."""
        self.faults.add(read_fault({"kind": kind, **fields}))

    def hold(self, quantity: str, price: str = "100", symbol: str = "AAPL") -> None:
        """Let the account hold shares."""
        self.venue.set_position(symbol, Decimal(quantity), Decimal(price))

    def status(self, order: dict[str, Any]) -> str:
        """Return the order's status now."""
        return self.now(order)["status"]

    def now(self, order: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """Return the order as it is now."""
        return self.venue.order(order["id"], **fields)

    def events(self, order: dict[str, Any] | None = None) -> list[str]:
        """Return the events told so far, of an order or of all."""
        told = [message["data"] for message in self.messages]
        return [data["event"] for data in told if order is None or data["order"]["id"] == order["id"]]

    def last(self, event: str) -> dict[str, Any]:
        """Return the newest message with that event."""
        return next(m["data"] for m in reversed(self.messages) if m["data"]["event"] == event)

    def open_ids(self, **query: Any) -> list[str]:
        """Return the ids of the open list."""
        return [order["id"] for order in self.venue.orders(OrderQuery(**query))]
