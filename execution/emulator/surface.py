"""All that the endpoints share: the venue and its market, the streams, the keys, the counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID

from execution.emulator.clock import VenueClock
from execution.emulator.faults import Fault, FaultPlan
from execution.emulator.keys import Keys
from execution.emulator.log import EventLog
from execution.emulator.market import Market
from execution.emulator.rate import RateLimit
from execution.emulator.stock_stream import StockStreams
from execution.emulator.streams import UpdateStream
from execution.emulator.venue import Venue, VenueSettings
from marketdata.calendar import session_table

MOST_PATHS = 1_000
OTHERS = ("*", "other paths")


class Surface:
    """One emulated broker as the network sees it. Everything here happens on one thread, the loop's.

    `rate_limit` is requests in a minute, `data_connections` stock streams of each feed (0: any number). With `iex_only`
    the keys are those of the free subscription: no SIP stream, and SIP data only when it is 15 minutes old.
    """

    def __init__(
        self,
        *,
        settings: VenueSettings,
        market: Market,
        clock: VenueClock,
        faults: FaultPlan,
        log: EventLog,
        wall: Callable[[], datetime],
        keys: Keys | None = None,
        rate_limit: int = 0,
        data_connections: int = 1,
        iex_only: bool = False,
    ) -> None:
        self.settings = settings
        self.market = market
        self.clock = clock
        self.faults = faults
        self.log = log
        self.wall = wall
        self.keys = keys or Keys()
        self.rate = RateLimit(rate_limit)
        self.requests: Counter[tuple[str, str]] = Counter()
        self.closing = asyncio.Event()
        self.updates = UpdateStream(faults=faults, keys=self.keys, on_fault=self.note_fault)
        self.iex_only = iex_only
        self.stock = StockStreams(
            faults=faults,
            keys=self.keys,
            on_fault=self.note_fault,
            most_connections=data_connections,
            refused_feeds=frozenset({"sip"} if iex_only else ()),
        )
        # Reading the calendar takes a good part of a second: now, and not while the first client waits.
        session_table()
        self._request_ids = Random(0)
        self._orders: dict[str, dict[str, str]] = {}
        self.venue = self._new_venue()

    def _new_venue(self) -> Venue:
        venue = Venue(settings=self.settings, market=self.market, clock=self.clock, faults=self.faults, log=self.log)
        venue.listeners += [self._learn_order, self.updates.publish]
        return venue

    def reset(self) -> None:
        """Begin anew: no orders, no positions, the first cash, no faults; the market and its clock go on."""
        self.faults.clear()
        self.updates.forget()
        self.requests.clear()
        self._orders.clear()
        self.rate = RateLimit(self.rate.limit)
        self.venue = self._new_venue()

    @property
    def market_view(self) -> Market:
        """Return the market as it is steered: with prices set by hand, and halts."""
        return self.venue.market

    # time

    def pump(self) -> None:
        """Let the venue and the streams catch up with the clock."""
        now = self.clock.now()
        self.venue.pump(now)
        self.stock.pump(self.market_view, now)

    def tick(self) -> None:
        """Do what is due on every beat: faults of the streams, and the market when its clock runs by itself."""
        self.updates.tick()
        self.stock.tick()
        if self.clock.runs:
            self.pump()

    def after_request(self) -> None:
        """Let what a request has begun go on where no clock does it: it stands still between requests."""
        if not self.clock.runs:
            self.pump()

    # what faults match, and what is counted

    def count(self, method: str, path: str) -> None:
        """Count a request; ids in the path count as one path, and so do the paths after the thousandth."""
        head, _, last = path.rpartition("/")
        counted = (method, f"{head}/{{id}}" if _is_id(last) else path)
        if counted not in self.requests and len(self.requests) >= MOST_PATHS:
            counted = OTHERS
        self.requests[counted] += 1

    def request_id(self) -> str:
        """Return the next X-Request-ID."""
        return f"{self._request_ids.getrandbits(128):032x}"

    def order_facts(self, order_id: str) -> dict[str, str]:
        """Return the client order id and symbol of an order that was told of, for faults that match them."""
        return self._orders.get(order_id, {})

    def note_fault(self, fault: Fault, where: str) -> None:
        """Write a fault that happened into the log."""
        self.log.add("fault", at=self.clock.now(), fault=fault.kind.value, where=where)

    def _learn_order(self, message: dict[str, Any]) -> None:
        order = message["data"]["order"]
        self._orders[order["id"]] = {"client_order_id": order["client_order_id"], "symbol": order["symbol"]}


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
