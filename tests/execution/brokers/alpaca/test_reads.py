"""Lists of many pages, settings that are not ours, and what the library itself must not do."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from execution.alpaca_wire.text import moment
from execution.brokers.alpaca import AlpacaBroker, configuration_of
from execution.brokers.alpaca.listing import MAX_PAGES, open_orders
from execution.brokers.base import BrokerNotConfigured, BrokerUnavailable
from execution.emulator.server import RunningEmulator
from tests.execution.brokers.alpaca.emulated import broker_at as broker_at_emulator
from tests.execution.brokers.alpaca.emulated import emulator_at
from tests.execution.brokers.alpaca.stub import ACCOUNT, Answer, Stub, broker_at, order
from tests.execution.brokers.contract import AT, make_bracket, make_limit

FIRST = datetime(2012, 6, 14, 13, 0, tzinfo=UTC)


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with emulator_at(FIRST) as running:
        yield running


def server_with(instants: list[datetime]) -> Any:
    """Answer the open list as Alpaca does: later than `after`, `limit` at most."""
    book = [order(f"n{i}", id=f"id-{i}", submitted_at=moment(at)) for i, at in enumerate(instants)]

    def script(method: str, path: str, body: Any) -> Answer:
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        after = query.get("after", "")
        later = [item for item in book if item["submitted_at"] > after]
        return Answer(200, later[: int(query["limit"])])

    return script


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 9, 10, 11, 27])
def test_every_page_of_the_open_list_is_read(broker: AlpacaBroker, stub: Stub, count: int) -> None:
    stub.script = server_with([FIRST + timedelta(seconds=number) for number in range(count)])
    found = open_orders(broker.line, page_size=5)
    assert [each.client_order_id for each in found] == [f"n{number}" for number in range(count)]


@pytest.mark.parametrize("same", [2, 3, 4])
def test_orders_of_one_instant_are_not_lost_between_two_pages(broker: AlpacaBroker, stub: Stub, same: int) -> None:
    stub.script = server_with([FIRST + timedelta(seconds=number // same) for number in range(23)])
    assert len(open_orders(broker.line, page_size=5)) == 23


def test_a_list_that_cannot_be_completed_is_none(broker: AlpacaBroker, stub: Stub) -> None:
    stub.script = server_with([FIRST] * 6)
    with pytest.raises(BrokerUnavailable, match="of one instant"):
        open_orders(broker.line, page_size=5)


def test_a_list_without_end_has_one(broker: AlpacaBroker, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execution.brokers.alpaca.listing.MAX_PAGES", 3)
    assert MAX_PAGES == 100
    stub.script = server_with([FIRST + timedelta(seconds=number) for number in range(50)])
    with pytest.raises(BrokerUnavailable, match="more than 15 open orders"):
        open_orders(broker.line, page_size=5)


def test_a_page_that_fails_makes_the_list_none(broker: AlpacaBroker, stub: Stub) -> None:
    good = server_with([FIRST + timedelta(seconds=number) for number in range(12)])
    stub.script = lambda *request: good(*request) if len(stub.requests) < 2 else Answer(500, {"message": "no"})
    with pytest.raises(BrokerUnavailable, match="HTTP 500"):
        open_orders(broker.line, page_size=5)


def test_the_emulators_pages_are_read_too(emulator: RunningEmulator) -> None:
    with broker_at_emulator(emulator) as broker:
        for number in range(7):
            broker.submit(make_limit(f"n{number}"), at=AT)
            if number % 3 == 2:
                emulator.call(lambda: emulator.surface.clock.advance(Decimal(1)))
        assert [each.client_order_id for each in open_orders(broker.line, page_size=4)] == [f"n{n}" for n in range(7)]
        broker.submit(make_bracket("entry", order_type="limit", limit_price=Decimal(60)), at=AT)
        entry = open_orders(broker.line, page_size=5)[-1]
        assert (entry.client_order_id, len(entry.legs)) == ("entry", 2)


def test_the_second_lock_changes_nothing_else_of_the_configurations(broker: AlpacaBroker, stub: Stub) -> None:
    now = {"suspend_trade": False, "no_shorting": True, "max_margin_multiplier": "1", "something_new": [1, {"a": None}]}
    stub.says(Answer(200, now))
    broker.suspend(True)
    assert stub.sent("PATCH") == [now | {"suspend_trade": True}]
    broker.suspend(False)
    assert len(stub.sent("PATCH")) == 1  # it is so already


@pytest.mark.parametrize("status", [429, 504])
def test_the_library_never_sends_again_by_itself(broker: AlpacaBroker, stub: Stub, status: int) -> None:
    stub.says(Answer(status, {"message": "again?"}))
    with pytest.raises(BrokerUnavailable):
        broker.account()
    assert len(stub.requests) == 1


def test_the_keys_go_as_headers_and_a_netrc_changes_nothing(
    broker: AlpacaBroker, stub: Stub, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    stub.says(Answer(200, ACCOUNT))
    told = broker.account()
    headers = {name.lower(): value for name, value in stub.headers[0].items()}
    assert (headers["apca-api-key-id"], headers["apca-api-secret-key"]) == ("PKSTUB", "stub-secret")
    assert "authorization" not in headers
    assert told.key_fingerprint == hashlib.sha256(b"PKSTUB").hexdigest()
    assert (told.account_id, told.account_number, told.suspended) == ("acc-1", "PA1STUB", False)


@pytest.mark.parametrize(
    "changes", [{"trading_blocked": True}, {"account_blocked": True}, {"status": "ACCOUNT_CLOSED"}, {"status": None}]
)
def test_an_account_that_may_not_trade_says_so(broker: AlpacaBroker, stub: Stub, changes: dict[str, Any]) -> None:
    stub.says(Answer(200, ACCOUNT | changes))
    assert broker.account().trading_blocked


def test_a_secret_is_not_shown(served: tuple[Stub, str]) -> None:
    with broker_at(served[1]) as broker:
        assert "stub-secret" not in repr(broker.line.configuration)


def test_a_short_position_is_negative_whatever_its_sign(broker: AlpacaBroker, stub: Stub) -> None:
    rows = [
        {"symbol": "MSFT", "qty": "5", "side": "short", "avg_entry_price": "30"},
        {"symbol": "AAPL", "qty": "-2", "side": "short", "avg_entry_price": "100"},
        {"symbol": "IBM", "qty": "0", "side": "long", "avg_entry_price": "0"},
    ]
    stub.says(Answer(200, rows))
    assert [(each.symbol, each.quantity) for each in broker.positions()] == [("AAPL", -2), ("MSFT", -5)]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ALPACA_API_KEY_ID": ""}, "must be set"),
        ({"ALPACA_API_SECRET_KEY": ""}, "must be set"),
        ({"ALPACA_API_KEY_ID": "AKLIVE"}, "beginning with PK"),
        ({"ALPACA_BASE_URL": "https://api.alpaca.markets"}, "ALPACA_BASE_URL is wrong"),
    ],
)
def test_keys_that_are_missing_or_of_the_other_mode_make_no_broker(
    settings: Any, variables: dict[str, str], words: str
) -> None:
    given = {"ALPACA_API_KEY_ID": "PKPAPER", "ALPACA_API_SECRET_KEY": "s", "ALPACA_BASE_URL": ""} | variables
    for name, value in given.items():
        setattr(settings, name, value)
    with pytest.raises(BrokerNotConfigured, match=words):
        configuration_of("alpaca_paper")


@pytest.mark.parametrize(
    ("base_url", "expected", "stream"),
    [
        ("", "https://paper-api.alpaca.markets", "wss://paper-api.alpaca.markets/stream"),
        ("https://paper-api.alpaca.markets/v2/", "https://paper-api.alpaca.markets", None),
        ("http://127.0.0.1:8700/", "http://127.0.0.1:8700", "ws://127.0.0.1:8700/stream"),
        ("https://desk.example.org/alpaca/v2", "https://desk.example.org/alpaca", None),
    ],
)
def test_the_address_is_taken_as_people_write_it(
    settings: Any, base_url: str, expected: str, stream: str | None
) -> None:
    settings.ALPACA_API_KEY_ID, settings.ALPACA_API_SECRET_KEY = "PKPAPER", "s"
    settings.ALPACA_BASE_URL, settings.ALPACA_STREAM_URL = base_url, ""
    made = configuration_of("alpaca_paper")
    assert made.base_url == expected
    assert stream is None or made.stream_url == stream
