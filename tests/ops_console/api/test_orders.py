"""Placing, listing, explaining and canceling orders over HTTP."""

from decimal import Decimal

import pytest
from django.utils.dateparse import parse_datetime
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from execution.models import Account, Order
from execution.services.halt import engage_kill_switch
from ops_console.scopes import Scope
from risk.models import Decision
from tests.factories import WALL_NOW, allow, make_order
from tests.ops_console.api.bodies import ORDERS, REASON, order
from tests.ops_console.api.conftest import Client

pytestmark = pytest.mark.django_db


def test_a_new_order_is_201_and_can_be_fetched_where_it_says(account: Account, trader: APIClient) -> None:
    placed = trader.post(ORDERS, order(order_type="limit", limit_price="100.50"), format="json")
    assert placed.status_code == 201, placed.content
    body = placed.json()
    assert body["status"] == "pending"
    assert trader.get(placed.headers["Location"]).json() == body


def test_money_and_quantities_leave_as_plain_decimal_strings(account: Account, trader: APIClient) -> None:
    body = trader.post(
        ORDERS, order(quantity="10.000", order_type="limit", limit_price="100.5000"), format="json"
    ).json()
    assert (body["quantity"], body["limit_price"], body["filled_quantity"]) == ("10", "100.5", "0")
    assert body["stop_price"] is None


def test_every_time_leaves_as_utc_with_its_offset(account: Account, trader: APIClient) -> None:
    body = trader.post(ORDERS, order(), format="json").json()
    for name in ("market_at", "created_at"):
        assert body[name].endswith("+00:00")
        assert parse_datetime(body[name]) is not None
    assert body["market_at"] == "2012-06-14T15:00:00+00:00"


def test_numbers_in_json_are_taken_digit_by_digit(account: Account, trader: APIClient) -> None:
    raw = '{"strategy":"manual","symbol":"AAPL","side":"buy","quantity":10,"order_type":"limit","limit_price":100.10}'
    body = trader.post(ORDERS, raw, content_type="application/json").json()
    assert body["limit_price"] == "100.1"
    assert Order.objects.get().limit_price == Decimal("100.1")


def test_the_same_order_again_is_200_with_the_same_order(account: Account, trader: APIClient) -> None:
    first = trader.post(ORDERS, order(), format="json")
    second = trader.post(ORDERS, order(), format="json")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["client_order_id"] == second.json()["client_order_id"]
    assert Order.objects.count() == 1


def test_the_same_key_twice_makes_one_row_and_another_key_a_second(account: Account, trader: APIClient) -> None:
    one = trader.post(ORDERS, order(), format="json", HTTP_IDEMPOTENCY_KEY="key-1")
    same = trader.post(ORDERS, order(), format="json", HTTP_IDEMPOTENCY_KEY="key-1")
    other = trader.post(ORDERS, order(), format="json", HTTP_IDEMPOTENCY_KEY="key-2")
    assert [answer.status_code for answer in (one, same, other)] == [201, 200, 201]
    assert Order.objects.count() == 2


@pytest.mark.parametrize(
    "change",
    [{"quantity": "11"}, {"side": "sell"}, {"order_type": "limit", "limit_price": "99"}, {"time_in_force": "gtc"}],
)
def test_a_key_with_another_body_is_422_and_changes_nothing(
    account: Account, trader: APIClient, change: dict[str, str]
) -> None:
    trader.post(ORDERS, order(), format="json", HTTP_IDEMPOTENCY_KEY="key-1")
    before = list(Order.objects.values()), Decision.objects.count()
    answer = trader.post(ORDERS, order(**change), format="json", HTTP_IDEMPOTENCY_KEY="key-1")
    assert answer.status_code == 422
    assert answer.json()["code"] == "ORDER_CONFLICT"
    assert (list(Order.objects.values()), Decision.objects.count()) == before


def test_a_client_order_id_with_another_body_is_422(account: Account, trader: APIClient) -> None:
    trader.post(ORDERS, order(client_order_id="mine-1"), format="json")
    answer = trader.post(ORDERS, order(client_order_id="mine-1", quantity="11"), format="json")
    assert answer.status_code == 422


def test_a_denial_is_409_with_every_rule_its_limit_and_value(account: Account, trader: APIClient) -> None:
    allow(max_order_quantity=5, max_position_quantity=8)
    answer = trader.post(ORDERS, order(), format="json")
    assert answer.status_code == 409
    body = answer.json()
    assert body["code"] == "RISK_DENIED"
    denials = {denial["code"]: denial for denial in body["denials"]}
    assert {"FAT_FINGER_QUANTITY", "POSITION_LIMIT"} <= set(denials)
    assert denials["FAT_FINGER_QUANTITY"]["limit"] == "5"
    assert denials["FAT_FINGER_QUANTITY"]["observed"] == "10"
    assert Decision.objects.filter(pk=body["decision_id"], outcome="denied").exists()
    assert Order.objects.get().status == "denied"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"symbol": "NOPE"}, "UNKNOWN_INSTRUMENT"),
        ({"quantity": "-1"}, "INVALID_QUANTITY"),
        ({"quantity": "-0"}, "INVALID_QUANTITY"),
        ({"quantity": "0.000000001"}, "INVALID_QUANTITY"),
        ({"quantity": "1000000000000"}, "INVALID_QUANTITY"),
        ({"order_type": "limit"}, "INVALID_COMBINATION"),
        ({"order_type": "limit", "limit_price": "0"}, "INVALID_PRICE"),
        ({"strategy": "nobody"}, "STRATEGY_DISABLED"),
    ],
)
def test_nonsense_is_denied_by_name_and_stores_no_order(
    account: Account, trader: APIClient, fields: dict[str, str], code: str
) -> None:
    answer = trader.post(ORDERS, order(**fields), format="json")
    assert answer.status_code == 409, answer.content
    assert code in [denial["code"] for denial in answer.json()["denials"]]
    assert not Order.objects.exclude(status="denied").exists()


def test_an_engaged_kill_switch_is_503_and_nothing_is_sent(account: Account, trader: APIClient) -> None:
    engage_kill_switch(scope="global", operator="ann", reason=REASON, source="api", wall_now=WALL_NOW)
    answer = trader.post(ORDERS, order(), format="json")
    assert answer.status_code == 503
    assert answer.json()["code"] == "KILL_SWITCH"
    assert answer.json()["denials"][0]["code"] == "KILL_SWITCH"
    assert not Order.objects.exclude(status="denied").exists()


def test_a_denied_order_sent_again_with_its_key_is_denied_again(account: Account, trader: APIClient) -> None:
    allow(max_order_quantity=5)
    first = trader.post(ORDERS, order(), format="json", HTTP_IDEMPOTENCY_KEY="key-1").json()
    second = trader.post(ORDERS, order(), format="json", HTTP_IDEMPOTENCY_KEY="key-1").json()
    assert first["decision_id"] == second["decision_id"]
    assert first["denials"] == second["denials"]


def test_an_order_costs_one_query_for_the_caller_and_three_for_the_gate(
    account: Account, trader: APIClient, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    trader.post(ORDERS, order(), format="json")  # notes the use of the token and remembers the account
    with django_assert_max_num_queries(6):  # caller, savepoint, lock, read, write, release
        answer = trader.post(ORDERS, order(quantity="11"), format="json")
    assert answer.status_code == 201


def test_preview_stores_nothing_and_says_what_the_gate_would_say(account: Account, trader: APIClient) -> None:
    allow(max_order_quantity=5)
    body = trader.post(f"{ORDERS}/preview", order(), format="json").json()
    assert body["accepted"] is False
    assert body["denials"][0]["code"] == "FAT_FINGER_QUANTITY"
    assert (body["last_price"], body["position_before"], body["position_after"]) == ("100", "0", "10")
    assert not Order.objects.exists()
    assert not Decision.objects.exists()


def test_preview_of_an_order_that_exists_names_it(account: Account, trader: APIClient) -> None:
    existing = trader.post(ORDERS, order(), format="json").json()["client_order_id"]
    assert trader.post(f"{ORDERS}/preview", order(), format="json").json()["existing_client_order_id"] == existing


def test_lists_filter_by_status_symbol_strategy_and_market_time(account: Account, trader: APIClient) -> None:
    made = make_order(account)
    for query, count in (
        ("status=open", 1),
        ("status=closed", 0),
        ("status=pending", 1),
        ("symbol=AAPL", 1),
        ("symbol=IBM", 0),
        ("strategy=manual", 1),
        ("strategy=momentum", 0),
        ("since=2012-06-14T15:00:00Z", 1),
        ("since=2012-06-14T11:00:01-04:00", 0),
        ("until=2012-06-14T15:00:00Z", 0),
    ):
        results = trader.get(f"{ORDERS}?{query}").json()["results"]
        assert [row["client_order_id"] for row in results] == [made.client_order_id] * count, query


def test_pages_stay_put_while_orders_come_in(account: Account, trader: APIClient) -> None:
    first_ids = [make_order(account, quantity=Decimal(n)).client_order_id for n in range(1, 8)]
    seen: list[str] = []
    cursor = ""
    for _ in range(10):
        page = trader.get(f"{ORDERS}?limit=3{cursor}").json()
        seen += [row["client_order_id"] for row in page["results"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
        make_order(account, quantity=Decimal(100 + len(seen)))
    assert seen == first_ids[::-1]


def test_a_list_costs_the_same_queries_whatever_its_length(
    account: Account, trader: APIClient, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(1, 21):
        make_order(account, quantity=Decimal(number))
    trader.get(ORDERS)
    with django_assert_max_num_queries(3):  # caller, account, page
        assert len(trader.get(ORDERS).json()["results"]) == 20


def test_an_order_that_was_never_sent_is_canceled_at_once(account: Account, trader: APIClient) -> None:
    made = make_order(account)
    answer = trader.post(f"{ORDERS}/{made.client_order_id}/cancel", {}, format="json")
    assert answer.status_code == 200
    assert answer.json()["status"] == "canceled"
    again = trader.post(f"{ORDERS}/{made.client_order_id}/cancel", {}, format="json")
    assert again.status_code == 409
    assert again.json()["code"] == "ORDER_NOT_OPEN"


def test_a_cancel_passes_while_the_kill_switch_is_engaged(account: Account, trader: APIClient) -> None:
    make_order(account)
    engage_kill_switch(scope="strategy:manual", operator="ann", reason=REASON, source="api", wall_now=WALL_NOW)
    body = trader.post(f"{ORDERS}/cancel-all", {}, format="json").json()
    assert body == {"canceled": 0, "cancel_requested": 0, "left_to_others": 0, "client_order_ids": []}


def test_cancel_all_cancels_what_matches_and_nothing_else(account: Account, trader: APIClient) -> None:
    made = make_order(account)
    assert trader.post(f"{ORDERS}/cancel-all", {"symbol": "IBM"}, format="json").json()["canceled"] == 0
    body = trader.post(f"{ORDERS}/cancel-all", {"strategy": "manual"}, format="json").json()
    told = {"canceled": 1, "cancel_requested": 0, "left_to_others": 0, "client_order_ids": [made.client_order_id]}
    assert body == told


def test_cancel_all_leaves_the_orders_of_others_unless_everything_is_to_go(account: Account, trader: APIClient) -> None:
    made = make_order(account)
    Order.objects.filter(pk=make_order(account, quantity=Decimal(3)).pk).update(origin="external")
    body = trader.post(f"{ORDERS}/cancel-all", {}, format="json").json()
    assert (body["client_order_ids"], body["left_to_others"]) == ([made.client_order_id], 1)
    body = trader.post(f"{ORDERS}/cancel-all", {"everything": True}, format="json").json()
    assert (body["canceled"], body["left_to_others"]) == (1, 0)


def test_events_and_explanation_tell_the_whole_story(account: Account, trader: APIClient) -> None:
    made = make_order(account)
    trader.post(f"{ORDERS}/{made.client_order_id}/cancel", {"reason": REASON}, format="json")
    events = trader.get(f"{ORDERS}/{made.client_order_id}/events").json()["results"]
    assert [(event["from_status"], event["to_status"]) for event in events] == [
        ("pending", "canceled"),
        (None, "pending"),
    ]
    assert events[0]["actor"] == "trade-user"
    story = trader.get(f"{ORDERS}/{made.client_order_id}/explain").json()
    assert story["decision"]["outcome"] == "accepted"
    assert story["decision"]["case"]["price"]["last"] == "100"
    assert [event["sequence"] for event in story["events"]] == [1, 2]


def test_an_order_remembers_who_wanted_it(account: Account, client_of: Client) -> None:
    client_of(Scope.TRADE, name="ann").post(ORDERS, order(), format="json")
    made = Order.objects.get()
    assert (made.origin, made.source_ref) == ("api", "ann")
