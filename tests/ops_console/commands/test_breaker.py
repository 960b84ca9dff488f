"""The breaker from the command line."""

import pytest
from django.db import OperationalError

from execution.models import Account
from ops_console.management.commands import breaker as command
from risk.models import BreakerEvent
from tests.factories import make_account
from tests.ops_console.commands.terminal import make_user, run

pytestmark = pytest.mark.django_db
WHY = ("--reason", "prices jump around")


@pytest.fixture
def desk(settings):
    settings.TRADING_MODE = "paper"
    return make_account(name="paper")


def test_status_of_a_new_account_is_open(desk):
    outcome = run("breaker", "status")
    assert (outcome.code, outcome.out.startswith("account:paper: OPEN")) == (0, True)


def test_trip_by_anybody_reset_by_who_may(desk):
    make_user("alice", "risk_officer")
    make_user("trader", "trader")
    assert run("breaker", "trip", "--operator", "somebody", *WHY).code == 0
    assert run("breaker", "status").code == 3
    refused = run("breaker", "reset", "--operator", "trader", *WHY)
    assert (refused.code, "may not" in refused.err) == (1, True)
    outcome = run("breaker", "reset", "--operator", "alice", "--json", *WHY)
    assert (outcome.code, outcome.document["state"]) == (0, "quiet_period")
    assert run("breaker", "status").code == 3
    again = run("breaker", "reset", "--operator", "alice", *WHY)
    assert (again.code, "only a tripped one" in again.err) == (1, True)
    assert BreakerEvent.objects.count() == 3


def test_unknown_account_is_named_with_those_that_exist(desk):
    outcome = run("breaker", "status", "--account", "nope")
    assert (outcome.code, outcome.err) == (1, "--account: there is no account 'nope'; there are: paper")


def test_database_away_is_unknown(desk, monkeypatch):
    def away(*_):
        raise OperationalError("connection refused")

    monkeypatch.setattr(command, "breaker_status", away)
    outcome = run("breaker", "status", "--json")
    assert (outcome.code, outcome.document["state"]) == (4, "unknown")
    assert outcome.err == "the database does not answer: connection refused"


def test_status_shows_each_cause_with_what_is_seen_and_what_is_allowed(desk):
    shown = run("breaker", "status").out
    assert "Lost since the last close" in shown
    assert "2 %" in shown
    assert "last look: none yet" in shown
    document = run("breaker", "status", "--json").document
    assert [row["cause"] for row in document["readings"]][:2] == ["daily_loss", "weekly_loss"]
    assert (document["would_trip_again"], document["looked_at"]) == ([], None)


def test_164_a_reset_that_would_not_last_says_so_before(desk):
    make_user("alice", "risk_officer")
    run("breaker", "trip", *WHY)
    Account.objects.filter(pk=desk.pk).update(reconciliation="broken")
    outcome = run("breaker", "reset", "--operator", "alice", *WHY)
    assert outcome.code == 0
    assert outcome.err == "would trip again: Book against the broker's: they differ\n"
