"""Orders that are worked in slices, over HTTP."""

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from execution.models import Account, Order, ParentOrder
from execution.services.halt import engage_kill_switch
from execution.services.slices import work_parents
from marketdata.services.feeds import set_market_time
from ops_console.scopes import Scope
from tests.factories import WALL_NOW, allow, make_quote
from tests.ops_console.api.bodies import ORDERS, REASON, order
from tests.ops_console.api.conftest import Client

pytestmark = pytest.mark.django_db
SLICE = f"{ORDERS}/slice"


def body(**fields: Any) -> dict[str, Any]:
    return order(quantity="100", algo="twap", duration_minutes=60, slices=10) | fields


def placed(client: APIClient, **fields: Any) -> Any:
    answer = client.post(SLICE, body(**fields), format="json")
    assert answer.status_code == 201, answer.content
    return answer.json()


def send_first(account: Account) -> Order:
    parent = ParentOrder.objects.select_related("account__feed").get()
    due = parent.slices.order_by("due_at")[0].due_at
    set_market_time(feed=account.feed, at=due)
    make_quote(account.feed, at=due)
    fresh = Account.objects.select_related("feed").get(pk=account.pk)
    assert work_parents(account=fresh, now=lambda: WALL_NOW) == 1
    return Order.objects.get()


def test_a_new_order_is_201_with_its_plan_and_can_be_fetched_where_it_says(account: Account, trader: APIClient) -> None:
    answer = trader.post(SLICE, body(client_order_id="mine"), format="json")
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["status"], made["left_quantity"], len(made["slices"])) == ("active", "100", 10)
    assert {piece["quantity"] for piece in made["slices"]} == {"10"}
    assert made["curve_source"].startswith("assumed: U shape")
    assert trader.get(answer.headers["Location"]).json() == made


def test_the_same_again_is_200_and_another_body_under_the_same_key_is_422(account: Account, trader: APIClient) -> None:
    first = trader.post(SLICE, body(), format="json", HTTP_IDEMPOTENCY_KEY="k")
    again = trader.post(SLICE, body(), format="json", HTTP_IDEMPOTENCY_KEY="k")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["client_order_id"] == first.json()["client_order_id"]
    other = trader.post(SLICE, body(quantity="200"), format="json", HTTP_IDEMPOTENCY_KEY="k")
    assert (other.status_code, other.json()["code"]) == (422, "ORDER_CONFLICT")
    assert ParentOrder.objects.count() == 1


def test_a_preview_shows_plan_and_denials_and_stores_nothing(account: Account, trader: APIClient) -> None:
    seen = trader.post(f"{SLICE}/preview", body(client_order_id="x"), format="json").json()
    assert (seen["accepted"], len(seen["slices"]), ParentOrder.objects.count()) == (True, 10, 0)
    assert seen["slices"] == placed(trader, client_order_id="x")["slices"]
    allow(max_position_quantity=5)
    seen = trader.post(f"{SLICE}/preview", body(client_order_id="y"), format="json").json()
    assert (seen["accepted"], seen["denials"][0]["code"]) == (False, "POSITION_LIMIT")
    assert trader.post(f"{SLICE}/preview", body(client_order_id="x"), format="json").json()["existing_client_order_id"]


def test_what_the_gate_would_refuse_is_409_and_not_stored(account: Account, trader: APIClient) -> None:
    allow(max_position_quantity=99)
    answer = trader.post(SLICE, body(), format="json")
    assert (answer.status_code, answer.json()["denials"][0]["code"]) == (409, "POSITION_LIMIT")
    assert not ParentOrder.objects.exists()


def test_an_engaged_kill_switch_is_503(account: Account, trader: APIClient) -> None:
    engage_kill_switch(scope="global", operator="ann", reason=REASON, source="test", wall_now=WALL_NOW)
    answer = trader.post(SLICE, body(), format="json")
    assert (answer.status_code, answer.json()["code"]) == (503, "KILL_SWITCH")


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"order_type": "stop"}, "order_type"),
        ({"time_in_force": "gtc"}, "time_in_force"),
        ({"order_type": "limit"}, "limit_price"),
        ({"limit_price": "100"}, "limit_price"),
        ({"order_type": "limit", "limit_price": "-1"}, "limit_price"),
        ({"limit_offset_bps": "1000.01"}, "limit_offset_bps"),
        ({"limit_offset_bps": "-1"}, "limit_offset_bps"),
        ({"algo": "pov"}, "algo"),
        ({"duration_minutes": 391}, "duration_minutes"),
        ({"slices": 121}, "slices"),
        ({"max_participation": "1.1"}, "max_participation"),
        ({"quantity": "10000000"}, "quantity"),
        ({"stop_price": "1"}, "stop_price"),
        ({"symbol": "NOPE"}, "symbol"),
    ],
)
def test_what_makes_no_plan_is_400_by_name(
    account: Account, trader: APIClient, fields: dict[str, Any], name: str
) -> None:
    answer = trader.post(SLICE, body(**fields), format="json")
    assert answer.status_code == 400, answer.content
    assert [error["name"] for error in answer.json()["errors"]] == [name]


def test_limits_and_offsets_are_stored(account: Account, trader: APIClient) -> None:
    made = placed(trader, order_type="limit", limit_price="99.5", limit_offset_bps="12.5", max_participation="0.05")
    assert (made["limit_price"], made["limit_offset_bps"], made["max_participation"]) == ("99.5", "12.5", "0.05")


def test_pause_and_resume(account: Account, trader: APIClient) -> None:
    name = placed(trader)["client_order_id"]
    child = send_first(account)
    paused = trader.post(f"{ORDERS}/{name}/pause", {"reason": REASON}, format="json").json()
    assert (paused["status"], paused["reason"], paused["open_quantity"]) == ("paused", REASON, "0")
    child.refresh_from_db()
    assert child.status == "canceled"
    assert trader.post(f"{ORDERS}/{name}/pause", format="json").status_code == 200
    resumed = trader.post(f"{ORDERS}/{name}/resume", format="json")
    assert (resumed.status_code, resumed.json()["status"]) == (200, "active")
    assert [event["step"] for event in resumed.json()["events"]][:3] == ["created", "sent", "paused"]


def test_what_the_kill_switch_stops_is_not_resumed(account: Account, trader: APIClient) -> None:
    name = placed(trader)["client_order_id"]
    trader.post(f"{ORDERS}/{name}/pause", format="json")
    engage_kill_switch(scope="global", operator="ann", reason=REASON, source="test", wall_now=WALL_NOW)
    answer = trader.post(f"{ORDERS}/{name}/resume", format="json")
    assert (answer.status_code, answer.json()["code"]) == (503, "KILL_SWITCH")
    assert trader.get(f"{ORDERS}/{name}/slices").json()["status"] == "paused"


def test_a_cancel_is_202_while_the_broker_is_asked_and_200_when_nothing_was_open(
    account: Account, trader: APIClient
) -> None:
    name = placed(trader)["client_order_id"]
    child = send_first(account)
    Order.objects.filter(pk=child.pk).update(status="accepted")
    answer = trader.delete(f"{ORDERS}/{name}/slices")
    assert (answer.status_code, answer.json()["status"]) == (202, "canceling")
    assert answer.json()["slices"][0]["order_status"] == "pending_cancel"
    other = placed(trader, quantity="50")["client_order_id"]
    answer = trader.delete(f"{ORDERS}/{other}/slices")
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    again = trader.delete(f"{ORDERS}/{other}/slices")
    assert (again.status_code, again.json()["code"]) == (409, "ORDER_NOT_OPEN")


def test_a_list_is_filtered_and_costs_the_same_for_many(
    account: Account, trader: APIClient, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        placed(trader, client_order_id=f"p{number}")
    trader.delete(f"{ORDERS}/p0/slices")
    with django_assert_max_num_queries(6):
        page = trader.get(f"{SLICE}?status=open&symbol=AAPL&strategy=manual&limit=3").json()
    assert [row["client_order_id"] for row in page["results"]] == ["p4", "p3", "p2"]
    rest = trader.get(f"{SLICE}?status=open&cursor={page['next_cursor']}").json()
    assert [row["client_order_id"] for row in rest["results"]] == ["p1"]
    assert [row["client_order_id"] for row in trader.get(f"{SLICE}?status=canceled").json()["results"]] == ["p0"]


def test_who_may_only_read_neither_places_nor_steers(account: Account, trader: APIClient, client_of: Client) -> None:
    name = placed(trader)["client_order_id"]
    reader = client_of(Scope.READ)
    assert reader.get(f"{ORDERS}/{name}/slices").status_code == 200
    for call in (
        reader.post(SLICE, body(), format="json"),
        reader.post(f"{SLICE}/preview", body(), format="json"),
        reader.post(f"{ORDERS}/{name}/pause", format="json"),
        reader.post(f"{ORDERS}/{name}/resume", format="json"),
        reader.delete(f"{ORDERS}/{name}/slices"),
    ):
        assert (call.status_code, call.json()["code"]) == (403, "SCOPE_MISSING")


def test_unknown_orders_are_404(account: Account, trader: APIClient) -> None:
    assert trader.get(f"{ORDERS}/nope/slices").status_code == 404
    assert trader.post(f"{ORDERS}/nope/pause", format="json").status_code == 404
