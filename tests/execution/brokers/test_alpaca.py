"""Alpaca's adapter keeps the port's promises, at an emulator over a real socket."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from execution.brokers.alpaca import AlpacaBroker
from execution.brokers.base import Broker
from execution.emulator.server import RunningEmulator
from tests.execution.brokers.alpaca.emulated import broker_at, emulator_at
from tests.execution.brokers.contract import (
    AT,
    AcceptingBrokerContract,
    GroupContract,
    ReplacingContract,
    SuspendableContract,
    make_request,
)
from tests.factories import make_account

pytestmark = pytest.mark.django_db


class TestAlpacaBroker(AcceptingBrokerContract, ReplacingContract, GroupContract, SuspendableContract):
    @pytest.fixture
    def emulator(self) -> Iterator[RunningEmulator]:
        with emulator_at(AT) as running:
            yield running

    @pytest.fixture
    def broker(self, emulator: RunningEmulator) -> Iterator[AlpacaBroker]:
        self.emulator = emulator
        with broker_at(emulator, account_id=make_account(mode="alpaca_paper").pk) as adapter:
            yield adapter

    def fill(self, broker: Broker) -> None:
        """Open the session, and let a quote pass every second after that."""
        emulator = self.emulator
        emulator.call(lambda: emulator.surface.clock.advance(Decimal(25 * 60)))
        for last in ("100.25", "101.25"):
            emulator.call(lambda price=Decimal(last): emulator.venue.tick("AAPL", bid=price, ask=price, last=price))
            emulator.call(lambda: emulator.surface.clock.advance(Decimal(1)))
            emulator.pump()

    def test_a_fill_is_in_order_reports_position_and_cash(self, broker: Broker):
        """One after the other: this broker takes no opposite orders of one name beside each other."""
        cash = broker.account().cash
        for request in (make_request(), make_request("two", side="sell", quantity=Decimal(4))):
            broker.submit(request, at=AT)
            self.fill(broker)
            found = broker.find(request.client_order_id)
            assert found is not None
            assert (found.status, found.filled_quantity) == ("filled", request.quantity)
            assert found.average_fill_price is not None
        fills = [report for report in broker.reports_since(0) if report.kind == "fill"]
        paid = sum(f.price * f.quantity * (1 if f.client_order_id == "one" else -1) for f in fills)
        assert broker.account().cash == cash - paid
        assert [(p.symbol, p.quantity) for p in broker.positions()] == [("AAPL", Decimal(6))]
        assert len({f.broker_execution_id for f in fills}) == len(fills) == 2
