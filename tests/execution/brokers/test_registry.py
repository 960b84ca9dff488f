from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from execution.brokers import registry
from execution.brokers.alpaca import AlpacaBroker, configuration_of
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


@pytest.fixture
def keys(settings: Any) -> Iterator[Any]:
    settings.ALPACA_API_KEY_ID, settings.ALPACA_API_SECRET_KEY = "PKONE", "secret"
    settings.ALPACA_BASE_URL, settings.ALPACA_STREAM_URL = "http://127.0.0.1:9", ""
    yield settings
    registry._line_of.cache_clear()


def test_brokers_of_the_same_keys_share_one_line_and_one_budget(keys: Any) -> None:
    one, two = broker_for(make_account("alpaca_paper")), broker_for(make_account("alpaca_paper"))
    assert isinstance(one, AlpacaBroker)
    assert isinstance(two, AlpacaBroker)
    assert one is not two
    assert one.line is two.line
    assert (one.name, one.submit_batch_size, one.is_dry_run) == ("alpaca_paper", 1, False)
    keys.ALPACA_API_KEY_ID = "PKTWO"
    other = broker_for(make_account("alpaca_paper"))
    assert isinstance(other, AlpacaBroker)
    assert other.line is not one.line


def test_paper_keys_reach_no_live_account(keys: Any) -> None:
    with pytest.raises(BrokerNotConfigured, match="beginning with AK"):
        broker_for(make_account("alpaca_live"))
    with pytest.raises(BrokerNotConfigured, match="no broker is configured for mode paper"):
        configuration_of("paper")


def test_an_account_of_no_known_mode_has_no_broker() -> None:
    with pytest.raises(BrokerNotConfigured, match="no broker is configured"):
        broker_for(make_account("another"))
