"""Runs and strategies over HTTP."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from execution.models import Account
from ops_console.api.views import runs as run_views
from tests.factories import WALL_NOW, make_strategy
from trading.errors import RunBusyError, RunFailedError
from trading.models import Run
from trading.states import StepName

pytestmark = pytest.mark.django_db
RUNS = "/api/v1/runs"


def make_run(account: Account, day: int = 14, **fields: Any) -> Run:
    values = {
        "account": account,
        "strategy": make_strategy("momentum"),
        "trading_date": date(2012, 6, day),
        "as_of_date": date(2012, 6, day - 1),
        "state": "awaiting_fills",
        "sizing": {},
        "created_at": WALL_NOW,
    }
    return Run.objects.create(**values | fields)


def test_a_run_without_bars_fails_with_500_and_is_stored_as_failed(account: Account, trader: APIClient) -> None:
    make_strategy("momentum")
    answer = trader.post(RUNS, {"strategy": "momentum"}, format="json")
    assert answer.status_code == 500
    body = answer.json()
    assert body["code"] == "RUN_FAILED"
    assert "freshness" in body["detail"]
    stored = trader.get(f"{RUNS}/{body['run_id']}").json()
    assert (stored["state"], stored["steps"][0]["name"], stored["steps"][0]["state"]) == (
        "failed",
        "freshness",
        "failed",
    )


def test_a_run_that_works_is_201_and_later_200(
    account: Account, trader: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_strategy("momentum")

    def start(*, account: Account, strategy: Any, trading_date: date, wall_now: Any) -> Run:
        found = Run.objects.filter(account=account, strategy=strategy, trading_date=trading_date).first()
        return found or make_run(account, strategy=strategy, trading_date=trading_date)

    monkeypatch.setattr(run_views, "run_strategy", start)
    first = trader.post(RUNS, {"strategy": "momentum"}, format="json")
    second = trader.post(RUNS, {"strategy": "momentum", "trading_date": "2012-06-14"}, format="json")
    assert (first.status_code, second.status_code) == (201, 200)
    assert trader.get(first.headers["Location"]).json() == first.json()


@pytest.mark.parametrize(
    ("error", "status"),
    [(RunBusyError("somebody else works on it"), 409), (RunFailedError(7, StepName.SIGNALS, "no bars"), 500)],
)
def test_a_run_that_cannot_be_says_why(
    account: Account, trader: APIClient, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    make_strategy("momentum")

    def start(**_: Any) -> Run:
        raise error

    monkeypatch.setattr(run_views, "run_strategy", start)
    answer = trader.post(RUNS, {"strategy": "momentum"}, format="json")
    assert answer.status_code == status
    assert answer.json()["detail"] == str(error)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"strategy": "manual"},
        {"strategy": "nobody"},
        {"strategy": "momentum", "trading_date": "2012-06-15"},
        {"strategy": "momentum", "trading_date": "14.6.2012"},
    ],
)
def test_a_run_that_makes_no_sense_is_400(account: Account, trader: APIClient, body: dict[str, str]) -> None:
    make_strategy("momentum")
    assert trader.post(RUNS, body, format="json").status_code == 400
    assert not Run.objects.exists()


def test_runs_filter_and_page(account: Account, trader: APIClient) -> None:
    ids = [make_run(account, day).pk for day in (11, 12, 13, 14)]
    first = trader.get(f"{RUNS}?limit=3").json()
    assert [row["id"] for row in first["results"]] == ids[:0:-1]
    rest = trader.get(f"{RUNS}?limit=3&cursor={first['next_cursor']}").json()
    assert [row["id"] for row in rest["results"]] == ids[:1]
    assert rest["next_cursor"] is None
    for query, count in (("from=2012-06-13", 2), ("to=2012-06-11", 1), ("state=failed", 0), ("strategy=momentum", 4)):
        assert len(trader.get(f"{RUNS}?{query}").json()["results"]) == count, query


def test_strategies_say_which_of_them_can_be_run(account: Account, trader: APIClient) -> None:
    make_strategy("momentum", capital_share=Decimal("0.5"))
    rows = {row["name"]: row for row in trader.get("/api/v1/strategies").json()["results"]}
    assert rows["momentum"]["generates_signals"] is True
    assert rows["manual"]["generates_signals"] is False
    assert trader.get("/api/v1/strategies/momentum").json() == rows["momentum"]
    assert rows["momentum"]["capital_share"] == "0.5"
    assert trader.get("/api/v1/strategies/nobody").status_code == 404
