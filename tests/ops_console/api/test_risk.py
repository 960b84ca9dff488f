"""What the watch sees and what the portfolio may lose, over HTTP."""

from datetime import timedelta

import pytest
from rest_framework.test import APIClient

from execution.models import Account
from marketdata.clock import wall_now
from risk.models import Correlation, LimitBreach
from tests.execution.cases import FakeBroker, filled_order
from tests.factories import D, allow, make_instrument, make_quote
from tests.ops_console.api.bodies import ORDERS, order
from trading.services.risk_watch import watch_account, watch_desk

pytestmark = pytest.mark.django_db
STATUS, SUMMARY, VAR = "/api/v1/circuit-breaker/status", "/api/v1/risk/summary", "/api/v1/risk/var"


@pytest.fixture
def holding(account: Account) -> Account:
    allow(max_position_quantity=10**6)
    filled_order(account, FakeBroker(), quantity=D(500))
    return account


def test_before_the_first_look_the_readings_are_of_now(account: Account, trader: APIClient) -> None:
    body = trader.get(STATUS).json()
    assert (body["state"], body["looked_at"], body["would_trip_again"]) == ("open", None, [])
    assert {row["verdict"] for row in body["readings"]} == {"good"}
    assert body["readings"][0]["cause"] == "daily_loss"


def test_what_would_trip_again_is_said_with_its_numbers(holding: Account, trader: APIClient) -> None:
    now = wall_now()
    watch_account(account=holding, wall_now=now)
    make_quote(holding.feed, last="90")
    for second in (1, 2):
        watch_account(account=holding, wall_now=now + timedelta(seconds=second))
    body = trader.get(STATUS).json()
    assert (body["state"], body["cause"], body["operator"]) == ("tripped", "daily_loss", "risk watch")
    assert body["would_trip_again"][0] == "Lost since the last close: 5%, 2% allowed"
    daily = body["readings"][0]
    assert (daily["observed"], daily["limit"], daily["verdict"], daily["used_pct"]) == ("5", "2", "over", "250")
    make_quote(holding.feed, last="100")
    assert trader.get(STATUS).json()["would_trip_again"] == []


def test_the_summary_names_what_is_over_its_limit(holding: Account, trader: APIClient) -> None:
    allow(max_position_quantity=400)
    watch_desk(Account.objects.select_related("feed").get(pk=holding.pk), wall_now())
    body = trader.get(SUMMARY).json()
    assert [row["strategy"] for row in body["over_limits"]] == ["", "manual"]
    first = body["over_limits"][0]
    assert (first["limit_name"], first["symbol"], first["allowed"], first["observed"]) == (
        "max_position_quantity",
        "AAPL",
        "400",
        "500",
    )
    assert first["path"] == "100 shares of AAPL have to go"
    assert len(body["readings"]) == 8
    assert LimitBreach.objects.count() == 2


def test_the_risk_of_a_portfolio_without_history_says_so(holding: Account, trader: APIClient) -> None:
    body = trader.get(VAR).json()
    assert (body["unmeasured"], body["covered_pct"], body["tails"], body["var_pct"]) == (["AAPL"], "0.00", [], None)
    assert [part["name"] for part in body["by_name"]] == ["AAPL"]
    assert body["by_sector"][0]["gross"] == "50000.00"
    assert {one["name"]: one["profit"] for one in body["stress"]}["market_minus_10"] == "-5000.00"


def test_the_risk_of_an_empty_book_is_an_answer(account: Account, trader: APIClient) -> None:
    body = trader.get(VAR).json()
    assert (body["by_name"], body["stress"], body["as_of"]) == ([], [], None)


def test_a_preview_names_the_held_names_that_a_new_one_moved_alike_with(holding: Account, trader: APIClient) -> None:
    make_instrument("MSFT")
    make_quote(holding.feed, "MSFT")
    Correlation.objects.create(symbol="AAPL", other="MSFT", coefficient=D("0.93"), sessions=250, as_of="2012-06-13")
    body = order(symbol="MSFT")
    answer = trader.post(f"{ORDERS}/preview", body, format="json").json()
    assert answer["correlated_with"] == [{"symbol": "AAPL", "coefficient": "0.93"}]
    allow(max_correlation_pct=94)
    assert trader.post(f"{ORDERS}/preview", body, format="json").json()["correlated_with"] == []
    allow(max_correlation_pct=50)
    assert trader.post(f"{ORDERS}/preview", order(), format="json").json()["correlated_with"] == []  # it is held
