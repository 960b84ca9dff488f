"""Orders that belong together over a line that loses things: successors, groups, pages of executions."""

from datetime import timedelta

import pytest

from execution.brokers.alpaca.crosscheck import AlpacaReads
from execution.models import BrokerMessage, Order
from execution.services.replaces import request_replace
from execution.states import OPEN
from execution.types import SubmitResult
from marketdata.clock import wall_now
from risk.types import Origin
from tests.execution.group_cases import group
from tests.execution.updates.line_cases import D, Desk, FaultKind, until
from tests.factories import MARKET_AT

pytestmark = pytest.mark.django_db(transaction=True)
K = FaultKind


def live(desk: Desk) -> None:
    until(lambda: desk.link().stream == "live", say=lambda: desk.link().stream_problem)


def replace(desk: Desk, order: Order, **terms: object) -> SubmitResult:
    result = request_replace(
        order=Order.objects.get(pk=order.pk), operator="test", origin=Origin.COMMAND, wall_now=wall_now(), **terms
    )
    assert result.accepted, result.denials
    desk.dispatch()
    return result


@pytest.mark.parametrize("heard", [True, False])
def test_a_replaced_order_and_its_successor_end_as_the_broker_says(desk: Desk, heard: bool) -> None:
    with desk.listening():
        live(desk)
        if not heard:
            desk.fault(K.DROP_EVENT, times=None)
        order = desk.order(quantity=D(30), order_type="limit", limit_price=D("99.90"))
        desk.price("99.80", volume="100")
        until(lambda: desk.agrees() and Order.objects.get(pk=order.pk).filled_quantity == 10, say=desk.sides)
        replace(desk, order, limit_price=D("99.70"))
        desk.pump()
        desk.price("99.60", volume="1000")
        desk.pump()
        desk.settle()
    ends = dict(Order.objects.values_list("status", "filled_quantity"))
    assert ends == {"replaced": 10, "filled": 20}


@pytest.mark.parametrize("heard", [True, False])
def test_a_late_fill_on_a_replaced_order_closes_the_successor_with_less(desk: Desk, heard: bool) -> None:
    with desk.listening():
        live(desk)
        if not heard:
            desk.fault(K.DROP_EVENT, times=None)
        desk.fault(K.FILL_WHILE_REPLACING, quantity="10")
        order = desk.order(quantity=D(30), order_type="limit", limit_price=D("99.00"))
        replace(desk, order, limit_price=D("99.10"))
        for _ in range(3):
            desk.pump()
        desk.price("98.90", volume="10000")
        desk.pump()
        until(lambda: desk.positions_agree() and not Order.objects.filter(status__in=OPEN).exists(), say=desk.sides)
    assert dict(Order.objects.values_list("status", "filled_quantity")) == {"replaced": 10, "canceled": 20}


@pytest.mark.parametrize("heard", [True, False])
def test_a_bracket_lives_and_ends_as_the_broker_says(desk: Desk, heard: bool) -> None:
    with desk.listening():
        live(desk)
        if not heard:
            desk.fault(K.DROP_EVENT, times=None)
        group(desk.account, "102", "98", limit_price=D("99.90"))
        desk.dispatch()
        desk.price("99.80", volume="1000")
        until(lambda: desk.agrees() and Order.objects.filter(status="accepted").count() == 2, say=desk.sides)
        desk.price("102.50", volume="1000")
        desk.pump()
        desk.settle()
    assert sorted(Order.objects.values_list("status", flat=True)) == ["canceled", "filled", "filled"]


@pytest.mark.parametrize("shuffled", [False, True])
def test_executions_of_one_instant_come_whole_over_many_pages(desk: Desk, shuffled: bool) -> None:
    for number in range(5):
        desk.order(quantity=D(number + 1), order_type="limit", limit_price=D("100.50"), client_order_id=f"p{number}")
    if shuffled:
        desk.fault(K.ACTIVITIES_SHUFFLED, times=None)
    found = AlpacaReads(desk.line, page_size=2).executions(after=MARKET_AT - timedelta(minutes=5))
    truth = desk.emulator.call(lambda: list(desk.emulator.log.fills()))
    assert sorted(message.broker_execution_id for message in found) == sorted(fill.execution_id for fill in truth)
    assert len(found) == 5
    assert not BrokerMessage.objects.exists()
    desk.line.close()
