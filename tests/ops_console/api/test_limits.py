"""Limits over HTTP, and where risk stands beside them."""

from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from execution.models import Account
from ops_console.scopes import Scope
from risk.limits import LIMITS
from risk.models import Limit, LimitChange
from tests.factories import make_order
from tests.ops_console.api.bodies import ORDERS, REASON, order
from tests.ops_console.api.conftest import Client

pytestmark = pytest.mark.django_db
LIMITS_ADDRESS, FAT_FINGER = "/api/v1/limits", "/api/v1/fat-finger/thresholds"


@pytest.fixture
def officer(client_of: Client) -> APIClient:
    return client_of(Scope.RISK)


def by_name(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in body["limits"]}


def test_every_limit_is_listed_with_unit_and_bounds(account: Account, officer: APIClient) -> None:
    rows = by_name(officer.get(LIMITS_ADDRESS).json())
    assert set(rows) == set(LIMITS)
    assert rows["max_order_quantity"] | {"label": ""} == {
        "name": "max_order_quantity",
        "label": "",
        "unit": "shares",
        "value": "10000",
        "account_value": "10000",
        "soft_value": "8000",
        "default": "10000",
        "minimum": "0",
        "maximum": "100000000000",
        "overrides": [],
    }


def test_a_change_counts_for_the_next_order(account: Account, officer: APIClient) -> None:
    body = {"max_order_quantity": "5", "reason": REASON}
    changed = by_name(officer.put(LIMITS_ADDRESS, body, format="json").json())
    assert changed["max_order_quantity"]["value"] == "5"
    refused = officer.post(ORDERS, order(), format="json").json()
    assert refused["denials"][0]["code"] == "FAT_FINGER_QUANTITY"
    row = LimitChange.objects.get(name="max_order_quantity")
    assert (row.operator, row.reason, row.new_value) == ("risk-user", REASON, Decimal(5))


def test_an_override_holds_for_its_strategy_and_symbol_only(account: Account, officer: APIClient) -> None:
    body = {"max_order_quantity": "5", "strategy": "manual", "symbol": "AAPL", "reason": REASON}
    officer.put(LIMITS_ADDRESS, body, format="json")
    everywhere = by_name(officer.get(LIMITS_ADDRESS).json())["max_order_quantity"]
    there = by_name(officer.get(f"{LIMITS_ADDRESS}?strategy=manual&symbol=AAPL").json())["max_order_quantity"]
    assert (everywhere["value"], there["value"]) == ("10000", "5")
    assert everywhere["overrides"] == [{"strategy": "manual", "symbol": "AAPL", "value": "5"}]


def test_null_removes_an_override(account: Account, officer: APIClient) -> None:
    for value in ("5", None):
        body = {"max_order_quantity": value, "reason": REASON}
        assert officer.put(FAT_FINGER, body, format="json").status_code == 200
    assert not Limit.objects.filter(name="max_order_quantity").exists()


def test_several_limits_change_together_or_not_at_all(account: Account, officer: APIClient) -> None:
    before = Limit.objects.count()
    body = {"max_order_quantity": "5", "price_collar_pct": "101", "reason": REASON}
    answer = officer.put(FAT_FINGER, body, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["name"] == "price_collar_pct"
    assert Limit.objects.count() == before
    assert officer.put(FAT_FINGER, body | {"price_collar_pct": "3.5"}, format="json").status_code == 200
    assert Limit.objects.count() == before + 2


@pytest.mark.parametrize(
    "body",
    [
        {"reason": REASON},
        {"max_order_quantity": "5"},
        {"max_order_quantity": "-1", "reason": REASON},
        {"max_order_quantity": "NaN", "reason": REASON},
        {"max_order_quantity": "5", "reason": REASON, "strategy": "nobody"},
        {"max_order_quantity": "5", "reason": REASON, "symbol": "NOPE"},
        {"max_order_qty": "5", "reason": REASON},
    ],
)
def test_a_change_that_cannot_be_is_400_and_changes_nothing(
    account: Account, officer: APIClient, body: dict[str, Any]
) -> None:
    before = LimitChange.objects.count()
    assert officer.put(LIMITS_ADDRESS, body, format="json").status_code == 400
    assert LimitChange.objects.count() == before


def test_fat_finger_thresholds_are_the_limits_on_one_order(account: Account, officer: APIClient) -> None:
    assert list(by_name(officer.get(FAT_FINGER).json())) == [
        "max_order_quantity",
        "max_order_notional",
        "max_order_adv_pct",
        "price_collar_pct",
    ]
    body = {"max_gross_notional": "1", "reason": REASON}
    assert officer.put(FAT_FINGER, body, format="json").status_code == 400


def test_the_summary_says_whether_we_may_trade_and_what_was_denied(account: Account, officer: APIClient) -> None:
    make_order(account)
    officer.post(ORDERS, order(quantity="99999"), format="json")
    body = officer.get("/api/v1/risk/summary").json()
    assert body["may_trade"] is True
    assert body["breaker"]["state"] == "open"
    assert {row["limit"]: row["used"] for row in body["utilisation"]}["max_open_orders"] == "1"
    assert "FAT_FINGER_QUANTITY" in [row["code"] for row in body["denials_24h"]]
    officer.post("/api/v1/circuit-breaker/trip", {"reason": REASON}, format="json")
    assert officer.get("/api/v1/risk/summary").json()["may_trade"] is False
