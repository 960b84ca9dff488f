"""The adapter at a running emulator, on a clock that stands still, with an inbox that hears every trade update."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

from execution.brokers.alpaca import AlpacaBroker, AlpacaConfiguration
from execution.brokers.alpaca.budget import SECOND, Budget
from execution.brokers.alpaca.events import read_frame
from execution.brokers.alpaca.line import Line
from execution.brokers.base import BrokerReport
from execution.emulator.clock import VenueClock
from execution.emulator.market import ScriptedMarket
from execution.emulator.server import RunningEmulator
from execution.emulator.venue import VenueSettings
from execution.services.inbox import reports_since
from execution.services.updates import take_updates
from tests.factories import WALL_NOW


def emulator_at(at: datetime, *, price: str = "100", **options: Any) -> RunningEmulator:
    """Return an emulator that was not started, with AAPL two cents wide."""
    market, last = ScriptedMarket(), Decimal(price)
    market.say("AAPL", last=last, bid=last - Decimal("0.01"), ask=last + Decimal("0.01"), at=at)
    options.setdefault("settings", VenueSettings(participation=Decimal(1)))
    return RunningEmulator(market=market, clock=VenueClock.manual(at), **options)


def configuration_at(emulator: RunningEmulator, **fields: Any) -> AlpacaConfiguration:
    """Return the configuration of a desk at the emulator; a read gives up after half a second."""
    values = {
        "mode": "alpaca_paper",
        "key_id": emulator.keys.key_id,
        "secret_key": emulator.keys.secret,
        "base_url": emulator.url,
        "stream_url": emulator.stream_url,
        "read_milliseconds": 500,
    }
    return AlpacaConfiguration(**values | fields)


class Ticker:
    """A clock for pauses that moves when it is told to."""

    def __init__(self) -> None:
        self.nanoseconds = SECOND

    def __call__(self) -> int:
        return self.nanoseconds

    def pass_seconds(self, seconds: int) -> None:
        self.nanoseconds += seconds * SECOND


class Inbox:
    """Reads the venue's updates as frames, as the stream would bring them, whenever reports are asked for."""

    def __init__(self, emulator: RunningEmulator, account_id: int) -> None:
        self.emulator = emulator
        self.account_id = account_id
        self.frames: list[str] = []
        emulator.call(lambda: emulator.venue.listeners.append(lambda message: self.frames.append(json.dumps(message))))

    def hear(self) -> None:
        self.emulator.pump()
        frames, self.frames[:] = list(self.frames), []
        updates = [update for frame in frames if (update := read_frame(frame, received_at=WALL_NOW)) is not None]
        take_updates(account_id=self.account_id, updates=updates, wall_now=WALL_NOW)

    def reports(self, cursor: int, limit: int) -> list[BrokerReport]:
        self.hear()
        return reports_since(self.account_id, cursor, limit)


@contextmanager
def broker_at(
    emulator: RunningEmulator, *, account_id: int = 0, budget: Budget | None = None, **fields: Any
) -> Iterator[AlpacaBroker]:
    """Yield an adapter; without an account it has no reports."""
    line = Line(configuration_at(emulator, **fields), budget=budget)
    reports = Inbox(emulator, account_id).reports if account_id else lambda cursor, limit: []
    try:
        yield AlpacaBroker(line, reports=reports)
    finally:
        line.close()
