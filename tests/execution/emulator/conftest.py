"""One emulator for the tests of a module, begun anew for each; its clock stands in the middle of a session."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from alpaca.trading.client import TradingClient

from execution.emulator.clock import VenueClock
from execution.emulator.market import ScriptedMarket
from execution.emulator.server import RunningEmulator
from tests.execution.emulator.clients import trading_client

NOON = datetime(2012, 6, 14, 16, 0, tzinfo=UTC)


def emulator_at(at: datetime = NOON, **options) -> RunningEmulator:
    """Return an emulator that was not started, with AAPL at 100."""
    market = ScriptedMarket()
    market.say("AAPL", last=Decimal(100), bid=Decimal("99.99"), ask=Decimal("100.01"), at=at)
    return RunningEmulator(market=market, clock=VenueClock.manual(at), **options)


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with emulator_at() as running:
        yield running


@pytest.fixture
def client(emulator: RunningEmulator) -> TradingClient:
    return trading_client(emulator)
