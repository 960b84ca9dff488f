"""How many orders go at once: as many as leave in a moment, one after trouble, no more than the minute has room for."""

from datetime import UTC, datetime

import pytest

from execution.brokers.alpaca.pace import MILLISECOND, MOST, Pace
from execution.brokers.base import BrokerHeldBack, BrokerOrder, BrokerOutcomeUnknown
from execution.emulator.faults import Fault, FaultKind
from execution.emulator.rate import RateLimit
from tests.execution.brokers.alpaca.emulated import broker_at, emulator_at
from tests.execution.brokers.contract import make_request
from tests.factories import MARKET_AT

AT = datetime(2012, 6, 14, 14, 0, tzinfo=UTC)


def sizes(pace: Pace, *milliseconds: int) -> list[int]:
    found = []
    for each in milliseconds:
        pace.took(each * MILLISECOND)
        found.append(pace.size)
    return found


def test_the_first_order_goes_alone_then_twice_as_many_each_time() -> None:
    pace = Pace()
    assert pace.size == 1
    assert sizes(pace, 2, 2, 2, 2, 2, 2) == [2, 4, 8, 16, MOST, MOST]


@pytest.mark.parametrize(("milliseconds", "size"), [(1, MOST), (10, 15), (50, 3), (100, 1), (5_000, 1)])
def test_a_batch_is_what_leaves_in_a_moment(milliseconds: int, size: int) -> None:
    pace = Pace()
    assert sizes(pace, *[milliseconds] * 8)[-1] == size


def test_one_slow_order_counts_at_once_and_quick_ones_bit_by_bit() -> None:
    pace = Pace()
    assert sizes(pace, *[5] * 8)[-1] == MOST
    assert sizes(pace, 150) == [1]
    assert sizes(pace, 5, 5, 5) == [1, 1, 2]
    assert sizes(pace, *[5] * 20)[-1] == MOST


def test_after_trouble_the_next_order_goes_alone() -> None:
    pace = Pace()
    sizes(pace, 5, 5, 5, 5)
    pace.stumbled()
    assert pace.size == 1


def test_a_time_out_sends_the_next_order_alone() -> None:
    with emulator_at(MARKET_AT) as emulator, broker_at(emulator, read_milliseconds=200) as broker:
        for number in range(6):
            broker.submit(make_request(f"n{number}"), at=AT)
        assert broker.line.pace.size > 1
        post = {"method": "POST", "path": "/v2/orders"}
        emulator.faults.add(Fault(kind=FaultKind.ACCEPT_THEN_DROP, match=post, times=1))
        with pytest.raises(BrokerOutcomeUnknown):
            broker.submit(make_request("lost"), at=AT)
        assert broker.submit_batch_size == 1


def test_a_batch_is_no_larger_than_what_the_minute_has_left() -> None:
    with emulator_at(MARKET_AT) as emulator, broker_at(emulator) as broker:
        emulator.surface.rate = RateLimit(10)
        for number in range(5):
            broker.submit(make_request(f"n{number}"), at=AT)
        assert (broker.line.pace.size > 2, broker.submit_batch_size) == (True, 2)


def test_what_may_not_leave_is_not_sent_and_its_neighbours_are() -> None:
    with emulator_at(MARKET_AT) as emulator, broker_at(emulator) as broker:
        requests = [make_request(name) for name in ("one", "two", "three")]
        answers = broker.submit_many(requests, at=AT, may_send=lambda name: name != "two")
        assert [type(answer) for answer in answers] == [BrokerOrder, BrokerHeldBack, BrokerOrder]
        assert [entry.data["client_order_id"] for entry in emulator.log.entries(kind="submitted")] == ["one", "three"]


def test_after_one_that_has_no_answer_nothing_else_of_its_batch_is_sent() -> None:
    with emulator_at(MARKET_AT) as emulator, broker_at(emulator, read_milliseconds=200) as broker:
        post = {"method": "POST", "path": "/v2/orders"}
        emulator.faults.add(Fault(kind=FaultKind.REFUSE_DROP, match=post, times=1))
        requests = [make_request(name) for name in ("one", "two", "three")]
        answers = broker.submit_many(requests, at=AT, may_send=lambda name: True)
        assert [type(answer) for answer in answers] == [BrokerOutcomeUnknown, BrokerHeldBack, BrokerHeldBack]
        assert emulator.surface.requests["POST", "/v2/orders"] == 1
