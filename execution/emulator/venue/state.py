"""All that the venue is made of, and the three things everybody does with it: take an instant, log, tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from execution.alpaca_wire.orders import trade_update
from execution.emulator.clock import VenueClock
from execution.emulator.faults import Fault, FaultKind, FaultPlan
from execution.emulator.log import EventLog
from execution.emulator.market import SteeredMarket
from execution.emulator.venue.ledger import Ledger
from execution.emulator.venue.orders import OrderBook, VenueOrder
from execution.emulator.venue.settings import VenueSettings

MICROSECOND = timedelta(microseconds=1)
Listener = Callable[[dict[str, Any]], None]
Action = Callable[[datetime], None]


@dataclass(slots=True)
class Flags:
    """What the account may do, by the broker's and by the owner's word."""

    trading_blocked: bool = False
    account_blocked: bool = False
    suspended: bool = False
    shorting_enabled: bool = True
    no_shorting: bool = False
    fractional: bool = True


class Agenda:
    """What is to be done at an instant of the market or later."""

    def __init__(self) -> None:
        self._items: list[tuple[datetime, int, Action]] = []
        self._count = 0

    def add(self, due: datetime, action: Action) -> None:
        """Do it at the first look at the market from `due` on."""
        self._count += 1
        self._items.append((due, self._count, action))

    def run(self, now: datetime) -> None:
        """Do what is due, in order of time; what that puts on the agenda waits for the next look."""
        due = sorted(item[:2] for item in self._items if item[0] <= now)
        actions = {item[:2]: item[2] for item in self._items}
        self._items = [item for item in self._items if item[0] > now]
        for key in due:
            actions[key](now)


@dataclass(slots=True, kw_only=True)
class VenueState:
    """The venue's parts. `at` is the newest instant of anything that happened, `pumped_at` the last look at the market.

    `traded_at` is when an order last executed in a symbol: volume up to then has been used.
    """

    settings: VenueSettings
    market: SteeredMarket
    clock: VenueClock
    faults: FaultPlan
    log: EventLog
    at: datetime
    pumped_at: datetime
    opened_at: datetime
    chance: Random
    ledger: Ledger
    orders: OrderBook = field(default_factory=OrderBook)
    flags: Flags = field(default_factory=Flags)
    agenda: Agenda = field(default_factory=Agenda)
    listeners: list[Listener] = field(default_factory=list)
    traded_at: dict[str, datetime] = field(default_factory=dict)

    def moment(self, now: datetime | None = None) -> datetime:
        """Take the present instant: later than everything before, by a microsecond at least."""
        self.at = max(now or self.clock.now(), self.at + MICROSECOND)
        return self.at

    def new_id(self) -> str:
        """Return the next id; the same seed gives the same ids."""
        return str(UUID(int=self.chance.getrandbits(128), version=4))

    def take_fault(self, *kinds: FaultKind, order: VenueOrder | None = None) -> Fault | None:
        """Return the fault that happens now, and log it."""
        facts = {} if order is None else order.facts
        fault = self.faults.take(*kinds, **facts)
        if fault is not None:
            self.log.add("fault", at=self.at, fault=fault.kind.value, **facts)
        return fault

    def note(self, kind: str, order: VenueOrder, at: datetime, **data: Any) -> None:
        """Log what happened to an order."""
        self.log.add(
            kind,
            at=at,
            order_id=order.id,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            status=order.status,
            **data,
        )

    def tell(self, event: str, order: VenueOrder, at: datetime, **execution: Any) -> None:
        """Tell every listener of a change of an order."""
        message = trade_update(event=event, order=order.answer(), at=at, **execution)
        for listener in self.listeners:
            listener(message)

    def last_price(self, symbol: str) -> Decimal | None:
        """Return the newest price of a symbol, None when there never was one."""
        quote = self.market.quote(symbol, self.at)
        return None if quote is None else quote.last


def span(seconds: Decimal | None) -> timedelta:
    """Return so many seconds as a span of time, none for None."""
    return timedelta(microseconds=int((seconds or Decimal(0)) * 1_000_000))
