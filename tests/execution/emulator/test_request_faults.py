"""Requests that go wrong on the way: what the client sees, and what has truly happened."""

from threading import Thread

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.requests import ReplaceOrderRequest

from execution.emulator.faults import FaultKind
from tests.execution.emulator.clients import control, fault, headers, limit, market, trading_client

POST = {"method": "POST", "path": "/v2/orders"}


def submitted(emulator) -> list[str]:
    """Return the client ids of what the venue took, in order."""
    return [entry.data["client_order_id"] for entry in emulator.log.entries(kind="submitted")]


def lost(client, order) -> Exception:
    """Submit an order whose answer is lost, and return what the client saw."""
    with pytest.raises((APIError, requests.RequestException)) as caught:
        client.submit_order(order)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        (FaultKind.ACCEPT_THEN_TIMEOUT, requests.ReadTimeout),
        (FaultKind.ACCEPT_THEN_DROP, requests.ConnectionError),
        (FaultKind.ACCEPT_THEN_500, APIError),
        (FaultKind.ACCEPT_THEN_HTML, requests.JSONDecodeError),
        (FaultKind.ACCEPT_THEN_TORN, requests.exceptions.ChunkedEncodingError),
    ],
)
def test_an_order_whose_answer_is_lost_was_taken_exactly_once(emulator, client, kind, seen):
    emulator.faults.add(fault(kind, match=POST))
    assert isinstance(lost(client, market(client_order_id="once")), seen)
    assert submitted(emulator) == ["once"]
    assert client.get_order_by_client_id("once").client_order_id == "once"


def test_a_504_is_repeated_by_the_client_itself_and_then_refused_as_not_unique(emulator, client):
    emulator.faults.add(fault(FaultKind.ACCEPT_THEN_504, match=POST))
    error = lost(client, market(client_order_id="once"))
    assert (error.status_code, error.message) == (422, "client_order_id must be unique")
    assert submitted(emulator) == ["once"]
    assert emulator.surface.requests["POST", "/v2/orders"] == 2


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (FaultKind.REFUSE_500, 500),
        (FaultKind.REFUSE_503, 503),
        (FaultKind.REFUSE_HTML, 502),
        (FaultKind.UNAUTHORIZED, 401),
        (FaultKind.RATE_LIMITED, 429),
    ],
)
def test_a_refused_request_has_no_effect(emulator, kind, status):
    emulator.faults.add(fault(kind, match=POST))
    body = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
    answer = requests.post(f"{emulator.url}/v2/orders", json=body, headers=headers(emulator), timeout=1)
    assert answer.status_code == status
    assert submitted(emulator) == []
    assert requests.post(f"{emulator.url}/v2/orders", json=body, headers=headers(emulator), timeout=1).ok


def test_a_connection_that_is_cut_before_the_request_has_no_effect(emulator, client):
    emulator.faults.add(fault(FaultKind.REFUSE_DROP, match=POST))
    assert isinstance(lost(client, market()), requests.ConnectionError)
    assert submitted(emulator) == []


def test_a_429_says_when_the_window_ends(emulator):
    emulator.faults.add(fault(FaultKind.RATE_LIMITED, seconds=3))
    answer = requests.get(f"{emulator.url}/v2/account", headers=headers(emulator), timeout=1)
    assert answer.headers["X-RateLimit-Remaining"] == "0"
    assert answer.json() == {"code": 42910000, "message": "rate limit exceeded"}


def test_the_client_waits_and_repeats_after_a_429(emulator, client):
    emulator.faults.add(fault(FaultKind.RATE_LIMITED, match=POST, times=2))
    assert client.submit_order(market(client_order_id="third")).client_order_id == "third"
    assert submitted(emulator) == ["third"]


def test_a_slow_answer_is_a_normal_one(emulator, client):
    emulator.faults.add(fault(FaultKind.SLOW, match=POST, seconds="0.1"))
    assert client.submit_order(market(client_order_id="slow")).client_order_id == "slow"


def test_an_unknown_status_breaks_the_model_and_the_order_is_there(emulator, client):
    emulator.faults.add(fault(FaultKind.UNKNOWN_STATUS, match=POST, status="pondering"))
    with pytest.raises(ValueError, match="pondering"):
        client.submit_order(market(client_order_id="odd"))
    emulator.faults.add(fault(FaultKind.UNKNOWN_STATUS, match={"method": "GET"}))
    raw = trading_client(emulator, raw_data=True)
    assert raw.get_order_by_client_id("odd")["status"] == "unheard_of"
    assert raw.get_order_by_client_id("odd")["status"] != "unheard_of"


def test_a_proxys_page_may_come_with_any_status(emulator, client):
    emulator.faults.add(fault(FaultKind.REFUSE_HTML, status=404))
    error = lost(client, market())
    assert error.status_code == 404
    assert "<html>" in str(error)


def test_a_fault_is_meant_for_one_order_by_its_client_id_and_meets_its_cancel_as_well(emulator, client):
    client.submit_order(limit("90", client_order_id="other-1"))
    order = client.submit_order(limit("90", client_order_id="mine-1"))
    emulator.faults.add(
        fault(FaultKind.ACCEPT_THEN_500, match={"method": "DELETE", "path": "/v2/orders/*", "client_order_id": "mine"})
    )
    client.cancel_order_by_id(client.get_order_by_client_id("other-1").id)
    with pytest.raises(APIError) as caught:
        client.cancel_order_by_id(order.id)
    assert caught.value.status_code == 500
    assert client.get_order_by_client_id("mine-1").status == "canceled"


def test_a_fault_lets_the_first_ones_pass_and_happens_as_often_as_was_said(emulator, client):
    emulator.faults.add(fault(FaultKind.REFUSE_500, match={"path": "/v2/account"}, after=1, times=2))
    seen = []
    for _ in range(4):
        try:
            seen.append(client.get_account().status)
        except APIError as error:
            seen.append(error.status_code)
    assert seen == ["ACTIVE", 500, 500, "ACTIVE"]


def test_faults_are_in_the_log_of_what_truly_happened(emulator, client):
    emulator.faults.add(fault(FaultKind.REFUSE_500, match=POST))
    lost(client, market())
    (entry,) = emulator.log.entries(kind="fault")
    assert (entry.data["fault"], entry.data["where"]) == ("refuse_500", "POST /v2/orders")


def test_a_late_answer_does_not_hold_up_the_end(emulator):
    emulator.faults.add(fault(FaultKind.ACCEPT_THEN_TIMEOUT, match={"path": "/v2/account"}, seconds=600))
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{emulator.url}/v2/account", headers=headers(emulator), timeout=0.1)
    assert control(emulator, "GET", "state")["faults_waiting"] == 0


def test_a_fault_of_a_position_is_meant_for_its_symbol(emulator, client):
    client.submit_order(market())
    emulator.faults.add(fault(FaultKind.ACCEPT_THEN_DROP, match={"method": "DELETE", "symbol": "AAPL"}))
    with pytest.raises(requests.ConnectionError):
        client.close_position("AAPL")
    assert client.get_all_positions() == []


def test_a_body_that_is_too_long_is_refused(emulator):
    answer = requests.post(f"{emulator.url}/v2/orders", data=b" " * 1_000_001, headers=headers(emulator), timeout=5)
    assert answer.status_code == 413


@pytest.mark.parametrize("kind", [FaultKind.ACCEPT_THEN_TORN, FaultKind.ACCEPT_THEN_DROP])
def test_a_cancel_whose_empty_answer_is_lost_was_taken(emulator, client, kind):
    order = client.submit_order(limit("90"))
    emulator.faults.add(fault(kind, match={"method": "DELETE"}))
    with pytest.raises(requests.ConnectionError):
        client.cancel_order_by_id(order.id)
    assert client.get_order_by_id(order.id).status == "canceled"


def test_a_replacement_whose_answer_is_lost_was_taken_once(emulator, client):
    order = client.submit_order(limit("90", client_order_id="old"))
    emulator.faults.add(fault(FaultKind.ACCEPT_THEN_DROP, match={"method": "PATCH", "client_order_id": "new"}))
    with pytest.raises(requests.ConnectionError):
        client.replace_order_by_id(order.id, ReplaceOrderRequest(limit_price="91", client_order_id="new"))
    new = client.get_order_by_client_id("new")
    assert (new.replaces, client.get_order_by_id(order.id).replaced_by) == (order.id, new.id)


def test_a_fault_strikes_each_of_many_clients_once(emulator):
    """Eight threads, four lost answers: every order is there once, whoever's answer was lost."""
    emulator.faults.add(fault(FaultKind.ACCEPT_THEN_DROP, match=POST, times=4))
    outcomes = []

    def submit(name):
        try:
            trading_client(emulator).submit_order(limit("90", quantity=1, client_order_id=name))
            outcomes.append("answered")
        except requests.ConnectionError:
            outcomes.append("lost")

    names = [f"order-{number}" for number in range(8)]
    threads = [Thread(target=submit, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["answered"] * 4 + ["lost"] * 4
    assert sorted(submitted(emulator)) == names
