"""One seed's world: an account and a feed of its own, an emulated broker in the same process, one clock for both."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from django.db import connection

from execution.alpaca_wire.json import encode
from execution.brokers.alpaca import AlpacaConfiguration
from execution.emulator.app import build_app
from execution.emulator.clock import VenueClock
from execution.emulator.faults import FaultPlan
from execution.emulator.log import EventLog
from execution.emulator.market import ScriptedMarket
from execution.emulator.surface import Surface
from execution.emulator.venue import VenueSettings
from execution.invariants import Stop
from execution.models import Account, Strategy
from execution.services.accounts import open_account
from marketdata import calendar
from marketdata.models import Feed, Instrument
from marketdata.services.quotes import store_quotes
from marketdata.types import FeedKind, FeedState, QuoteUpdate
from risk.services import kill_switch
from tests.simulator.wire import Wire

D = Decimal
MIDNIGHT = datetime(2012, 6, 14, 4, tzinfo=UTC)
"""Of a Thursday in New York."""
BEGINNINGS = [timedelta(hours=9, minutes=20), *[timedelta(hours=11)] * 4, timedelta(hours=15, minutes=54)]
CENT = D("0.01")
PRICE = D(100)


class World:
    """Everything outside the desk's processes, which outlives them: the database, the broker, the market, the time."""

    def __init__(self, seed: int, chance: Random, loop: asyncio.AbstractEventLoop) -> None:
        self.seed, self.chance = seed, chance
        self.wall = MIDNIGHT + chance.choice(BEGINNINGS)
        self.symbols = [f"S{seed}{letter}" for letter in "AB"]
        self.strategies = [f"alpha-{seed}", f"beta-{seed}"]
        self.prices = dict.fromkeys(self.symbols, PRICE)
        self._open_broker(loop)
        self._open_desk()
        self.stops: list[Stop] = []
        self.frames: deque[bytes] = deque()
        self.surface.venue.listeners.append(self._hear)

    def _open_broker(self, loop: asyncio.AbstractEventLoop) -> None:
        self.log = EventLog()
        self.faults = FaultPlan(seed=self.seed)
        self.surface = Surface(
            settings=VenueSettings(
                participation=D(1),
                seed=self.seed,
                cancel_delay_seconds=self.chance.choice([D(0), D("0.4"), D(3)]),
                replace_delay_seconds=self.chance.choice([D(0), D("0.4"), D(3)]),
            ),
            market=ScriptedMarket(self.symbols),
            clock=VenueClock.manual(self.wall),
            faults=self.faults,
            log=self.log,
            wall=lambda: self.wall,
            rate_limit=self.chance.choice([0, 200]),
        )
        self.venue = self.surface.venue
        self.wire = Wire(build_app(self.surface), loop)
        self.configuration = AlpacaConfiguration(
            mode="alpaca_paper",
            key_id=self.surface.keys.key_id,
            secret_key=self.surface.keys.secret,
            base_url="http://127.0.0.1:1",
            stream_url="ws://127.0.0.1:1/stream",
            connect_milliseconds=1_000,
            read_milliseconds=2_000,
        )

    def _open_desk(self) -> None:
        self.feed = Feed.objects.create(name=f"sim-{self.seed}", kind=FeedKind.REAL, state=FeedState.LIVE)
        Instrument.objects.bulk_create(
            Instrument(symbol=symbol, name=symbol, average_daily_volume=D(10_000_000), adv_as_of=date(2012, 6, 13))
            for symbol in self.symbols
        )
        Strategy.objects.bulk_create(Strategy(name=name) for name in self.strategies)
        self.account_name = f"sim-{self.seed}"
        account = open_account(
            name=self.account_name,
            mode=Account.Mode.ALPACA_PAPER,
            kind=Account.Kind.DESK,
            feed=self.feed,
            starting_cash=D(100_000),
            wall_now=self.wall,
        )
        self.account_id = account.pk
        kill_switch.install(operator="simulator", now=self.wall)
        for symbol in self.symbols:
            self.say_price(symbol, PRICE, volume=None)

    def account(self) -> Account:
        """Read the account as it is now: hundreds of times a seed, so past the ORM, which takes five times as long."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM execution_account WHERE id = %s", [self.account_id])
            names = [column.name for column in cursor.description or ()]
            row = dict(zip(names, cursor.fetchone(), strict=True))
        columns = [field.attname for field in Account._meta.concrete_fields]
        account = Account.from_db("default", columns, [row[name] for name in columns])
        account.feed = self.feed
        return account

    @property
    def is_stopped(self) -> bool:
        """Tell whether a switch is engaged."""
        return any(stop.until is None for stop in self.stops)

    # time

    def pass_seconds(self, seconds: Decimal) -> None:
        """Let time pass everywhere; the broker sees it at the next look."""
        self.wall += timedelta(microseconds=int(seconds * 1_000_000))
        self.surface.clock.set(self.wall)

    def go_to(self, at: datetime) -> None:
        """Let time pass up to an instant, and the broker live through it."""
        if at > self.wall:
            self.wall = at
            self.surface.clock.set(at)
            self.venue.pump(at)

    @property
    def day(self) -> Any:
        """Return the session that orders are for now."""
        return calendar.trading_date(self.wall)

    def nanoseconds(self) -> int:
        """Return the time as clocks for pauses tell it."""
        return (self.wall - MIDNIGHT) // timedelta(microseconds=1) * 1_000

    # market

    def say_price(self, symbol: str, price: Decimal, *, volume: Decimal | None) -> None:
        """Move a symbol at the broker and in the desk's feed."""
        self.prices[symbol] = price
        bid, ask = price - CENT, price + CENT
        self.venue.tick(symbol, last=price, bid=bid, ask=ask, volume=volume)
        quote = QuoteUpdate(symbol=symbol, bid=bid, ask=ask, last=price, at=self.wall, source="simulator")
        store_quotes(feed=self.feed, quotes=[quote], wall_now=self.wall)

    # stream

    def _hear(self, message: dict[str, Any]) -> None:
        self.frames.append(encode(message))
