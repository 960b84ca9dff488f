from decimal import Decimal

import pytest

from execution.brokers.base import Broker, BrokerRejected
from execution.brokers.dry_run import DryRunBroker
from tests.execution.brokers.contract import AT, BrokerContract, make_request


class TestDryRunBroker(BrokerContract):
    @pytest.fixture
    def broker(self) -> Broker:
        return DryRunBroker("desk", starting_cash=Decimal(1000))

    def test_refuses_every_order(self, broker: Broker):
        with pytest.raises(BrokerRejected) as refused:
            broker.submit(make_request(), at=AT)
        assert refused.value.code == "dry_run"
        assert broker.is_dry_run

    def test_keeps_its_cash(self, broker: Broker):
        assert broker.account().cash == 1000
