"""Reconciliation over the API: run, look, decide, and force with two people."""

from datetime import timedelta

import pytest
from rest_framework.test import APIClient

from execution.models import Account, Break, ForcedCompletion, ReconciliationRun
from marketdata.clock import wall_now
from ops_console.scopes import Scope
from tests.execution.cases import FakeBroker
from tests.factories import D
from tests.ops_console.api.conftest import Client

pytestmark = pytest.mark.django_db
REASON = {"reason": "checked with the broker by telephone"}
BASE = "/api/v1/reconciliation"


@pytest.fixture(autouse=True)
def broker(monkeypatch: pytest.MonkeyPatch) -> FakeBroker:
    made = FakeBroker()
    monkeypatch.setattr("ops_console.api.views.reconciliation.broker_for", lambda _account: made)
    return made


@pytest.fixture
def risk_officer(client_of: Client) -> APIClient:
    return client_of(Scope.RISK)


def broken(account: Account) -> Break:
    Account.objects.filter(pk=account.pk).update(reconciliation="broken")
    now = wall_now()
    ReconciliationRun.objects.create(
        account=account, trigger="timer", started_at=now, finished_at=now, state="broken", open_breaks=1
    )
    return Break.objects.create(
        account=account,
        kind="position",
        subject="AAPL",
        symbol="AAPL",
        ours="0",
        theirs="5",
        state="open",
        repair={"action": "adopt_position"},
        first_seen_at=now,
        last_seen_at=now,
    )


def test_a_run_tells_its_verdict_and_the_status_keeps_it(account: Account, trader: APIClient) -> None:
    run = trader.post(f"{BASE}/run", {}, format="json")
    assert (run.status_code, run.json()["state"], run.json()["started_by"]) == (200, "clean", "trade-user")
    status = trader.get(f"{BASE}/status").json()
    assert (status["state"], status["may_trade"], status["newest_run"]["id"]) == ("clean", True, run.json()["id"])


def test_a_broker_that_is_away_is_a_503_and_no_verdict(account: Account, trader: APIClient, broker: FakeBroker) -> None:
    from execution.brokers.base import BrokerUnavailable

    def away(_name: str) -> None:
        raise BrokerUnavailable("nobody answers")

    broker.before_look = away
    answer = trader.post(f"{BASE}/run", {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (503, "BROKER_UNAVAILABLE")
    assert trader.get(f"{BASE}/status").json()["newest_run"]["problem"] == "nobody answers"


def test_111_the_second_run_is_a_409(account: Account, trader: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execution.reconciliation.locking._call", lambda function, _: "unlock" in function)
    answer = trader.post(f"{BASE}/run", {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "RUN_CONFLICT")


def test_breaks_are_listed_and_decided_by_those_who_answer_for_risk(
    account: Account, trader: APIClient, risk_officer: APIClient, broker: FakeBroker
) -> None:
    row = broken(account)
    [listed] = trader.get(f"{BASE}/breaks", {"state": "open"}).json()["results"]
    assert (listed["id"], listed["ours"], listed["theirs"]) == (row.pk, "0", "5")
    assert trader.post(f"{BASE}/breaks/{row.pk}/accept", REASON, format="json").status_code == 403
    assert risk_officer.post(f"{BASE}/breaks/{row.pk}/accept", {"reason": "short"}, format="json").status_code == 400
    accepted = risk_officer.post(f"{BASE}/breaks/{row.pk}/accept", REASON, format="json")
    assert (accepted.status_code, accepted.json()["state"]) == (200, "accepted")
    broker.held["AAPL"] = D(5)
    repaired = risk_officer.post(f"{BASE}/breaks/{row.pk}/repair", REASON, format="json")
    assert (repaired.status_code, repaired.json()["state"]) == (200, "repaired")
    again = risk_officer.post(f"{BASE}/breaks/{row.pk}/repair", REASON, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "ALREADY_IN_STATE")
    assert risk_officer.post(f"{BASE}/breaks/9999/accept", REASON, format="json").status_code == 404


def test_118_force_completion_takes_two_people(account: Account, risk_officer: APIClient) -> None:
    refused = risk_officer.post(f"{BASE}/force-complete", REASON, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "ALREADY_IN_STATE")
    broken(account)
    asked = risk_officer.post(f"{BASE}/force-complete", REASON, format="json")
    assert asked.status_code == 202
    own = risk_officer.post(f"{BASE}/force-complete", {"approval_id": asked.json()["id"]}, format="json")
    assert (own.status_code, own.json()["code"]) == (403, "SECOND_OPERATOR_REQUIRED")
    ForcedCompletion.objects.update(requested_by="somebody-else")
    done = risk_officer.post(f"{BASE}/force-complete", {"approval_id": asked.json()["id"]}, format="json")
    assert done.status_code == 200
    status = risk_officer.get(f"{BASE}/status").json()
    assert (status["state"], status["may_trade"]) == ("forced", True)
    until = ForcedCompletion.objects.get().expires_at
    assert until is not None
    assert until - wall_now() <= timedelta(minutes=15)
