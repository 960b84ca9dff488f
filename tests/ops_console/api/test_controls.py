"""Kill switch and circuit breaker over HTTP."""

from datetime import timedelta

import pytest
from rest_framework.test import APIClient

from execution.models import Account, Order
from marketdata.clock import wall_now
from ops_console.scopes import Scope
from risk.models import BreakerEvent, KillSwitchEvent, ReleaseRequest
from risk.selectors import is_engaged
from tests.factories import make_order
from tests.ops_console.api.bodies import ORDERS, REASON, order
from tests.ops_console.api.conftest import Client

pytestmark = pytest.mark.django_db
KILL = "/api/v1/kill-switch"
BREAKER = "/api/v1/circuit-breaker"


def engage(client: APIClient, **fields: str) -> None:
    answer = client.post(f"{KILL}/engage", {"reason": REASON} | fields, format="json")
    assert answer.status_code == 200, answer.content


def test_engaging_stops_the_next_order_and_cancels_what_is_open(account: Account, trader: APIClient) -> None:
    open_order = make_order(account)
    body = trader.post(f"{KILL}/engage", {"reason": REASON}, format="json").json()
    assert (body["scope"], body["engaged"], body["already_engaged"], body["canceled"]) == ("global", True, False, 1)
    assert Order.objects.get(pk=open_order.pk).status == "canceled"
    assert trader.post(ORDERS, order(quantity="11"), format="json").status_code == 503


def test_engaging_again_is_no_failure(account: Account, trader: APIClient) -> None:
    engage(trader)
    assert trader.post(f"{KILL}/engage", {"reason": REASON}, format="json").json()["already_engaged"] is True


def test_a_strategy_is_stopped_alone(account: Account, trader: APIClient) -> None:
    engage(trader, strategy="manual")
    assert is_engaged("strategy:manual")
    assert not is_engaged("global")
    assert trader.post(ORDERS, order(), format="json").json()["code"] == "KILL_SWITCH"


def test_a_misspelt_strategy_is_refused_and_never_looks_stopped(account: Account, trader: APIClient) -> None:
    answer = trader.post(f"{KILL}/engage", {"reason": REASON, "strategy": "manul"}, format="json")
    assert answer.status_code == 400
    assert "manual" in answer.json()["errors"][0]["allowed"]
    assert not KillSwitchEvent.objects.filter(engaged=True).exists()


@pytest.mark.parametrize("reason", ["", "too short", "x" * 501, None, 5, "with a \u0000 in it"])
def test_an_act_needs_a_reason(account: Account, trader: APIClient, reason: object) -> None:
    for address in (f"{KILL}/engage", f"{BREAKER}/trip"):
        answer = trader.post(address, {"reason": reason}, format="json")
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["name"] == "reason"


def test_a_release_takes_two_operators(account: Account, client_of: Client) -> None:
    ann, bob = client_of(Scope.RISK, name="ann"), client_of(Scope.RISK, name="bob")
    engage(ann)
    asked = ann.post(f"{KILL}/disengage", {"reason": REASON, "word": "RELEASE GLOBAL"}, format="json")
    assert asked.status_code == 202
    assert asked.json()["requested_by"] == "ann"
    assert is_engaged("global")
    approval = {"approval_id": asked.json()["approval_id"]}
    alone = ann.post(f"{KILL}/disengage", approval, format="json")
    assert (alone.status_code, alone.json()["code"]) == (403, "SECOND_OPERATOR_REQUIRED")
    assert is_engaged("global")
    released = bob.post(f"{KILL}/disengage", approval, format="json")
    assert released.status_code == 200
    assert (released.json()["operator"], released.json()["second_operator"]) == ("ann", "bob")
    assert not is_engaged("global")
    again = bob.post(f"{KILL}/disengage", approval, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "REQUEST_NOT_PENDING")


def test_two_tokens_of_one_person_are_one_operator(account: Account, client_of: Client) -> None:
    first, second = client_of(Scope.RISK, name="ann"), client_of(Scope.ADMIN, name="ann", role=Scope.ADMIN)
    engage(first)
    asked = first.post(f"{KILL}/disengage", {"reason": REASON, "word": "RELEASE GLOBAL"}, format="json").json()
    answer = second.post(f"{KILL}/disengage", {"approval_id": asked["approval_id"]}, format="json")
    assert answer.status_code == 403
    assert is_engaged("global")


def test_asking_twice_is_one_request(account: Account, client_of: Client) -> None:
    ann, bob = client_of(Scope.RISK, name="ann"), client_of(Scope.RISK, name="bob")
    engage(ann)
    first = ann.post(f"{KILL}/disengage", {"reason": REASON, "word": "RELEASE GLOBAL"}, format="json").json()
    second = bob.post(f"{KILL}/disengage", {"reason": REASON, "word": "RELEASE GLOBAL"}, format="json").json()
    assert first["approval_id"] == second["approval_id"]
    assert ReleaseRequest.objects.count() == 1


def test_an_approval_for_another_scope_releases_nothing(account: Account, client_of: Client) -> None:
    ann, bob = client_of(Scope.RISK, name="ann"), client_of(Scope.RISK, name="bob")
    engage(ann)
    asked = ann.post(f"{KILL}/disengage", {"reason": REASON, "word": "RELEASE GLOBAL"}, format="json").json()
    answer = bob.post(f"{KILL}/disengage", {"approval_id": asked["approval_id"], "strategy": "manual"}, format="json")
    assert answer.status_code == 409
    assert is_engaged("global")


def test_an_expired_request_releases_nothing(account: Account, client_of: Client) -> None:
    ann, bob = client_of(Scope.RISK, name="ann"), client_of(Scope.RISK, name="bob")
    engage(ann)
    asked = ann.post(f"{KILL}/disengage", {"reason": REASON, "word": "RELEASE GLOBAL"}, format="json").json()
    ReleaseRequest.objects.update(expires_at=wall_now() - timedelta(seconds=1))
    assert bob.post(f"{KILL}/disengage", {"approval_id": asked["approval_id"]}, format="json").status_code == 409
    assert is_engaged("global")


@pytest.mark.parametrize("approval_id", [0, -1, "x", 1.5, True, 10**30])
def test_a_strange_approval_is_400(account: Account, client_of: Client, approval_id: object) -> None:
    answer = client_of(Scope.RISK).post(f"{KILL}/disengage", {"approval_id": approval_id}, format="json")
    assert answer.status_code == 400


def test_what_is_off_cannot_be_released(account: Account, client_of: Client) -> None:
    answer = client_of(Scope.RISK).post(
        f"{KILL}/disengage", {"reason": REASON, "word": "RELEASE GLOBAL"}, format="json"
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "ALREADY_IN_STATE")


def test_a_second_release_within_a_minute_is_429(account: Account, client_of: Client) -> None:
    ann, bob = client_of(Scope.RISK, name="ann"), client_of(Scope.RISK, name="bob")
    codes = []
    for _ in range(2):
        engage(ann)
        asked = ann.post(f"{KILL}/disengage", {"reason": REASON, "word": "RELEASE GLOBAL"}, format="json").json()
        answer = bob.post(f"{KILL}/disengage", {"approval_id": asked["approval_id"]}, format="json")
        codes.append(answer.status_code)
    assert codes == [200, 429]
    assert answer.headers["Retry-After"] == "60"
    assert is_engaged("global")


def test_status_shows_every_scope_and_what_waits(account: Account, client_of: Client) -> None:
    ann = client_of(Scope.RISK, name="ann")
    engage(ann, strategy="manual")
    ann.post(
        f"{KILL}/disengage", {"reason": REASON, "strategy": "manual", "word": "RELEASE STRATEGY:MANUAL"}, format="json"
    )
    body = ann.get(f"{KILL}/status").json()
    assert body["engaged"] is False
    assert [(row["scope"], row["engaged"]) for row in body["scopes"]] == [("global", False), ("strategy:manual", True)]
    assert body["pending_requests"][0]["scope"] == "strategy:manual"


@pytest.mark.django_db
def test_a_missing_state_reads_as_engaged(client_of: Client) -> None:
    assert client_of(Scope.READ).get(f"{KILL}/status").json()["engaged"] is True


def test_the_breaker_is_tripped_and_reset(account: Account, client_of: Client) -> None:
    risk = client_of(Scope.RISK)
    assert risk.get(f"{BREAKER}/status").json()["state"] == "open"
    assert risk.post(f"{BREAKER}/trip", {"reason": REASON}, format="json").json()["state"] == "tripped"
    refused = risk.post(ORDERS, order(), format="json")
    assert [denial["code"] for denial in refused.json()["denials"]] == ["CIRCUIT_BREAKER"]
    after = risk.post(f"{BREAKER}/reset", {"reason": REASON}, format="json").json()
    assert after["state"] == "quiet_period"
    assert after["quiet_until"].endswith("+00:00")
    assert risk.post(f"{BREAKER}/reset", {"reason": REASON}, format="json").status_code == 409


def test_tripping_twice_is_one_event(account: Account, trader: APIClient) -> None:
    for _ in range(2):
        assert trader.post(f"{BREAKER}/trip", {"reason": REASON}, format="json").status_code == 200
    assert BreakerEvent.objects.filter(state="tripped").count() == 1
    assert BreakerEvent.objects.get(state="tripped").operator == "trade-user"
