"""A renewed key of the broker, accepted from the command line."""

from dataclasses import replace

import pytest

from execution.brokers.base import BrokerUnavailable
from execution.models import Account, BrokerLink
from execution.services.broker_identity import verify_identity
from ops_console.management.commands import accept_broker_key as command
from tests.execution.test_broker_identity import FIRST, Answering
from tests.factories import WALL_NOW, make_account
from tests.ops_console.commands.terminal import make_user, run

pytestmark = pytest.mark.django_db
WHY = ("--operator", "alice", "--reason", "renewed on the broker's page")


@pytest.fixture
def desk(settings) -> Account:
    settings.TRADING_MODE = "alpaca_paper"
    make_user("alice", "risk_officer")
    make_user("trader", "trader")
    account = make_account(name="alpaca_paper", mode="alpaca_paper")
    verify_identity(account=account, broker=Answering(), wall_now=WALL_NOW)
    return account


@pytest.fixture
def broker(monkeypatch) -> Answering:
    answering = Answering(told=replace(FIRST, key_fingerprint="b" * 64))
    monkeypatch.setattr(command, "broker_for", lambda account: answering)
    return answering


def test_a_new_key_is_accepted_by_who_may(desk, broker):
    refused = run("accept_broker_key", "--operator", "trader", *WHY[2:])
    assert (refused.code, "may not" in refused.err) == (1, True)
    outcome = run("accept_broker_key", *WHY)
    assert (outcome.code, outcome.out.strip()) == (0, "alpaca_paper: the key with SHA-256 bbbbbbbbbbbb… is accepted")
    assert BrokerLink.objects.get(account=desk).pinned_key == "b" * 64


def test_another_account_or_nobody_is_refused_in_one_line(desk, broker):
    broker.told = replace(broker.told, account_number="PA2")
    assert "answers for account PA2" in run("accept_broker_key", *WHY).err
    broker.error = BrokerUnavailable("the line is down")
    outcome = run("accept_broker_key", *WHY)
    assert (outcome.code, outcome.err) == (1, "the line is down")
    assert BrokerLink.objects.get(account=desk).pinned_key == "a" * 64


def test_it_wants_a_reason_and_an_account_that_exists(desk, broker):
    assert "10 to 500 are needed" in run("accept_broker_key", "--operator", "alice", "--reason", "short").err
    assert "there is no account 'nope'" in run("accept_broker_key", "--account", "nope", *WHY).err
