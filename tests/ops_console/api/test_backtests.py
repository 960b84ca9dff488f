"""Backtests over HTTP: ask, look, cancel; refusals by field, no number with a point, no path."""

from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from execution.models import Account
from marketdata.clock import wall_now
from marketdata.lake import default_lake
from marketdata.services.instruments import ensure_instruments
from ops_console.scopes import Scope
from signals.models import Backtest
from signals.services.backtests import perform_backtest
from tests.ops_console.api.conftest import Client
from tests.signals.backtest.universes import SYMBOLS, raw_bars
from trading.models import Job

pytestmark = pytest.mark.django_db
BACKTESTS = "/api/v1/backtests"
WISH = {"strategy": "mean_reversion", "start": "2011-03-01", "end": "2011-03-31", "draws": 20}
SHORT = {"settings": {"distribution_sessions": 20, "holding_sessions": 20}}


@pytest.fixture
def _lake(account: Account, settings: Any, tmp_path: Path) -> None:
    settings.LAKE_DIR, settings.BACKTEST_DIR = tmp_path / "lake", tmp_path / "backtests"
    ensure_instruments(symbols=SYMBOLS)
    default_lake().write(raw_bars(), "1d", "test")


def ask(client: APIClient, **fields: Any) -> Any:
    return client.post(BACKTESTS, WISH | SHORT | fields, format="json")


def perform(number: int) -> Backtest:
    return perform_backtest(backtest=Backtest.objects.get(pk=number), models=None, clock=wall_now)


@pytest.mark.usefixtures("_lake")
def test_a_wish_is_stored_and_waits_as_a_job(trader: APIClient) -> None:
    answer = ask(trader, half_spread_bps="3.5", impact=0, title="A try")
    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["Location"] == f"{BACKTESTS}/{body['id']}"
    assert (body["state"], body["title"], body["metrics"]) == ("pending", "A try", None)
    assert body["parameters"]["half_spread_bps"] == "3.5"
    assert body["parameters"]["settings"] == {"distribution_sessions": 20, "holding_sessions": 20}
    assert Job.objects.get(pk=body["job_id"]).parameters == {"backtest": body["id"]}


@pytest.mark.usefixtures("_lake")
def test_a_completed_one_tells_figures_and_sessions(trader: APIClient) -> None:
    number = ask(trader).json()["id"]
    assert trader.get(f"{BACKTESTS}/{number}/days").status_code == 409
    perform(number)
    body = trader.get(f"{BACKTESTS}/{number}").json()
    assert body["state"] == "completed"
    assert isinstance(body["metrics"]["sharpe"], str)
    assert body["metrics"]["sessions"] == 23
    days = trader.get(f"{BACKTESTS}/{number}/days").json()["results"]
    assert len(days) == 23
    assert days[-1]["equity"] == body["metrics"]["final_equity"]


@pytest.mark.usefixtures("_lake")
def test_they_are_listed_newest_first_by_kind_state_and_strategy(trader: APIClient) -> None:
    first, second = (ask(trader).json()["id"] for _ in range(2))
    perform(first)
    assert [row["id"] for row in trader.get(BACKTESTS).json()["results"]] == [second, first]
    assert [row["id"] for row in trader.get(f"{BACKTESTS}?state=completed").json()["results"]] == [first]
    assert trader.get(f"{BACKTESTS}?kind=search").json()["results"] == []
    assert trader.get(f"{BACKTESTS}?strategy=momentum").json()["results"] == []
    page = trader.get(f"{BACKTESTS}?limit=1").json()
    assert [row["id"] for row in trader.get(f"{BACKTESTS}?cursor={page['next_cursor']}").json()["results"]] == [first]


@pytest.mark.usefixtures("_lake")
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"strategy": "guess"}, "strategy"),
        ({"end": "2011-02-28"}, "end"),
        ({"symbols": ["ZZZ"]}, "symbols"),
        ({"delay": 0}, "delay"),
        ({"impact": "1e3"}, "impact"),
        ({"impact": "-1"}, "impact"),
        ({"output": "/etc/passwd"}, "output"),
        ({"key": "0" * 32}, "key"),
        ({"space": {"top": {"low": 1, "high": 2}}}, "space"),
        ({"settings": {"top": [1]}}, "settings.top"),
        ({"kind": "search"}, "space"),
        ({"title": "x" * 121}, "title"),
    ],
)
def test_what_is_not_allowed_is_refused_by_field(trader: APIClient, wrong: dict[str, Any], field: str) -> None:
    answer = ask(trader, **wrong)
    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"][0]["name"] == field
    assert not Backtest.objects.exists()


@pytest.mark.usefixtures("_lake")
def test_a_cancel_ends_what_waits_once(trader: APIClient) -> None:
    number = ask(trader).json()["id"]
    body = trader.post(f"{BACKTESTS}/{number}/cancel", {}, format="json").json()
    assert body["state"] == "canceled"
    again = trader.post(f"{BACKTESTS}/{number}/cancel", {}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "ALREADY_IN_STATE")
    assert trader.post(f"{BACKTESTS}/9999/cancel", {}, format="json").status_code == 404


@pytest.mark.usefixtures("_lake")
def test_rows_that_were_deleted_are_not_found(trader: APIClient, settings: Any, tmp_path: Path) -> None:
    number = ask(trader).json()["id"]
    perform(number)
    settings.BACKTEST_DIR = tmp_path / "elsewhere"
    assert trader.get(f"{BACKTESTS}/{number}/days").status_code == 404


@pytest.mark.usefixtures("_lake")
def test_readers_look_and_ask_for_nothing(client_of: Client) -> None:
    reader = client_of(Scope.READ)
    assert reader.get(BACKTESTS).status_code == 200
    assert ask(reader).status_code == 403
