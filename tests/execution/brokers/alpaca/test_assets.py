"""What the broker trades and lends: one by one or as one list, and never half of an answer."""

from collections.abc import Iterator
from typing import Any

import pytest

from execution.brokers.alpaca import AlpacaBroker
from execution.brokers.alpaca.assets import MOST_ONE_BY_ONE, NOT_LISTED
from execution.brokers.base import BrokerUnavailable
from execution.emulator.market import Listing
from execution.emulator.server import RunningEmulator
from tests.execution.brokers.alpaca.emulated import broker_at as broker_at_emulator
from tests.execution.brokers.alpaca.emulated import emulator_at
from tests.execution.brokers.alpaca.stub import Answer, Stub
from tests.execution.brokers.contract import AT

MANY = [f"N{number}" for number in range(MOST_ONE_BY_ONE + 1)]


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with emulator_at(AT) as running:
        yield running


@pytest.fixture
def at_emulator(emulator: RunningEmulator) -> Iterator[AlpacaBroker]:
    with broker_at_emulator(emulator) as broker:
        yield broker


def listed(emulator: RunningEmulator, symbol: str = "IBM", **fields: Any) -> None:
    steered = emulator.venue.state.market.steered
    emulator.call(lambda: steered.add_listing(Listing(symbol=symbol, **fields)))


def asset(symbol: str = "IBM", **fields: Any) -> dict[str, Any]:
    flags = dict.fromkeys(("tradable", "shortable", "easy_to_borrow", "fractionable"), True)
    return {"symbol": symbol, "status": "active"} | flags | fields


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (True, True, True)),
        ({"tradable": False}, (False, True, True)),
        ({"active": False}, (False, True, True)),
        ({"shortable": False}, (True, False, True)),
        ({"fractionable": False}, (True, True, False)),
    ],
)
def test_the_flags_of_a_listing_are_read(
    at_emulator: AlpacaBroker, emulator: RunningEmulator, fields: dict[str, bool], expected: tuple[bool, bool, bool]
) -> None:
    listed(emulator, **fields)
    told = at_emulator.asset("IBM")
    assert (told.tradable, told.shortable, told.fractionable) == expected


def test_a_name_that_the_broker_does_not_know_is_not_traded(at_emulator: AlpacaBroker) -> None:
    told = at_emulator.asset("GONE/1")
    assert (told.status, told.tradable, told.shortable) == (NOT_LISTED, False, False)


def test_many_names_are_one_request_and_the_inactive_are_missing_in_it(
    at_emulator: AlpacaBroker, emulator: RunningEmulator
) -> None:
    for symbol in MANY[1:]:
        listed(emulator, symbol, active=symbol != "N5")
    told = at_emulator.assets(MANY)
    assert [each.symbol for each in told] == MANY
    assert [each.symbol for each in told if not each.tradable] == ["N0", "N5"]
    assert emulator.surface.requests["GET", "/v2/assets"] == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, asset("AAPL")),
        Answer(200, asset(tradable=None)),
        Answer(200, asset(easy_to_borrow="true")),
        Answer(200, asset(status=None)),
        Answer(200, []),
        Answer(200, None),
        Answer(404, "<html>not found</html>"),
        Answer(404, {"code": 40410001, "message": "endpoint not found"}),
        Answer(500, {"code": 50010000, "message": "internal server error"}),
        Answer(429, {"message": "too many requests"}),
    ],
)
def test_an_answer_that_says_nothing_of_the_asset_is_none(broker: AlpacaBroker, stub: Stub, answer: Answer) -> None:
    stub.says(answer)
    with pytest.raises(BrokerUnavailable):
        broker.asset("IBM")


def test_one_answer_that_fails_makes_all_of_them_none(broker: AlpacaBroker, stub: Stub) -> None:
    stub.says(Answer(200, asset("IBM")), Answer(500, {"code": 1, "message": "oops"}))
    with pytest.raises(BrokerUnavailable):
        broker.assets(["IBM", "AAPL"])


@pytest.mark.parametrize("body", [[], {}, [asset(symbol) for symbol in MANY[:20]], [asset("N1", tradable=1)]])
def test_a_list_without_most_of_our_names_is_none(broker: AlpacaBroker, stub: Stub, body: Any) -> None:
    stub.says(Answer(200, body))
    with pytest.raises(BrokerUnavailable):
        broker.assets(MANY)


def test_hard_to_borrow_is_not_shortable(broker: AlpacaBroker, stub: Stub) -> None:
    stub.says(Answer(200, asset(easy_to_borrow=False)))
    assert not broker.asset("IBM").shortable


def test_an_account_says_why_it_may_not_sell_short(at_emulator: AlpacaBroker, emulator: RunningEmulator) -> None:
    assert at_emulator.why_no_short_sales() == ""
    emulator.call(lambda: emulator.venue.block(shorting_enabled=False))
    assert "not enabled" in at_emulator.why_no_short_sales()
    emulator.call(lambda: setattr(emulator.venue.state.flags, "no_shorting", True))
    assert "no_shorting" in at_emulator.why_no_short_sales()


def test_configurations_without_the_setting_are_no_answer(broker: AlpacaBroker, stub: Stub) -> None:
    stub.says(Answer(200, {"suspend_trade": False}))
    with pytest.raises(BrokerUnavailable):
        broker.why_no_short_sales()
