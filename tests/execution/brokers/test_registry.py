from decimal import Decimal

import pytest

from execution.brokers.base import BrokerNotConfigured, BrokerUnavailable
from execution.brokers.registry import broker_for, paper_broker_for
from execution.models.accounts import Account


def make_account(mode: str) -> Account:
    return Account(name="desk", mode=mode, starting_cash=Decimal(1000))


@pytest.mark.parametrize("mode", ["paper", "dry_run"])
def test_an_account_gets_the_broker_of_its_mode(mode):
    broker = broker_for(make_account(mode))
    assert broker.name == mode
    assert broker.is_dry_run == (mode == "dry_run")


@pytest.mark.parametrize("mode", ["alpaca_paper", "alpaca_live"])
def test_a_mode_without_an_adapter_gets_nobody_elses(mode):
    with pytest.raises(BrokerNotConfigured, match=mode) as refused:
        broker_for(make_account(mode))
    assert isinstance(refused.value, BrokerUnavailable)


def test_the_exchange_is_moved_for_paper_accounts_only():
    assert paper_broker_for(make_account("paper")).starting_cash == 1000
    with pytest.raises(BrokerNotConfigured, match="dry_run"):
        paper_broker_for(make_account("dry_run"))
