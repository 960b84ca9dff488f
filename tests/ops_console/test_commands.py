"""Buttons: who may press them, what they do, and that pressing twice does no harm."""

from decimal import Decimal as D

import pytest
from django.test import Client
from django.urls import reverse

from execution.models import Account, Order
from execution.states import OrderStatus
from risk.models import KillSwitchEvent, Limit, ReleaseRequest
from risk.selectors import breaker_status, is_engaged
from risk.states import BreakerState, ReleaseState
from tests.factories import WALL_NOW, make_order
from tests.ops_console.conftest import Visitor, make_person

HTMX = {"HX-Request": "true"}
REASON = "seen on two screens"

# Every address that writes, with the weakest role that may use it.
WRITES = {
    "order-cancel": "trader",
    "orders-cancel-all": "trader",
    "kill-switch-engage": "trader",
    "breaker-trip": "trader",
    "breaker-reset": "risk_officer",
    "limit-set": "risk_officer",
    "kill-switch-release": "risk_officer",
    "kill-switch-approve": "risk_officer",
    "kill-switch-reject": "risk_officer",
}
RANK = ["viewer", "trader", "risk_officer", "admin"]


def address(name: str) -> str:
    return reverse(name, args=[1] if name in ("order-cancel", "kill-switch-approve", "kill-switch-reject") else [])


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("role", RANK)
def test_the_server_refuses_what_the_role_does_not_allow(desk: Account, visitor: Visitor, name: str, role: str) -> None:
    order = make_order(desk)
    response = visitor(role).post(address(name))
    allowed = RANK.index(role) >= RANK.index(WRITES[name])
    assert (response.status_code != 403) == allowed
    if not allowed:
        order.refresh_from_db()
        assert order.status == OrderStatus.PENDING
        assert not is_engaged("global")


@pytest.mark.parametrize("name", WRITES)
def test_nobody_logged_in_writes_nothing(desk: Account, name: str) -> None:
    response = Client().post(address(name))
    assert response.status_code == 302
    assert "/login" in response.headers["Location"]


@pytest.mark.parametrize("name", WRITES)
def test_a_write_needs_the_token_of_the_page(desk: Account, visitor: Visitor, name: str) -> None:
    client = Client(enforce_csrf_checks=True)
    visitor("admin")
    client.force_login(make_person("admin"))
    assert client.post(address(name)).status_code == 403
    assert not is_engaged("global")


@pytest.mark.parametrize("name", WRITES)
def test_a_write_is_a_post(desk: Account, visitor: Visitor, name: str) -> None:
    assert visitor("admin").get(address(name)).status_code == 405


def test_engaging_stops_cancels_and_says_so(desk: Account, visitor: Visitor) -> None:
    order = make_order(desk)
    response = visitor("trader").post(
        address("kill-switch-engage"), {"scope": "global", "reason": REASON}, headers=HTMX
    )
    assert "Trading is stopped." in response.content.decode()
    assert "1 canceled before it was sent." in response.content.decode()
    order.refresh_from_db()
    assert order.status == OrderStatus.CANCELED
    event = KillSwitchEvent.objects.first()
    assert event is not None
    assert (event.operator, event.source, event.reason) == ("trader", "console", REASON)


def test_engaging_twice_is_one_event_and_no_error(desk: Account, visitor: Visitor) -> None:
    client = visitor("trader")
    for _ in range(2):
        client.post(address("kill-switch-engage"), {"scope": "global", "reason": REASON}, headers=HTMX)
    assert KillSwitchEvent.objects.filter(engaged=True).count() == 1


def test_engaging_without_javascript_leads_back_with_a_message(desk: Account, visitor: Visitor) -> None:
    response = visitor("trader").post(address("kill-switch-engage"), {"reason": REASON}, follow=True)
    assert "Trading is stopped." in response.content.decode()


@pytest.mark.parametrize("reason", ["", "too short", "x" * 501])
def test_a_reason_is_needed(desk: Account, visitor: Visitor, reason: str) -> None:
    response = visitor("trader").post(address("kill-switch-engage"), {"reason": reason}, headers=HTMX)
    assert response.status_code == 400
    assert "10 to 500" in response.content.decode()
    assert not is_engaged("global")


def test_the_dialog_counts_what_would_be_cancelled(desk: Account, visitor: Visitor) -> None:
    make_order(desk, quantity=D(10))
    html = visitor("viewer").get(reverse("kill-switch-consequence")).content.decode()
    assert "1 open order worth 1,000.00 will be cancelled." in html
    html = visitor("viewer").get(reverse("kill-switch-consequence"), {"scope": "strategy:momentum"}).content.decode()
    assert "No order is open" in html


def test_release_takes_two_people(desk: Account, visitor: Visitor) -> None:
    first = visitor("risk_officer")
    first.post(address("kill-switch-engage"), {"reason": REASON})
    first.post(address("kill-switch-release"), {"reason": "all is well again", "word": "RELEASE GLOBAL"})
    request = ReleaseRequest.objects.get()
    approve = reverse("kill-switch-approve", args=[request.pk])
    assert first.post(approve, headers=HTMX).status_code == 409
    assert is_engaged("global")
    assert "asks to release" in visitor("admin").get("/").content.decode()
    response = visitor("admin").post(approve, headers=HTMX)
    assert "Released" in response.content.decode()
    assert not is_engaged("global")
    event = KillSwitchEvent.objects.first()
    assert event is not None
    assert (event.operator, event.second_operator) == ("risk_officer", "admin")


@pytest.mark.parametrize("word", ["", "release", "RELEASE STRATEGY:MANUAL"])
def test_release_needs_the_word(desk: Account, visitor: Visitor, word: str) -> None:
    client = visitor("risk_officer")
    client.post(address("kill-switch-engage"), {"reason": REASON})
    response = client.post(address("kill-switch-release"), {"reason": "all is well again", "word": word}, headers=HTMX)
    assert response.status_code == 400
    assert not ReleaseRequest.objects.exists()


def test_a_rejected_request_leaves_the_switch_engaged(desk: Account, visitor: Visitor) -> None:
    client = visitor("risk_officer")
    client.post(address("kill-switch-engage"), {"reason": REASON})
    client.post(address("kill-switch-release"), {"reason": "all is well again", "word": "RELEASE GLOBAL"})
    visitor("admin").post(reverse("kill-switch-reject", args=[ReleaseRequest.objects.get().pk]))
    assert ReleaseRequest.objects.get().state == ReleaseState.REJECTED
    assert is_engaged("global")


def test_releasing_what_is_off_is_refused(desk: Account, visitor: Visitor) -> None:
    data = {"reason": "all is well again", "word": "RELEASE GLOBAL"}
    assert visitor("admin").post(address("kill-switch-release"), data, headers=HTMX).status_code == 409


def test_an_order_is_cancelled_once(desk: Account, visitor: Visitor) -> None:
    order = make_order(desk)
    client = visitor("trader")
    where = reverse("order-cancel", args=[order.pk])
    assert "canceled" in client.post(where, headers=HTMX).content.decode()
    again = client.post(where, headers=HTMX)
    assert again.status_code == 409
    assert "is canceled" in again.content.decode()
    assert Order.objects.get().events.count() == 2


def test_cancel_works_while_trading_is_stopped(desk: Account, visitor: Visitor) -> None:
    order = make_order(desk)
    KillSwitchEvent.objects.create(
        scope="global", engaged=True, operator="ann", reason=REASON, source="console", at=WALL_NOW
    )
    visitor("trader").post(reverse("order-cancel", args=[order.pk]))
    order.refresh_from_db()
    assert order.status == OrderStatus.CANCELED


def test_cancel_all_counts_when_it_happens(desk: Account, visitor: Visitor) -> None:
    for number in range(3):
        make_order(desk, client_order_id=f"order-{number}")
    response = visitor("trader").post(address("orders-cancel-all"), headers=HTMX)
    assert "3 open orders: 3 canceled before they were sent" in response.content.decode()


def test_cancel_all_says_what_it_leaves_to_others_and_takes_it_when_asked(desk: Account, visitor: Visitor) -> None:
    make_order(desk, client_order_id="ours")
    theirs = make_order(desk, client_order_id="theirs", quantity=D(3))
    Order.objects.filter(pk=theirs.pk).update(origin="external")
    page = visitor("trader").get(reverse("orders")).content.decode()
    assert "Cancel all open (1)" in page
    assert "1 of others at the broker stay" in page
    response = visitor("trader").post(address("orders-cancel-all"), headers=HTMX)
    assert "1 orders of others at the broker were left alone" in response.content.decode()
    visitor("trader").post(address("orders-cancel-all") + "?everything=on", headers=HTMX)
    assert set(Order.objects.values_list("status", flat=True)) == {OrderStatus.CANCELED}


def test_the_breaker_is_tripped_and_reset(desk: Account, visitor: Visitor) -> None:
    visitor("trader").post(address("breaker-trip"), {"reason": REASON})
    assert breaker_status(desk.scope, WALL_NOW).state == BreakerState.TRIPPED
    visitor("risk_officer").post(address("breaker-reset"), {"reason": REASON})
    assert breaker_status(desk.scope, WALL_NOW).state == BreakerState.QUIET_PERIOD
    assert visitor("admin").post(address("breaker-reset"), {"reason": REASON}, headers=HTMX).status_code == 409


def test_a_limit_is_set_and_removed(desk: Account, visitor: Visitor) -> None:
    client = visitor("risk_officer")
    data = {"name": "max_position_quantity", "symbol": "aapl", "value": "250.5", "reason": REASON}
    client.post(address("limit-set"), data)
    assert Limit.objects.get(name="max_position_quantity", symbol="AAPL").value == D("250.5")
    client.post(address("limit-set"), data | {"value": ""})
    assert not Limit.objects.filter(symbol="AAPL").exists()


@pytest.mark.parametrize(
    "wrong",
    [{"value": "many"}, {"value": "-1"}, {"value": "NaN"}, {"name": "no_such"}, {"reason": "short"}],
)
def test_a_wrong_limit_changes_nothing(desk: Account, visitor: Visitor, wrong: dict[str, str]) -> None:
    before = Limit.objects.count()
    data = {"name": "max_names", "value": "5", "reason": REASON} | wrong
    response = visitor("risk_officer").post(address("limit-set"), data, headers=HTMX)
    assert response.status_code == 400
    assert Limit.objects.count() == before
