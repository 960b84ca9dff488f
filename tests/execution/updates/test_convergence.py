"""Whatever the stream does, in the end the book is what the broker's own log says."""

import pytest

from execution.brokers.alpaca import listener
from execution.models import BrokerMessage, Order
from marketdata.clock import wall_now
from tests.execution.updates.line_cases import D, Desk, FaultKind, until

pytestmark = pytest.mark.django_db(transaction=True)
K = FaultKind


def a_busy_minute(desk: Desk) -> list[Order]:
    """Buy in parts, cancel a rest, sell some: partial fills, whole ones, a cancel."""
    first = desk.order(quantity=D(30), order_type="limit", limit_price=D("99.90"))
    second = desk.order(quantity=D(20), order_type="limit", limit_price=D("99.00"))
    for price in ("99.80", "99.70", "99.85"):
        desk.price(price, volume="100")
        desk.dispatch()
    desk.cancel(second)
    desk.pump()
    desk.dispatch()
    third = desk.order(side="sell", quantity=D(7), order_type="limit", limit_price=D("100.20"))
    desk.price("100.40", volume="50")
    desk.pump()
    return [first, second, third]


def live(desk: Desk) -> None:
    until(lambda: desk.link().stream == "live", say=lambda: desk.link().stream_problem)


def tellers(kind: str = "fill") -> set[str]:
    return set(BrokerMessage.objects.filter(kind=kind).values_list("source", flat=True))


def test_a_day_without_faults_is_told_by_the_stream_alone(desk: Desk) -> None:
    with desk.listening():
        live(desk)
        a_busy_minute(desk)
        desk.settle()
        assert desk.link().stream == "live"
    assert BrokerMessage.objects.filter(kind="fill").count() >= 4
    assert tellers() == {"stream"}
    assert desk.link().stream == "down"
    assert "stopped" in desk.link().stream_problem


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (K.DUPLICATE_EVENT, {"times": None}),
        (K.DROP_EVENT, {"match": {"event": "partial_fill"}}),
        (K.DROP_EVENT, {"match": {"event": "fill"}}),
        (K.DROP_EVENT, {"match": {"event": "canceled"}}),
        (K.DROP_EVENT, {"times": None}),
        (K.REORDER_EVENT, {"times": None}),
        (K.DELAY_EVENT, {"times": None, "seconds": "0.5"}),
        (K.UNKNOWN_STATUS_EVENT, {"times": None, "status": "on_holiday"}),
        (K.MALFORMED_EVENT, {"times": 3}),
        (K.MALFORMED_EVENT, {"match": {"event": "fill"}}),
        (K.TEAR_EVENT, {"match": {"event": "partial_fill"}}),
        (K.DISCONNECT_STREAM, {"times": 2}),
        (K.MUTE_STREAM, {}),
        (K.ACTIVITIES_SHUFFLED, {"times": None}),
        (K.UNKNOWN_STATUS, {"times": 2, "status": "on_holiday"}),
        (K.RATE_LIMITED, {"match": {"method": "GET"}, "seconds": "1"}),
        (K.UNAUTHORIZED, {"match": {"method": "GET"}}),
        (K.REFUSE_HTML, {"match": {"method": "GET"}, "times": 2}),
        (K.ZERO_AVERAGE_PRICE, {"times": None}),
    ],
    ids=lambda value: str(value) if isinstance(value, K) else ",".join(f"{k}={v}" for k, v in value.items()),
)
def test_the_book_converges_whatever_the_stream_does(desk: Desk, kind: FaultKind, fields: dict[str, object]) -> None:
    with desk.listening():
        live(desk)
        desk.fault(kind, **fields)
        a_busy_minute(desk)
        desk.settle()


def test_a_stream_that_is_mute_from_the_first_frame_is_called_mute_and_rest_takes_the_fills(desk: Desk) -> None:
    with desk.listening():
        live(desk)
        desk.fault(K.MUTE_STREAM, times=None)
        until(desk.is_muted)
        a_busy_minute(desk)
        desk.settle()
        until(lambda: desk.link().stream == "mute" and "REST alone" in desk.link().stream_problem, say=desk.link)
    assert tellers() == {"poll"}


def test_a_stream_that_speaks_again_is_believed_again(desk: Desk) -> None:
    with desk.listening():
        live(desk)
        until(lambda: wall_now() - (desk.link().stream_since or wall_now()) > listener.GRACE)
        desk.fault(K.DROP_EVENT, match={"event": "fill"})
        desk.order(quantity=D(5), order_type="limit", limit_price=D("100.50"))
        desk.price("100.20")
        until(lambda: desk.link().stream == "mute")
        until(lambda: desk.link().stream == "mute" and "anew" in desk.link().stream_problem)
        desk.order(quantity=D(6), order_type="limit", limit_price=D("100.50"))
        desk.price("100.10")
        live(desk)
        desk.settle()


def test_what_happened_while_nobody_listened_is_read_at_the_next_start(desk: Desk) -> None:
    a_busy_minute(desk)
    with desk.listening():
        desk.settle()
    assert tellers() == {"poll"}


def test_what_happened_between_two_processes_is_read_and_nothing_twice(desk: Desk) -> None:
    with desk.listening():
        live(desk)
        a_busy_minute(desk)
        desk.settle()
    a_busy_minute(desk)
    with desk.in_a_new_process().listening():
        desk.settle()
    assert tellers() == {"stream", "poll"}


def test_a_refused_log_in_says_so_and_rest_goes_on(desk: Desk) -> None:
    desk.fault(K.REFUSE_STREAM_LOGIN, times=None)
    with desk.listening():
        until(lambda: desk.link().stream == "refused", say=desk.link)
        assert "refuses the log-in" in desk.link().stream_problem
        a_busy_minute(desk)
        desk.settle()
        desk.emulator.faults.clear()
        live(desk)


def test_a_closed_door_says_so_and_rest_goes_on(desk: Desk) -> None:
    desk.fault(K.REFUSE_STREAM, times=None)
    with desk.listening():
        until(lambda: desk.link().stream == "refused", say=desk.link)
        assert "HTTP 429" in desk.link().stream_problem
        a_busy_minute(desk)
        desk.settle()


def test_a_storm_of_disconnects_is_no_storm_of_connections(desk: Desk) -> None:
    with desk.listening():
        live(desk)
        desk.fault(K.DISCONNECT_STREAM, times=None)
        a_busy_minute(desk)
        desk.settle()
        connections = desk.emulator.call(lambda: desk.emulator.surface.updates.connections)
        assert connections <= 1


def test_a_fill_whose_submit_got_no_answer_is_booked(desk: Desk) -> None:
    with desk.listening():
        live(desk)
        desk.fault(K.ACCEPT_THEN_DROP, match={"method": "POST"})
        desk.fault(K.DROP_EVENT, times=None)
        desk.order(quantity=D(5), order_type="limit", limit_price=D("100.50"))
        desk.price("100.20")
        until(lambda: desk.agrees() and Order.objects.get().filled_quantity == 5, say=desk.sides)


@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize("kind", [K.LATE_FILL, K.FILL_WHILE_CANCELING])
def test_a_fill_around_a_cancel_is_booked(desk: Desk, kind: FaultKind, heard: bool) -> None:
    with desk.listening():
        live(desk)
        if not heard:
            desk.fault(K.DROP_EVENT, times=None)
        desk.fault(kind, quantity="4")
        order = desk.order(quantity=D(10), order_type="limit", limit_price=D("99.00"))
        desk.cancel(order)
        desk.pump()
        desk.pump()
        until(lambda: desk.agrees() and Order.objects.get().filled_quantity == 4, say=desk.sides)


@pytest.mark.parametrize("heard", [True, False])
def test_an_order_that_is_rejected_later_ends(desk: Desk, heard: bool) -> None:
    with desk.listening():
        live(desk)
        if not heard:
            desk.fault(K.DROP_EVENT, times=None)
        desk.fault(K.REJECT_LATER)
        desk.order(quantity=D(10), order_type="limit", limit_price=D("99.00"))
        desk.pump()
        until(lambda: desk.agrees() and Order.objects.get().status == "rejected", say=desk.sides)


@pytest.mark.parametrize("heard", [True, False])
def test_a_refused_cancel_lets_the_order_work_on(desk: Desk, heard: bool) -> None:
    with desk.listening():
        live(desk)
        if not heard:
            desk.fault(K.DROP_EVENT, times=None)
        desk.fault(K.CANCEL_REJECTED)
        order = desk.order(quantity=D(10), order_type="limit", limit_price=D("99.00"))
        desk.cancel(order)
        desk.pump()
        until(lambda: desk.agrees() and Order.objects.get().status == "accepted", say=lambda: Order.objects.get())


def test_executions_that_rest_tells_late_are_waited_for_before_the_end_is_told(desk: Desk) -> None:
    with desk.listening():
        live(desk)
        desk.fault(K.DROP_EVENT, times=None)
        desk.fault(K.ACTIVITIES_LAG, times=3, seconds="1000")
        order = desk.order(quantity=D(50), order_type="limit", limit_price=D("99.90"))
        desk.price("99.80", volume="100")
        desk.cancel(order)
        desk.pump()
        desk.settle()
    kinds = list(
        BrokerMessage.objects.exclude(kind__in=["", "accepted"]).order_by("sequence").values_list("kind", flat=True)
    )
    assert kinds == ["fill", "canceled"]
