"""What must not be told, believed or waited for."""

import time
from typing import Any

import pytest

from execution.brokers.alpaca import AlpacaBroker, AlpacaConfiguration, configuration_of
from execution.brokers.alpaca.clock import read_clock
from execution.brokers.alpaca.line import Line
from execution.brokers.alpaca.session import CANCEL_SECONDS
from execution.brokers.base import BrokerNotConfigured, BrokerUnavailable, BrokerUnreachable
from tests.execution.brokers.alpaca.stub import Answer, Stub
from tests.factories import MARKET_AT as AT


@pytest.mark.parametrize("name", ["ALPACA_API_KEY_ID", "ALPACA_API_SECRET_KEY"])
@pytest.mark.parametrize("spoiled", ["PKa\nb", "PKa b", "PKa–b", "PKa\x00b"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_told(settings: Any, name: str, spoiled: str) -> None:
    settings.ALPACA_API_KEY_ID = settings.ALPACA_API_SECRET_KEY = "PKGOOD"
    setattr(settings, name, spoiled)
    with pytest.raises(BrokerNotConfigured, match=name) as refused:
        configuration_of("alpaca_paper")
    assert spoiled not in str(refused.value)
    assert spoiled not in repr(refused.value)


def test_a_secret_is_in_no_representation(settings: Any) -> None:
    settings.ALPACA_API_KEY_ID, settings.ALPACA_API_SECRET_KEY = "PKGOOD", "very-secret"
    configuration = configuration_of("alpaca_paper")
    line = Line(configuration)
    try:
        assert "very-secret" not in f"{configuration!r} {line!r} {AlpacaBroker(line, reports=lambda c, n: [])!r}"
    finally:
        line.close()


def test_a_missing_order_proves_nothing_while_its_submit_may_still_be_on_its_way() -> None:
    waits = {"connect_milliseconds": 3_050, "read_milliseconds": 20_000}
    line = Line(
        AlpacaConfiguration("alpaca_paper", "PK", "secret", "http://127.0.0.1:1", "ws://127.0.0.1:1/stream", **waits)
    )
    try:
        grace = AlpacaBroker(line, reports=lambda cursor, limit: []).not_found_grace_seconds
        assert grace >= sum(waits.values()) / 1000 + 10
    finally:
        line.close()


@pytest.mark.parametrize(
    "answer",
    [
        {"timestamp": "2026-07-06T09:30:00"},
        {
            "timestamp": "2026-07-06T09:30:00Z",
            "replay": {"start_at": "2012-07-06T09:30:00", "speed": "1", "anchor_at": "2026-07-06T09:30:00Z"},
        },
    ],
    ids=["timestamp", "replay"],
)
def test_a_time_without_an_offset_is_no_time(answer: dict[str, Any]) -> None:
    with pytest.raises(BrokerUnavailable, match="without an offset"):
        read_clock(answer)


def test_a_cancel_that_is_not_answered_is_given_up_soon(served: tuple[Stub, str]) -> None:
    """Other cancels wait behind it; asking for it again harms nobody."""
    stub, address = served
    stub.says(Answer(then="silence"))
    waits = {"connect_milliseconds": 3_050, "read_milliseconds": 40_000}
    line = Line(AlpacaConfiguration("alpaca_paper", "PK", "secret", address, "ws://127.0.0.1:1/stream", **waits))
    began = time.monotonic()
    try:
        with pytest.raises(BrokerUnreachable):
            AlpacaBroker(line, reports=lambda c, n: []).cancel(client_order_id="one", broker_order_id="b-1", at=AT)
        assert time.monotonic() - began < 10 * CANCEL_SECONDS
    finally:
        line.close()
