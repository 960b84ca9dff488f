"""What is done to the broker behind the stage, and what it lets one see."""

import asyncio

import pytest
import requests

from execution.emulator import surface
from execution.emulator.front import Front
from execution.emulator.server import RunningEmulator
from tests.execution.emulator.clients import PATIENCE, control, limit, market, trade_updates, trading_client


def refused(emulator, name, body, method="POST"):
    answer = requests.request(method, f"{emulator.url}/emulator/{name}", json=body, timeout=PATIENCE)
    assert answer.status_code in (404, 422), answer.text
    return answer.json()["message"]


def test_the_state_tells_time_account_and_who_is_connected(emulator, client):
    client.submit_order(market())
    client.submit_order(limit("90"))
    with trade_updates(emulator):
        state = control(emulator, "GET", "state")
    assert (state["market_at"], state["clock"]) == ("2012-06-14T16:00:00.000000Z", "manual")
    assert state["positions"] == {"AAPL": 10}
    assert state["orders"] == {"filled": 1, "new": 1}
    assert (state["stream_listeners"], state["faults_waiting"]) == (1, 0)


def test_the_log_is_read_from_a_number_on(emulator, client):
    client.submit_order(market(client_order_id="a"))
    whole = control(emulator, "GET", "log")
    assert [entry["sequence"] for entry in whole] == list(range(1, len(whole) + 1))
    assert control(emulator, "GET", f"log?after={len(whole) - 1}") == whole[-1:]
    (fill,) = control(emulator, "GET", "log?kind=fill")
    assert (fill["client_order_id"], fill["quantity"], fill["price"]) == ("a", "10", "100.01")


def test_requests_are_counted_by_method_and_path(emulator, client):
    first = client.submit_order(limit("90"))
    for _ in range(2):
        client.get_order_by_id(first.id)
    counted = {(each["method"], each["path"]): each["count"] for each in control(emulator, "GET", "requests")}
    assert counted == {("POST", "/v2/orders"): 1, ("GET", "/v2/orders/{id}"): 2}


def test_paths_that_are_counted_apart_are_bounded(emulator, monkeypatch):
    monkeypatch.setattr(surface, "MOST_PATHS", 2)
    for name in "abcb":
        requests.get(f"{emulator.url}/{name}", timeout=PATIENCE)
    counted = {(each["method"], each["path"]): each["count"] for each in control(emulator, "GET", "requests")}
    assert counted == {("GET", "/a"): 1, ("GET", "/b"): 2, surface.OTHERS: 1}


def test_pages_of_a_browser_do_not_reach_behind_the_stage(emulator, client):
    client.submit_order(limit("90"))
    headers = {"Origin": "https://example.com", "Content-Type": "text/plain"}
    answer = requests.post(f"{emulator.url}/emulator/reset", headers=headers, timeout=PATIENCE)
    assert answer.status_code == 403
    assert control(emulator, "GET", "state")["orders"] == {"new": 1}


def test_no_environment_lets_others_name_the_address_they_come_from(monkeypatch):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    assert RunningEmulator()._server.config.forwarded_allow_ips == "127.0.0.1"


def test_a_halt_with_a_band_that_is_refused_halts_nothing(emulator, client):
    assert "high" in refused(emulator, "halts", {"symbol": "AAPL", "low": 90, "high": -1})
    assert client.submit_order(market()).status == "filled" or control(emulator, "GET", "state")["positions"]


def test_faults_are_added_listed_and_cleared(emulator):
    plan = [{"kind": "slow", "match": {"path": "/v2/clock"}, "parameters": {"seconds": "0.01"}}, {"kind": "refuse_500"}]
    assert len(control(emulator, "POST", "faults", {"faults": plan})) == 2
    (first, _) = control(emulator, "GET", "faults")
    assert (first["kind"], first["match"], first["times"]) == ("slow", {"path": "/v2/clock"}, 1)
    assert control(emulator, "DELETE", "faults") == []


@pytest.mark.parametrize(
    ("name", "body", "named"),
    [
        ("faults", {"kind": "fast"}, "kind"),
        ("faults", {"faults": 1}, "faults"),
        ("faults", {"faults": [{"kind": "slow"}] * 1_001}, "at most 1000 faults"),
        ("clock", {"at": "2012-06-14T15:00:00Z"}, "at"),
        ("clock", {"advance_seconds": -1}, "seconds"),
        ("clock", {"speed": 2}, "a manual clock"),
        ("clock", {"back": 1}, "back"),
        ("clock", {}, "body"),
        ("prices", {"AAPL": {"bid": 1}}, "AAPL"),
        ("prices", {"AAPL": {"last": 0}}, "last"),
        ("prices", {"AAPL": {"last": 1, "mid": 1}}, "AAPL"),
        ("positions", {"symbol": "AAPL", "quantity": "many", "price": 1}, "quantity"),
        ("positions", {"symbol": "AAPL", "quantity": 1}, "price"),
        ("liquidate", {"symbol": ""}, "symbol"),
        ("liquidate", {"symbol": "IBM"}, "position does not exist"),
        ("splits", {"symbol": "AAPL", "ratio": 0}, "ratio"),
        ("account", {"trading_blocked": "yes"}, "trading_blocked"),
        ("halts", {"symbol": "AAPL", "halted": 1}, "halted"),
        ("bust", {"execution_id": "none"}, "execution not found"),
        ("tape", {"messages": [{"T": "t"}]}, "messages"),
        ("tape", {"messages": [{"T": "y", "S": "AAPL"}]}, "messages"),
        ("orders", {"symbol": "AAPL"}, "side"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name_and_changes_nothing(emulator, name, body, named):
    before = len(emulator.log)
    assert refused(emulator, name, body).startswith(named)
    assert len(emulator.log) == before


def test_prices_let_resting_orders_meet_the_market(emulator, client):
    order = client.submit_order(limit("95"))
    control(emulator, "POST", "prices", {"AAPL": {"last": "94", "bid": "93.99", "ask": "94.01"}})
    control(emulator, "POST", "clock", {"advance_seconds": 1})
    assert client.get_order_by_id(order.id).status == "filled"


def test_the_clock_is_set_and_advanced(emulator, client):
    control(emulator, "POST", "clock", {"at": "2012-06-14T19:59:00Z"})
    assert client.get_clock().is_open is True
    control(emulator, "POST", "clock", {"advance_seconds": 90})
    assert client.get_clock().is_open is False


def test_somebody_elses_order_and_position(emulator, client):
    body = {"symbol": "AAPL", "qty": "3", "side": "buy", "type": "market", "time_in_force": "day"}
    with trade_updates(emulator) as updates:
        other = control(emulator, "POST", "orders", body)
        assert updates.next()["data"]["order"]["id"] == other["id"]
    control(emulator, "POST", "positions", {"symbol": "IBM", "quantity": "-7", "price": "190"})
    held = {position.symbol: position.qty for position in client.get_all_positions()}
    assert held == {"AAPL": "3", "IBM": "-7"}


def test_liquidation_split_and_bust(emulator, client):
    client.submit_order(market())
    control(emulator, "POST", "splits", {"symbol": "AAPL", "ratio": 2})
    assert client.get_open_position("AAPL").qty == "20"
    control(emulator, "POST", "liquidate", {"symbol": "AAPL"})
    assert client.get_all_positions() == []
    client.submit_order(market(quantity=5))
    newest = control(emulator, "GET", "log?kind=fill")[-1]
    control(emulator, "POST", "bust", {"execution_id": newest["execution_id"]})
    assert client.get_all_positions() == []


def test_a_blocked_account_and_a_halted_symbol(emulator, client):
    control(emulator, "POST", "account", {"trading_blocked": True})
    assert client.get_account().trading_blocked is True
    control(emulator, "POST", "account", {"trading_blocked": False})
    control(emulator, "POST", "halts", {"symbol": "AAPL"})
    waiting = client.submit_order(market())
    assert client.get_order_by_id(waiting.id).status != "filled"
    control(emulator, "POST", "halts", {"symbol": "AAPL", "halted": False})
    control(emulator, "POST", "clock", {"advance_seconds": 1})
    assert client.get_order_by_id(waiting.id).status == "filled"


def test_a_reset_begins_anew_and_keeps_who_is_connected(emulator, client):
    with trade_updates(emulator) as updates:
        client.submit_order(market(client_order_id="once"))
        control(emulator, "POST", "faults", {"kind": "refuse_500", "times": None})
        state = control(emulator, "POST", "reset")
        assert (state["positions"], state["orders"], state["faults_waiting"]) == ({}, {}, 0)
        assert client.get_account().cash == "100000.00"
        assert client.submit_order(market(client_order_id="once")).client_order_id == "once"
        told = [updates.next()["data"]["event"] for _ in range(3)]
    assert "fill" in told


def test_the_same_seed_gives_the_same_ids(emulator, client):
    first = client.submit_order(market(client_order_id="once")).id
    control(emulator, "POST", "reset")
    assert trading_client(emulator).submit_order(market(client_order_id="once")).id == first


def test_other_machines_do_not_control(emulator):
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    front = Front(emulator.surface, emulator.surface)
    scope = {"type": "http", "client": ("192.0.2.7", 5), "path": "/emulator/state", "method": "GET"}
    asyncio.run(front._control(scope, receive, send))
    assert sent[0]["status"] == 403
