"""What holds for every address: who is let in, how failures look, what it costs."""

import json
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.test import Client
from rest_framework.test import APIClient

from execution.models import Account, Order
from marketdata.clock import wall_now
from ops_console.alpaca_api.urls import urlpatterns
from ops_console.api.desk import forget_account
from ops_console.api.throttling import limiter
from ops_console.scopes import Scope
from ops_console.services.tokens import create_token
from tests.execution.cases import D, accepted_order, filled_order
from tests.execution.fake_broker import FakeBroker
from tests.factories import allow_bursts, make_account, make_strategy
from tests.ops_console.api.conftest import make_user
from tests.ops_console.commands.terminal import run

pytestmark = pytest.mark.django_db
ORDERS = "/alpaca/v2/orders"


@pytest.fixture
def account() -> Account:
    limiter.forget()
    forget_account()
    made = make_account(name="paper")
    allow_bursts()
    return made


def client_of(scope: Scope = Scope.TRADE) -> APIClient:
    user = make_user(f"{scope.value}-user", scope)
    issued = create_token(user=user, name="test", scope=scope, now=wall_now(), lifetime=timedelta(days=1))
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issued.key}")
    return client


def addresses() -> list[str]:
    fixed = [str(each.pattern) for each in urlpatterns if str(each.pattern).startswith("v2")]
    fill = {"<str:order_id>": "x", "<str:symbol>": "AAPL", "<str:kind>": "FILL", "<path:rest>": "x"}
    found = []
    for address in fixed:
        for name, value in fill.items():
            address = address.replace(name, value)
        found.append(f"/alpaca/{address}")
    return found


@pytest.mark.parametrize("address", addresses())
def test_nobody_is_let_in_without_a_key(account: Account, address: str):
    answer = Client().get(address)
    assert answer.status_code in (401, 405)
    assert set(answer.json()) == {"code", "message"}
    assert answer.headers["X-Request-ID"]


@pytest.mark.parametrize("address", addresses())
@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "head", "options"])
def test_no_method_of_an_address_is_a_failure_of_ours(account: Account, address: str, method: str):
    answer = getattr(client_of(Scope.READ), method)(address)
    assert answer.status_code < 500
    if answer.status_code >= 400 and method != "head":
        assert {"code", "message"} <= set(answer.json())


@pytest.mark.parametrize("header", ["Basic !!!", "Basic bm8tY29sb24=", "Bearer x", "Bearer ", "Token x"])
def test_unreadable_credential_is_refused(account: Account, header: str):
    answer = Client().get(ORDERS, HTTP_AUTHORIZATION=header)
    assert (answer.status_code, answer.json()["code"]) == (401, 40110000)


@pytest.mark.parametrize("body", ["[]", "{", "\x00", '{"qty": NaN}', "[" * 10_000, "x" * 70_000])
def test_body_that_is_no_object_is_refused(account: Account, body: str):
    answer = client_of().post(ORDERS, body, content_type="application/json")
    assert answer.status_code in (400, 413)
    assert answer.json()["code"] == 40010001


@pytest.mark.parametrize(
    "fields",
    [
        {"qty": True},
        {"qty": "1e999999999"},
        {"qty": 0},
        {"qty": "NaN"},
        {"side": 1},
        {"symbol": None},
        {"type": "trailing_stop"},
        {"client_order_id": "a\x00b"},
        {"client_order_id": "x" * 129},
        {"position_intent": "maybe"},
        {"order_class": "mleg"},
        {"take_profit": 3},
    ],
)
def test_field_that_makes_no_sense_is_refused_by_name(account: Account, fields):
    body = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"} | fields
    answer = client_of().post(ORDERS, body, format="json")
    assert answer.status_code == 422
    assert next(iter(fields)) in answer.json()["message"]


def test_too_many_requests_say_when_to_come_back(account: Account, settings):
    settings.API_RATES = {"orders": 1}
    client = client_of()
    body = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
    assert client.post(ORDERS, body, format="json").status_code == 200
    answer = client.post(ORDERS, body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (429, 42910000)
    assert int(answer.headers["Retry-After"]) > 0


def test_database_that_is_away_is_503(account: Account, monkeypatch: pytest.MonkeyPatch):
    def away(*_):
        raise OperationalError("connection refused")

    monkeypatch.setattr("ops_console.alpaca_api.views.market.desk", away)
    answer = client_of().get("/alpaca/v2/clock")
    assert (answer.status_code, answer.json()["code"]) == (503, 50310000)


def test_prices_leave_as_numbers_and_money_as_text(account: Account):
    answer = client_of().get("/alpaca/v2/stocks/quotes/latest?symbols=AAPL")
    assert b'"ap":100.01' in answer.content.replace(b"100.01000000", b"100.01")
    assert isinstance(client_of().get("/alpaca/v2/account").json()["cash"], str)


@pytest.mark.parametrize(
    ("address", "budget"),
    [
        (f"{ORDERS}?status=all&limit=500", 4),
        (f"{ORDERS}?status=all&limit=500&nested=true", 5),
        ("/alpaca/v2/positions", 7),
        ("/alpaca/v2/account", 12),  # deposits move the base of the day's loss
        ("/alpaca/v2/account/activities", 6),
    ],
)
def test_lists_cost_the_same_however_long(account: Account, django_assert_max_num_queries, address: str, budget: int):
    broker = FakeBroker()
    client = client_of(Scope.READ)
    client.get(address)
    for number in range(6):
        (filled_order if number % 2 else accepted_order)(account, broker, quantity=D(10 + number))
    with django_assert_max_num_queries(budget + 1):  # and the key's own
        answer = client.get(address)
    assert answer.status_code == 200


def test_api_process_answers_as_well(account: Account, settings):
    settings.ROOT_URLCONF = "trading.api_urls"
    assert client_of(Scope.READ).get("/alpaca/v2/clock").json()["is_open"] is True


def test_command_makes_a_token_for_a_strategy(account: Account):
    make_user("robot", Scope.TRADE)
    make_strategy("momentum")
    made = run("create_api_token", "robot", "--scope", "trade", "--strategy", "momentum")
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {made.out.strip()}")
    body = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
    assert client.post(ORDERS, body, format="json").status_code == 200
    assert account.orders.get().strategy.name == "momentum"


def test_command_names_the_strategies_there_are(account: Account):
    make_user("robot", Scope.TRADE)
    refused = run("create_api_token", "robot", "--scope", "trade", "--strategy", "nosuch")
    assert refused.code != 0
    assert "--strategy: there is no strategy 'nosuch'; allowed: manual" in refused.err


STRANGE = ["%00", "A%00B", "%ED%A0%80", "..%2F..%2Fetc", "A" * 5_000]
READS = [
    "orders:by_client_order_id?client_order_id={}",
    "orders?symbols={}",
    "orders/{}",
    "positions/{}",
    "assets/{}",
    "assets?exchange={}",
    "account/activities?page_token={}",
    "account/activities/{}",
    "account/portfolio/history?period={}",
    "stocks/bars?symbols={}&timeframe=1Day&start=2012-01-01",
    "stocks/bars?symbols={}&timeframe=1Min&start=2012-01-01",
    "stocks/bars?symbols=AAPL&timeframe=1Day&start=2012-01-01&page_token={}",
    "stocks/bars/latest?symbols={}",
    "stocks/quotes/latest?symbols={}",
    "stocks/snapshots?symbols={}",
    "calendar?start={}",
    "calendar?start=2013-01-01&end=2012-01-01&x={}",
]


@pytest.mark.parametrize("text", STRANGE)
@pytest.mark.parametrize("address", READS)
def test_strange_text_in_an_address_is_no_failure_of_ours(account: Account, address: str, text: str):
    answer = client_of(Scope.READ).get(f"/alpaca/v2/{address.format(text)}")
    assert answer.status_code < 500, answer.content


@pytest.mark.parametrize("text", STRANGE)
@pytest.mark.parametrize(
    "address", ["positions/{}", "positions/AAPL?qty={}", "orders/{}", "positions?cancel_orders={}"]
)
def test_strange_text_in_a_deletion_is_no_failure_of_ours(account: Account, address: str, text: str):
    assert client_of().delete(f"/alpaca/v2/{address.format(text)}").status_code < 500


@pytest.mark.parametrize("name", ["symbol", "side", "qty", "order_class", "client_order_id", "take_profit"])
@pytest.mark.parametrize("value", ["AAPL\0", "\ud800", [[]], {"limit_price": []}, 10**39])
def test_strange_field_of_an_order_is_no_failure_of_ours(account: Account, name: str, value):
    body = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"} | {name: value}
    answer = client_of().post("/alpaca/v2/orders", json.dumps(body), content_type="application/json")
    assert answer.status_code < 500, answer.content
    assert answer.status_code == 200 or not Order.objects.exclude(status="denied").exists()
