"""Alerts over the API: seen by everybody who may read, acknowledged by those who act."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from ops_console.scopes import Scope
from risk.models import Alert
from risk.services.alerts import raise_alert, resolve_alert
from tests.factories import WALL_NOW
from tests.ops_console.api.conftest import Client

pytestmark = pytest.mark.django_db


def alert(subject: str = "account:paper", **more: Any) -> Alert:
    told = {"code": "position_differs", "severity": "critical", "message": "AAPL: 1 in the book, 2 at the broker"}
    return raise_alert(**told | {"subject": subject, "now": WALL_NOW} | more)


def test_newest_first_and_filtered(trader: APIClient) -> None:
    first, second = alert("a"), alert("b", severity="warning")
    rows = trader.get("/api/v1/alerts").json()["results"]
    assert [row["id"] for row in rows] == [second.pk, first.pk]
    only = trader.get("/api/v1/alerts", {"severity": "critical", "state": "open"}).json()["results"]
    assert [row["subject"] for row in only] == ["a"]
    assert only[0]["first_at"].endswith(("Z", "+00:00"))


def test_told_twice_is_one_alert_that_counts(trader: APIClient) -> None:
    alert()
    alert(message="AAPL: 1 in the book, 3 at the broker")
    (row,) = trader.get("/api/v1/alerts").json()["results"]
    assert (row["count"], row["message"][-14:]) == (2, "3 at the broker"[-14:])


def test_acknowledged_once_and_told_again_it_stays_seen(trader: APIClient) -> None:
    row = alert()
    answer = trader.post(f"/api/v1/alerts/{row.pk}/acknowledge", {}, format="json")
    assert (answer.status_code, answer.json()["state"], answer.json()["acknowledged_by"]) == (
        200,
        "acknowledged",
        "trade-user",
    )
    alert()
    assert Alert.objects.get().state == "acknowledged"


def test_over_cannot_be_acknowledged_and_begins_anew(trader: APIClient) -> None:
    row = alert()
    assert resolve_alert(code=row.code, subject=row.subject, now=WALL_NOW)
    assert not resolve_alert(code=row.code, subject=row.subject, now=WALL_NOW)
    answer = trader.post(f"/api/v1/alerts/{row.pk}/acknowledge", {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "ALERT_OVER")
    assert alert().pk != row.pk


def test_reader_may_not_acknowledge(client_of: Client) -> None:
    row = alert()
    answer = client_of(Scope.READ).post(f"/api/v1/alerts/{row.pk}/acknowledge", {}, format="json")
    assert answer.status_code == 403
