"""New terms of an order over HTTP."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from execution.models import Account, Order
from execution.services.halt import engage_kill_switch
from ops_console.scopes import Scope
from tests.execution.cases import D, dispatch, recorded
from tests.execution.fake_broker import FakeBroker
from tests.factories import WALL_NOW, allow, make_order
from tests.ops_console.api.bodies import ORDERS, REASON
from tests.ops_console.api.conftest import Client

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker(account: Account) -> FakeBroker:
    """Work one limit order, `one`, for a hundred at 100."""
    broker = FakeBroker()
    make_order(account, client_order_id="one", quantity=D(100), order_type="limit", limit_price=D(100))
    dispatch(account, broker)
    recorded(account, broker)
    return broker


def patch(client: APIClient, name: str = "one", key: str = "", **body: Any) -> Any:
    extra = {"HTTP_IDEMPOTENCY_KEY": key} if key else {}
    return client.patch(f"{ORDERS}/{name}", body, format="json", **extra)


def test_the_answer_is_the_new_order_and_the_broker_is_asked(
    account: Account, trader: APIClient, broker: FakeBroker
) -> None:
    answer = patch(trader, quantity="60", limit_price="99.50")
    assert answer.status_code == 202, answer.content
    body = answer.json()
    assert (body["client_order_id"], body["replaces"], body["status"]) == ("one-R1", "one", "pending")
    assert (body["quantity"], body["total_quantity"], body["limit_price"]) == ("60", "60", "99.5")
    assert trader.get(answer.headers["Location"]).json() == body
    old = trader.get(f"{ORDERS}/one").json()
    assert (old["status"], old["replaced_by"], old["replaces"]) == ("pending_replace", "one-R1", None)


def test_old_and_new_stay_linked_in_the_list(account: Account, trader: APIClient, broker: FakeBroker) -> None:
    patch(trader, quantity="60")
    dispatch(account, broker)
    recorded(account, broker)
    listed = trader.get(ORDERS, {"status": "replaced"}).json()["results"]
    assert [(order["client_order_id"], order["replaced_by"]) for order in listed] == [("one", "one-R1")]
    new = trader.get(f"{ORDERS}/one-R1").json()
    assert (new["replaces"], new["status"], new["replaced_by"]) == ("one", "accepted", None)


def test_an_order_that_was_never_sent_gives_way_at_once(account: Account, trader: APIClient) -> None:
    make_order(account, client_order_id="one")
    answer = patch(trader, quantity="5")
    assert answer.status_code == 201
    assert answer.json()["total_quantity"] is None
    assert trader.get(f"{ORDERS}/one").json()["status"] == "replaced"


def test_the_same_key_again_is_the_same_order(account: Account, trader: APIClient, broker: FakeBroker) -> None:
    answers = [patch(trader, key="key-1", quantity="60") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 200]
    assert patch(trader, key="key-1", quantity="61").json()["code"] == "ORDER_CONFLICT"
    assert Order.objects.count() == 2


def test_a_denied_change_lists_every_rule_and_leaves_the_order(
    account: Account, trader: APIClient, broker: FakeBroker
) -> None:
    allow(max_position_quantity=120)
    answer = patch(trader, quantity="130")
    assert answer.status_code == 409
    assert [denial["code"] for denial in answer.json()["denials"]] == ["POSITION_LIMIT"]
    assert answer.json()["client_order_id"] == "one-R1"
    old = trader.get(f"{ORDERS}/one").json()
    assert (old["status"], old["replaced_by"]) == ("accepted", None)


def test_a_halted_desk_answers_503(account: Account, trader: APIClient, broker: FakeBroker) -> None:
    engage_kill_switch(scope="strategy:manual", operator="ann", reason=REASON, source="console", wall_now=WALL_NOW)
    Order.objects.update(status="accepted")
    answer = patch(trader, quantity="60")
    assert (answer.status_code, answer.json()["code"]) == (503, "KILL_SWITCH")


@pytest.mark.parametrize(
    ("body", "words"),
    [({}, "nothing would change"), ({"quantity": "100"}, "nothing would change"), ({"quantity": "0"}, "new total")],
)
def test_terms_that_make_no_sense_are_a_409_that_says_why(
    account: Account, trader: APIClient, broker: FakeBroker, body: dict[str, str], words: str
) -> None:
    answer = patch(trader, **body)
    assert (answer.status_code, answer.json()["code"]) == (409, "ORDER_NOT_REPLACEABLE")
    assert words in answer.json()["detail"]


def test_an_order_that_is_over_is_a_409(account: Account, trader: APIClient, broker: FakeBroker) -> None:
    broker.fill("one", D(100))
    recorded(account, broker)
    assert "it is over" in patch(trader, quantity="200").json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"quantity": 1.5e300},
        {"quantity": "NaN"},
        {"quantity": True},
        {"limit_price": "1e2"},
        {"time_in_force": "never"},
        {"client_order_id": "with blank"},
        {"client_order_id": "preview"},
        {"side": "sell"},
        {"order_type": "market"},
    ],
)
def test_fields_that_cannot_be_read_are_a_400_and_change_nothing(
    account: Account, trader: APIClient, broker: FakeBroker, body: dict[str, Any]
) -> None:
    answer = patch(trader, **body)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_INPUT")
    assert Order.objects.get().status == "accepted"


def test_an_order_that_is_not_there_is_a_404(account: Account, trader: APIClient) -> None:
    assert patch(trader, "nobody", quantity="1").status_code == 404


def test_reading_is_not_enough_to_change(account: Account, client_of: Client, broker: FakeBroker) -> None:
    assert patch(client_of(Scope.READ), quantity="60").status_code == 403
    assert Order.objects.get().status == "accepted"
