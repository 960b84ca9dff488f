"""Executions that the stream told too early, not at all, or that REST tells late: each at its own price."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from execution.brokers.alpaca.crosscheck import AlpacaReads
from execution.models import Account, BrokerMessage, Fill, Order
from execution.services.orders import submit_order
from execution.services.reports import apply_reports
from marketdata.clock import wall_now
from risk.types import Side
from tests.execution.cases import position_of, statuses
from tests.execution.updates.line_cases import D, Desk, FaultKind, until
from tests.factories import make_intent, make_order

pytestmark = pytest.mark.django_db(transaction=True)
K = FaultKind
LIMIT = {"order_type": "limit", "limit_price": D("99.90")}


def live(desk: Desk) -> None:
    until(lambda: desk.link().stream == "live", say=lambda: desk.link().stream_problem)


def assert_prices_are_the_brokers(desk: Desk) -> None:
    """Compare every execution and the cash with the broker's own log."""
    desk.settle()
    log = desk.emulator.log
    theirs, moved = desk.emulator.call(
        lambda: ([(fill.execution_id, fill.quantity, fill.price) for fill in log.fills()], log.cash_moved())
    )
    assert sorted(Fill.objects.values_list("broker_execution_id", "quantity", "price")) == sorted(theirs)
    account = Account.objects.get(pk=desk.account.pk)
    assert account.cash - account.starting_cash == moved
    for order in Order.objects.exclude(filled_quantity=0):
        paid = sum(fill.quantity * fill.price for fill in order.fills.all())
        assert order.average_fill_price is not None
        assert abs(order.average_fill_price * order.filled_quantity - paid) < D("0.000001")


def test_an_execution_told_and_booked_before_the_submits_answer_is_there_once(desk: Desk) -> None:
    """Case 43: the stream is faster than the answer; the order is filled while its sender still waits."""
    with desk.listening(), ThreadPoolExecutor(1) as sender:
        live(desk)
        desk.fault(K.SLOW, match={"method": "POST"}, seconds="0.6")
        desk.fault(K.FILL_BEFORE_ANSWER)
        order = make_order(desk.account, quantity=D(10))

        def send() -> None:
            desk.dispatch()
            connection.close()

        sent = sender.submit(send)

        def booked() -> bool:
            account = Account.objects.get(pk=desk.account.pk)
            apply_reports(account=account, broker=desk.broker, wall_now=wall_now())
            return Order.objects.get(pk=order.pk).status == "filled"

        until(booked)
        assert not sent.done()
        sent.result(10)
        assert statuses(order)[-1] == "filled"
        assert_prices_are_the_brokers(desk)
    assert Fill.objects.count() == 1


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_each_execution_keeps_its_own_price_whichever_was_missed(desk: Desk, lost: int) -> None:
    """Case 47: the next execution's price is not that of the missed one, and the average is that of all."""
    with desk.listening():
        live(desk)
        desk.fault(K.DROP_EVENT, match={"client_order_id": "parts", "event": "fill" if lost == 2 else "partial_fill"})
        if lost == 1:
            desk.emulator.faults.clear()
        desk.order(client_order_id="parts", quantity=D(30), **LIMIT)
        for number, price in enumerate(("99.80", "99.40", "98.70")):
            if lost == 1 and number == 1:
                desk.fault(K.DROP_EVENT, match={"client_order_id": "parts", "event": "partial_fill"})
            desk.price(price, volume="100")
        until(lambda: desk.agrees() and Order.objects.get().status == "filled", say=desk.sides)
        assert_prices_are_the_brokers(desk)
    fills = Fill.objects.order_by("executed_at")
    assert [fill.quantity for fill in fills] == [10, 10, 10]
    assert len({fill.price for fill in fills}) == 3
    assert "poll" in set(BrokerMessage.objects.filter(kind="fill").values_list("source", flat=True))


def test_an_order_seen_filled_is_not_closed_before_its_executions_are_told(desk: Desk) -> None:
    """Case 56: REST says filled, and tells no execution for a while: the order stays open, then has the right price."""
    with desk.listening():
        live(desk)
        desk.fault(K.DROP_EVENT, times=None)
        desk.fault(K.ACTIVITIES_LAG, times=8, seconds="1000")
        desk.order(quantity=D(10), **LIMIT)
        desk.price("99.50")
        until(lambda: AlpacaReads(desk.line).order(Order.objects.get().broker_order_id).status == "filled")
        desk.dispatch()
        waiting = Order.objects.get()
        assert (waiting.status, waiting.filled_quantity, waiting.average_fill_price) == ("accepted", 0, None)
        until(lambda: desk.agrees() and Order.objects.get().status == "filled", say=desk.sides)
        assert_prices_are_the_brokers(desk)


def test_a_sale_whose_fill_was_dropped_is_not_sold_again(desk: Desk) -> None:
    """Case 63: the stream looks healthy and loses one frame; nothing more is sold, and REST tells it."""
    with desk.listening():
        live(desk)
        desk.order(client_order_id="in", quantity=D(10))
        desk.price("100")
        until(lambda: desk.agrees() and position_of(desk.account).quantity == 10, say=desk.sides)
        desk.fault(K.DROP_EVENT, match={"event": "fill"})
        desk.order(client_order_id="out", side=Side.SELL, quantity=D(10), reduce_only=True)
        desk.price("100")
        refused = 0
        while Order.objects.get(client_order_id="out").status != "filled":
            again = make_intent(side=Side.SELL, quantity=D(3), reduce_only=True)
            result = submit_order(intent=again, account=desk.account, wall_now=wall_now())
            assert [denial.code for denial in result.denials] == ["REDUCE_ONLY"]
            refused += 1
            desk.dispatch()
        assert refused
        assert_prices_are_the_brokers(desk)
        assert position_of(desk.account).quantity == 0
        assert desk.link().stream in {"live", "mute"}
    sold = BrokerMessage.objects.get(kind="fill", client_order_id="out")
    assert sold.source == "poll"
