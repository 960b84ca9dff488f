"""Our own Alpaca-compatible API keeps the port's promises, in front of a desk that trades at an emulator.

Adapter → our `/alpaca` → gate → dispatcher → adapter → emulator → trade updates → book → our `/alpaca/stream` → inbox.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from execution.brokers.base import Broker
from execution.emulator.venue import VenueSettings
from execution.models import Account
from ops_console.api.desk import forget_account
from ops_console.api.throttling import limiter
from tests.execution.brokers import test_alpaca
from tests.execution.brokers.through_us import ThroughUs, broker_through
from tests.execution.updates.line_cases import Desk, emulated
from tests.factories import allow, allow_bursts
from tests.ops_console.alpaca_api.conftest import KeysOf, LiveServer, keys_of, server

__all__ = ["keys_of", "server"]  # fixtures

pytestmark = pytest.mark.django_db(transaction=True)


class TestOurOwnApi(test_alpaca.TestAlpacaBroker):
    @pytest.fixture
    def desk(self, transactional_db: None, settings: Any) -> Iterator[Desk]:
        settings.TRADING_MODE = "alpaca_paper"
        limiter.forget()
        forget_account()
        with emulated(settings=VenueSettings(participation=Decimal(1))) as emulator:
            # The gate takes no order at the market before the open: here the name does not trade before `fill`.
            emulator.call(lambda: emulator.venue.halt("AAPL"))
            yield Desk(emulator, name="alpaca_paper")
        forget_account()

    @pytest.fixture
    def account(self, desk: Desk) -> Account:
        # The contract's orders follow each other at once, and are far from the market: limits of the gate's.
        allow_bursts()
        allow(price_collar_pct=100)
        return desk.account

    @pytest.fixture
    def broker(self, desk: Desk, server: LiveServer, keys_of: KeysOf) -> Iterator[ThroughUs]:
        self.desk = desk
        with broker_through(server, keys_of(), desk) as through:
            yield through

    def fill(self, broker: Broker) -> None:
        """Let the name trade for two seconds."""
        assert isinstance(broker, ThroughUs)
        emulator = self.desk.emulator
        emulator.call(lambda: emulator.venue.resume("AAPL"))
        for last in ("100.25", "101.25"):
            self.desk.price(last)
        emulator.call(lambda: emulator.venue.halt("AAPL"))
        broker.settle()
