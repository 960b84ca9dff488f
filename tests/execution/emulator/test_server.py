"""The emulator in a thread: it leaves nothing, and says what went wrong inside."""

import threading
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import requests

from execution.emulator.bar_market import SampleMarket
from execution.emulator.clock import VenueClock
from execution.emulator.server import RunningEmulator
from marketdata.clock import wall_now
from tests.execution.emulator.clients import await_true, headers, limit, market, trade_updates, trading_client
from tests.execution.emulator.conftest import emulator_at


def test_it_ends_and_leaves_neither_thread_nor_socket():
    before = {thread.name for thread in threading.enumerate()}
    with emulator_at() as emulator:
        assert requests.get(f"{emulator.url}/v2/clock", headers=headers(emulator), timeout=1).ok
    assert {thread.name for thread in threading.enumerate()} <= before
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{emulator.url}/v2/clock", timeout=1)


def test_it_ends_while_a_client_listens():
    with emulator_at() as emulator, trade_updates(emulator):
        pass


def test_two_run_side_by_side():
    with emulator_at() as first, emulator_at() as second:
        trading_client(first).submit_order(market())
        assert len(trading_client(first).get_all_positions()) == 1
        assert trading_client(second).get_all_positions() == []


def test_a_function_runs_on_the_emulators_thread_and_its_error_comes_back(emulator):
    assert emulator.call(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        emulator.call(lambda: 1 // 0)


def test_what_fails_in_the_venue_ends_the_server_loudly():
    emulator = RunningEmulator(clock=VenueClock.real(wall_now)).start()

    def broken(now):
        raise RuntimeError("the venue is broken")

    emulator.call(lambda: setattr(emulator.venue, "pump", broken))
    with pytest.raises(RuntimeError, match="the venue is broken"):
        emulator._ended.result(5)
    with pytest.raises(RuntimeError, match="the venue is broken"):
        emulator.close()


def test_a_replay_goes_on_by_itself_and_fills():
    start = datetime(2012, 6, 14, 14, 0, tzinfo=UTC)
    clock = VenueClock.replay(start=start, end=None, speed=Decimal(600), wall=wall_now)
    with RunningEmulator(market=SampleMarket(), clock=clock) as emulator, trade_updates(emulator) as updates:
        client = trading_client(emulator)
        client.submit_order(market())
        events = [updates.next()["data"]["event"]]
        while events[-1] not in ("fill", "partial_fill"):
            events.append(updates.next()["data"]["event"])
        told = client.get("/clock")
        await_true(emulator, lambda: emulator.surface.clock.now() > start)
    replay = told["replay"]
    assert (replay["speed"], replay["end_at"], replay["paused_at"]) == ("600", None, None)
    assert datetime.fromisoformat(replay["start_at"]) == start


def test_the_same_requests_are_answered_to_the_byte():
    def conversation() -> list[bytes]:
        with emulator_at() as emulator:
            trading_client(emulator).submit_order(market(client_order_id="a"))
            paths = ("orders?status=all", "positions", "account", "account/activities/FILL", "clock")
            get = [requests.get(f"{emulator.url}/v2/{path}", headers=headers(emulator), timeout=1) for path in paths]
            return [answer.content for answer in get]

    assert conversation() == conversation()


def test_prices_and_time_are_moved_by_the_test(emulator):
    client = trading_client(emulator)
    order = client.submit_order(limit("95"))
    emulator.tick("AAPL", last=Decimal(94))
    emulator.advance(1)
    assert client.get_order_by_id(order.id).status == "filled"
