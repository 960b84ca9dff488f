"""Every failure is problem+json with a stable code."""

import json
from typing import Any

import pytest
from django.db import OperationalError
from pytest_django import Settings
from rest_framework.test import APIClient

from execution.models import Account, Order
from ops_console.api.codes import STATUSES, ProblemCode
from ops_console.api.views import orders as order_views
from ops_console.scopes import Scope
from risk.models import Decision
from tests.ops_console.api.bodies import ORDERS, order
from tests.ops_console.api.conftest import Client

pytestmark = pytest.mark.django_db
MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}


def assert_problem(answer: Any, code: ProblemCode) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.content
    body: dict[str, Any] = answer.json()
    assert set(body) >= MEMBERS
    assert (body["code"], answer.status_code, body["status"]) == (code.value, STATUSES[code], STATUSES[code])
    assert body["title"] == code.label
    assert body["request_id"] == answer.headers["X-Request-ID"]
    return body


@pytest.mark.parametrize(
    "raw",
    [
        "{",
        "[]",
        '"text"',
        "1",
        "null",
        '{"quantity": NaN}',
        '{"quantity": Infinity}',
        '{"quantity": -Infinity}',
        '{"side": "buy", "side": "sell"}',
        "[" * 5_000,
        '{"a":' * 20 + "1" + "}" * 20,
        '{"quantity": ' + "9" * 65 + "}",
        '{"quantity": 0.' + "0" * 65 + "1}",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_not_acceptable_json_is_400(account: Account, trader: APIClient, raw: str | bytes) -> None:
    answer = trader.generic("POST", ORDERS, raw, content_type="application/json")
    assert_problem(answer, ProblemCode.MALFORMED_JSON)
    assert not Decision.objects.exists()


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"quantity": "NaN"}, "quantity"),
        ({"quantity": "Infinity"}, "quantity"),
        ({"quantity": "1e3"}, "quantity"),
        ({"quantity": "1_000"}, "quantity"),
        ({"quantity": " 1"}, "quantity"),
        ({"quantity": "1\n"}, "quantity"),
        ({"quantity": "\u0661\u0662"}, "quantity"),
        ({"quantity": ""}, "quantity"),
        ({"quantity": True}, "quantity"),
        ({"quantity": None}, "quantity"),
        ({"quantity": ["1"]}, "quantity"),
        ({"quantity": "9" * 31}, "quantity"),
        ({"limit_price": {"amount": "1"}}, "limit_price"),
        ({"symbol": "aapl"}, "symbol"),
        ({"symbol": "AAPL\n"}, "symbol"),
        ({"symbol": "AAPL\u0000"}, "symbol"),
        ({"symbol": "A" * 17}, "symbol"),
        ({"symbol": 7}, "symbol"),
        ({"side": "BUY"}, "side"),
        ({"side": "short"}, "side"),
        ({"order_type": "iceberg"}, "order_type"),
        ({"time_in_force": "gtd"}, "time_in_force"),
        ({"reduce_only": "true"}, "reduce_only"),
        ({"extended_hours": 1}, "extended_hours"),
        ({"client_order_id": "a b"}, "client_order_id"),
        ({"client_order_id": "x" * 129}, "client_order_id"),
        ({"client_order_id": "preview"}, "client_order_id"),
        ({"strategy": "\ud800"}, "strategy"),
        ({"qty": "1"}, "qty"),
    ],
)
def test_a_field_that_cannot_be_read_is_named_with_what_is_allowed(
    account: Account, trader: APIClient, fields: dict[str, Any], name: str
) -> None:
    raw = json.dumps(order(**fields))  # escapes what is not ASCII, lone surrogates included
    body = assert_problem(trader.generic("POST", ORDERS, raw, "application/json"), ProblemCode.INVALID_INPUT)
    assert [error["name"] for error in body["errors"]] == [name]
    assert body["errors"][0]["allowed"]
    assert not Order.objects.exists()
    assert not Decision.objects.exists()


def test_all_wrong_fields_are_listed_at_once(account: Account, trader: APIClient) -> None:
    body = assert_problem(trader.post(ORDERS, {"side": "x", "more": 1}, format="json"), ProblemCode.INVALID_INPUT)
    assert {error["name"] for error in body["errors"]} == {"side", "more", "strategy", "symbol", "quantity"}


def test_a_rejected_value_is_shown_short_and_printable(account: Account, trader: APIClient) -> None:
    body = trader.post(ORDERS, order(symbol="\u00e9" * 5_000), format="json").json()
    assert len(body["errors"][0]["value"]) <= 60
    assert body["errors"][0]["value"].isascii()


@pytest.mark.parametrize("key", ["a b", "x" * 129, "\u00e9"])
def test_a_strange_idempotency_key_is_400(account: Account, trader: APIClient, key: str) -> None:
    answer = trader.post(ORDERS, order(), format="json", HTTP_IDEMPOTENCY_KEY=key)
    assert_problem(answer, ProblemCode.INVALID_INPUT)


def test_nobody_is_401_and_the_scheme_is_named(account: Account) -> None:
    answer = APIClient().post(ORDERS, order(), format="json")
    assert_problem(answer, ProblemCode.NOT_AUTHENTICATED)
    assert answer.headers["WWW-Authenticate"] == "Token"


def test_a_scope_that_is_too_weak_is_403_and_says_which_is_needed(account: Account, client_of: Client) -> None:
    body = assert_problem(client_of(Scope.READ).post(ORDERS, order(), format="json"), ProblemCode.SCOPE_MISSING)
    assert (body["needed_scope"], body["held_scope"]) == ("trade", "read")


@pytest.mark.parametrize(
    "address",
    ["/api/", "/api/v1", "/api/v1/nope", "/api/v1/orders/", "/api/v1/nobody", "/api/v1/orders/a%00b", "/api/v1/x%0Ay"],
)
def test_other_addresses_are_404_problems(address: str, trader: APIClient) -> None:
    for method in ("get", "post", "put", "patch", "delete", "options"):
        assert_problem(getattr(trader, method)(address), ProblemCode.NOT_FOUND)


@pytest.mark.parametrize(
    "address", [f"{ORDERS}/nope", f"{ORDERS}/nope/events", f"{ORDERS}/nope/explain", "/api/v1/runs/1"]
)
def test_what_is_not_there_is_404(account: Account, trader: APIClient, address: str) -> None:
    assert_problem(trader.get(address), ProblemCode.NOT_FOUND)


def test_a_number_beyond_the_database_is_404_and_no_failure(account: Account, trader: APIClient) -> None:
    assert_problem(trader.get(f"/api/v1/runs/{10**40}"), ProblemCode.NOT_FOUND)


def test_another_method_is_405_and_says_which_are_allowed(account: Account, trader: APIClient) -> None:
    answer = trader.delete(ORDERS)
    assert_problem(answer, ProblemCode.METHOD_NOT_ALLOWED)
    assert answer.headers["Allow"] == "GET, POST"


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_another_media_type_is_415(account: Account, trader: APIClient, media_type: str) -> None:
    answer = trader.generic("POST", ORDERS, "symbol=AAPL", content_type=media_type)
    assert_problem(answer, ProblemCode.UNSUPPORTED_MEDIA_TYPE)


def test_a_body_that_is_too_large_is_413(account: Account, trader: APIClient) -> None:
    answer = trader.generic("POST", ORDERS, '{"strategy": "' + "x" * 70_000 + '"}', content_type="application/json")
    assert_problem(answer, ProblemCode.CONTENT_TOO_LARGE)


def test_too_many_orders_are_429_with_the_time_to_wait(account: Account, trader: APIClient, settings: Settings) -> None:
    settings.API_RATES = {"orders": 2}
    answers = [trader.post(ORDERS, order(quantity=str(n)), format="json") for n in (1, 2, 3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert_problem(answers[2], ProblemCode.THROTTLED)
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
    assert Order.objects.count() == 2


def test_an_address_that_tries_keys_is_429(account: Account, settings: Settings) -> None:
    settings.API_RATES = {"failed_keys": 3}
    stranger = APIClient()
    stranger.credentials(HTTP_AUTHORIZATION="Token pc_0123456789abcdef_" + "x" * 43)
    codes = [stranger.get("/api/v1/account").status_code for _ in range(5)]
    assert codes == [401, 401, 401, 429, 429]


def test_a_database_that_is_away_is_503_with_retry_after(
    account: Account, trader: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(order_views, "submit_order", away)
    answer = trader.post(ORDERS, order(), format="json")
    assert_problem(answer, ProblemCode.DATABASE_UNAVAILABLE)
    assert int(answer.headers["Retry-After"]) > 0
    assert "server closed" not in answer.content.decode()


def test_what_nobody_foresaw_is_500_without_its_trace(
    account: Account, trader: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(order_views, "submit_order", broken)
    answer = trader.post(ORDERS, order(), format="json")
    assert_problem(answer, ProblemCode.INTERNAL_ERROR)
    assert "secret detail" not in answer.content.decode()


@pytest.mark.django_db
def test_a_desk_that_was_never_set_up_is_503(client_of: Client) -> None:
    client = client_of(Scope.TRADE)
    assert_problem(client.get("/api/v1/account"), ProblemCode.NOT_READY)
    assert_problem(client.post(ORDERS, order(), format="json"), ProblemCode.NOT_READY)


STRANGE_QUERIES = [
    "limit=0",
    "limit=501",
    "limit=x",
    "cursor=%2A",
    "cursor=YWJj",
    "cursor=aWQ6OTk5OTk5OTk5OTk5OTk5OTk5OTk5",
    "status=nope",
    "since=2012-06-14",
    "since=2012-06-14T10:00:00",
    "until=x",
    "symbol=a",
    "symbol=%00",
    "symbol=AAPL&symbol=IBM",
    "page=2",
]


@pytest.mark.parametrize("query", STRANGE_QUERIES)
def test_a_query_that_cannot_be_read_is_400(account: Account, trader: APIClient, query: str) -> None:
    assert_problem(trader.get(f"{ORDERS}?{query}"), ProblemCode.INVALID_INPUT)


def test_a_sane_request_id_is_kept_and_another_one_replaced(account: Account, trader: APIClient) -> None:
    assert trader.get(ORDERS, HTTP_X_REQUEST_ID="build-4711.a").headers["X-Request-ID"] == "build-4711.a"
    for given in ("short", "x" * 65, "with blank here", "line\nfeed-feed"):
        made = trader.get(ORDERS, HTTP_X_REQUEST_ID=given).headers["X-Request-ID"]
        assert made != given
        assert len(made) == 32


def test_answers_are_never_cached_framed_or_sniffed(account: Account, trader: APIClient) -> None:
    for answer in (trader.get(ORDERS), trader.get("/api/v1/nope")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
