"""The books are compared on the command line, and the exit code says what came of it."""

from datetime import timedelta

import pytest

from execution.brokers.base import BrokerUnavailable
from execution.models import Account, Break, ReconciliationRun
from execution.reconciliation import locking
from execution.reconciliation.forced import approve_force, request_force
from marketdata.clock import wall_now
from ops_console.management.commands import reconcile as command
from risk.models import Alert
from tests.execution.cases import D, FakeBroker
from tests.factories import make_account
from tests.ops_console.commands.terminal import run

pytestmark = pytest.mark.django_db
REASON = "nobody else may trade here"


@pytest.fixture
def desk(settings):
    settings.TRADING_MODE = "paper"
    return make_account(name="paper")


@pytest.fixture
def broker(desk, monkeypatch):
    broker = FakeBroker()
    monkeypatch.setattr(command, "broker_for", lambda account: broker)
    return broker


def test_books_that_agree_end_with_zero_and_say_what_was_compared(desk, broker):
    outcome = run("reconcile", "--operator", "ann")
    assert outcome.code == 0
    assert "paper: agrees with the broker" in outcome.out
    assert "orders 0, positions 0, adopted 0" in outcome.out
    made = ReconciliationRun.objects.get()
    assert (made.trigger, made.started_by, made.state) == ("operator", "ann", "clean")


def test_books_that_differ_end_with_three_and_are_listed_with_what_a_repair_would_do(desk, broker):
    Account.objects.filter(pk=desk.pk).update(reconciliation="broken")
    broker.held["AAPL"] = D(-7)
    outcome = run("reconcile", "--json")
    document = outcome.document
    assert outcome.code == 3
    assert (document["state"], document["may_trade"]) == ("broken", False)
    [row] = document["breaks"]
    assert (row["kind"], row["ours"], row["theirs"], row["state"]) == ("position", "0", "-7", "suspected")
    assert "EXTERNAL" in row["proposal"]
    assert "AAPL" in run("reconcile", "--status").out


def test_the_status_asks_nobody(desk, broker):
    broker.before_look = broker.before_positions = lambda *_: pytest.fail("the broker was asked")
    outcome = run("reconcile", "--status")
    assert (outcome.code, "nothing was ever compared" in outcome.out) == (0, True)
    assert not ReconciliationRun.objects.exists()


def test_a_broker_that_does_not_answer_is_no_verdict(desk, broker):
    def fails():
        raise BrokerUnavailable("positions are away")

    broker.before_positions = fails
    outcome = run("reconcile")
    assert (outcome.code, outcome.err) == (4, "no verdict: positions are away")
    assert Account.objects.get(pk=desk.pk).reconciliation == "clean"


def test_while_another_comparison_is_under_way_it_is_refused(desk, broker, monkeypatch):
    monkeypatch.setattr(locking, "_call", lambda function, _name: function != "pg_try_advisory_lock")
    outcome = run("reconcile")
    assert (outcome.code, "under way" in outcome.err) == (1, True)


def test_an_account_that_is_not_there_is_named(desk):
    assert run("reconcile", "--account", "nope").err == "--account: there is no account 'nope'"


def test_two_peoples_word_counts_until_it_expires(desk):
    now = wall_now()
    Account.objects.filter(pk=desk.pk).update(reconciliation="broken")
    ReconciliationRun.objects.create(account=desk, trigger="timer", started_at=now, finished_at=now, state="broken")
    request = request_force(account=desk, operator="ann", reason=REASON, wall_now=now)
    approve_force(request_id=request.pk, operator="bob", wall_now=now)
    assert run("reconcile", "--status").code == 0
    type(request).objects.update(expires_at=now - timedelta(seconds=1))
    assert run("reconcile", "--status").code == 3  # though no clock has ended it yet


def test_what_becomes_of_others_is_set_with_a_reason(desk):
    Account.objects.filter(pk=desk.pk).update(strangers="adopt")
    assert run("reconcile", "--strangers", "quarantine").err.startswith("--reason: ")
    assert Account.objects.get(pk=desk.pk).strangers == "adopt"
    outcome = run("reconcile", "--strangers", "quarantine", "--reason", REASON, "--operator", "ann")
    assert outcome.out == "paper: orders and positions of others are refused, and the account is closed, from now on\n"
    assert Account.objects.get(pk=desk.pk).strangers == "quarantine"
    alert = Alert.objects.get(code="strangers_policy_set")
    assert (alert.detail["operator"], alert.detail["reason"]) == ("ann", REASON)
    document = run("reconcile", "--strangers", "quarantine", "--reason", REASON, "--json").document
    assert document == {"account": "paper", "strangers": "quarantine", "changed": False}
    assert run("reconcile", "--strangers", "never", "--reason", REASON).code != 0
    assert not Break.objects.exists()


def test_a_reason_alone_is_refused(desk):
    assert run("reconcile", "--reason", REASON).err == "--reason: goes with --strangers"
