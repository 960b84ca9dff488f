"""Groups over the line: legs under the broker's names, from the answer to the end, whatever is lost on the way."""

import pytest

from execution.emulator.faults import FaultKind
from execution.models import Order, RefusedReport
from execution.services.halt import engage_kill_switch
from marketdata.clock import wall_now
from risk.types import OrderType
from tests.execution.cases import assert_books_balance
from tests.execution.group_cases import group, states
from tests.execution.updates.line_cases import Desk, until

pytestmark = pytest.mark.django_db(transaction=True)
MARKET = {"order_type": OrderType.MARKET, "limit_price": None}


def bracket(desk: Desk) -> list[Order]:
    """Make a bracket around 100 and send it."""
    orders = group(desk.account, **MARKET)
    desk.dispatch()
    return orders


def come_to(desk: Desk, orders: list[Order], ends: list[str]) -> None:
    """Wait until the orders stand so in the book."""

    def reached() -> bool:
        desk.dispatch()
        return states(orders) == ends

    until(reached, say=lambda: states(orders))


def work(desk: Desk, orders: list[Order]) -> None:
    """Fill the entry, and wait until its legs work."""
    desk.price("100")
    desk.pump()
    come_to(desk, orders, ["filled", "accepted", "accepted"])


@pytest.mark.parametrize(
    ("price", "ends"), [("111", ["filled", "filled", "canceled"]), ("94", ["filled", "canceled", "filled"])]
)
def test_a_bracket_comes_to_its_end(desk: Desk, price: str, ends: list[str]) -> None:
    with desk.listening():
        orders = bracket(desk)
        work(desk, orders)
        desk.price(price)
        desk.pump()
        come_to(desk, orders, ends)
        desk.settle()


def test_exits_that_share_the_position_end_both(desk: Desk) -> None:
    with desk.listening():
        orders = bracket(desk)
        work(desk, orders)
        desk.price("111", volume="40")
        desk.price("94")
        desk.pump()
        # The broker has made the stop smaller and calls it filled; in the book the rest of it is canceled.
        ends = ["filled", "canceled", "canceled"]
        come_to(desk, orders, ends)
        assert [Order.objects.get(pk=order.pk).filled_quantity for order in orders] == [10, 4, 6]
        assert_books_balance(desk.account)
        assert desk.broker.positions() == []
        assert not RefusedReport.objects.exists()


def test_a_bracket_whose_answer_was_lost_is_found_with_its_legs(desk: Desk) -> None:
    with desk.listening():
        desk.fault(FaultKind.ACCEPT_THEN_DROP, match={"method": "POST"})
        orders = bracket(desk)
        work(desk, orders)
        desk.price("111")
        desk.pump()
        ends = ["filled", "filled", "canceled"]
        come_to(desk, orders, ends)
        desk.settle()


def test_the_kill_switch_ends_a_group_at_the_broker(desk: Desk) -> None:
    with desk.listening():
        orders = group(desk.account)
        desk.dispatch()
        engage_kill_switch(scope="global", operator="ann", reason="a test case", source="console", wall_now=wall_now())
        desk.dispatch()
        desk.pump()
        come_to(desk, orders, ["canceled"] * 3)
        desk.settle()
