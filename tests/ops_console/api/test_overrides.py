"""Overrides over HTTP: one asks, another approves, the clock or anybody ends it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from rest_framework.test import APIClient

from execution.models import Account
from marketdata.clock import wall_now
from ops_console.scopes import Scope
from risk.models import LimitOverride
from risk.services.overrides import request_override
from tests.ops_console.api.bodies import ORDERS, REASON, order
from tests.ops_console.api.conftest import Client

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/limits/overrides"


@pytest.fixture
def officer(client_of: Client) -> APIClient:
    return client_of(Scope.RISK)


def body(**fields: object) -> dict[str, object]:
    until = (wall_now() + timedelta(hours=1)).isoformat()
    return {"name": "max_order_quantity", "value": "20000", "valid_until": until, "reason": REASON} | fields


def waiting(operator: str) -> LimitOverride:
    now = wall_now()
    return request_override(
        name="max_order_quantity",
        value=Decimal(5),
        valid_until=now + timedelta(hours=1),
        operator=operator,
        reason=REASON,
        now=now,
    )


def test_asking_is_202_and_changes_nothing(account: Account, officer: APIClient) -> None:
    answer = officer.post(ADDRESS, body(), format="json")
    assert (answer.status_code, answer.json()["state"], answer.json()["in_force"]) == (202, "requested", False)
    assert [row["id"] for row in officer.get(ADDRESS).json()["overrides"]] == [answer.json()["id"]]


def test_the_own_request_is_403_and_anothers_counts_for_the_next_order(account: Account, officer: APIClient) -> None:
    mine = officer.post(ADDRESS, body(), format="json").json()["id"]
    refused = officer.post(f"{ADDRESS}/{mine}/approve")
    assert (refused.status_code, refused.json()["code"]) == (403, "SECOND_OPERATOR_REQUIRED")
    done = officer.post(f"{ADDRESS}/{waiting('another').pk}/approve").json()
    assert (done["state"], done["in_force"], done["decided_by"]) == ("approved", True, "risk-user")
    assert officer.post(ORDERS, order(), format="json").json()["denials"][0]["code"] == "FAT_FINGER_QUANTITY"
    ended = officer.post(f"{ADDRESS}/{done['id']}/revoke", {"reason": REASON}, format="json").json()
    assert (ended["state"], ended["in_force"]) == ("revoked", False)
    assert officer.post(ORDERS, order(), format="json").status_code == 201


def test_what_is_decided_is_409(account: Account, officer: APIClient) -> None:
    row = waiting("another")
    assert officer.post(f"{ADDRESS}/{row.pk}/reject").json()["state"] == "rejected"
    for action in ("approve", "reject"):
        answer = officer.post(f"{ADDRESS}/{row.pk}/{action}")
        assert (answer.status_code, answer.json()["code"]) == (409, "REQUEST_NOT_PENDING")


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"name": "kill_switch"}, "name"),
        ({"value": "many"}, "value"),
        ({"valid_until": "tomorrow"}, "valid_until"),
        ({"reason": "short"}, "reason"),
        ({"symbol": "NOPE"}, "symbol"),
    ],
)
def test_what_makes_no_sense_is_400_and_named(
    account: Account, officer: APIClient, fields: dict[str, str], name: str
) -> None:
    answer = officer.post(ADDRESS, body(**fields), format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["name"] == name
    assert not LimitOverride.objects.exists()


def test_a_trader_may_look_and_not_ask(account: Account, client_of: Client) -> None:
    trader = client_of(Scope.TRADE)
    assert trader.get(ADDRESS).status_code == 200
    assert trader.post(ADDRESS, body(), format="json").status_code == 403
