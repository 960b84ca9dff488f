"""Everything at once, drawn from a seed: after the storm the book is the broker's log."""

from contextlib import suppress
from random import Random

import pytest

from execution.emulator.faults import Fault
from execution.errors import OrderNotOpen
from execution.models import BrokerMessage, Order
from tests.execution.updates.line_cases import D, Desk, FaultKind

pytestmark = pytest.mark.django_db(transaction=True)
K = FaultKind
CENT = D("0.01")
WEATHER = (
    *(K.DUPLICATE_EVENT, K.DROP_EVENT, K.REORDER_EVENT, K.DELAY_EVENT, K.UNKNOWN_STATUS_EVENT, K.TEAR_EVENT),
    *(K.MALFORMED_EVENT, K.DISCONNECT_STREAM, K.MUTE_STREAM, K.REFUSE_STREAM, K.REFUSE_STREAM_LOGIN),
    *(K.FILL_BEFORE_ANSWER, K.LATE_FILL, K.FILL_WHILE_CANCELING, K.CANCEL_REJECTED, K.ZERO_AVERAGE_PRICE),
    *(K.ACTIVITIES_LAG, K.ACTIVITIES_SHUFFLED),
)
PARAMETERS = {
    K.DELAY_EVENT: {"seconds": "0.2"},
    K.MUTE_STREAM: {"seconds": "1"},
    K.REFUSE_STREAM: {"seconds": "0.5"},
    K.LATE_FILL: {"quantity": "1"},
    K.FILL_WHILE_CANCELING: {"quantity": "1"},
    K.ACTIVITIES_LAG: {"seconds": "5"},
}


def cancel(desk: Desk, order: Order) -> None:
    """Ask for a cancel; the order may have ended since it was read."""
    with suppress(OrderNotOpen):
        desk.cancel(order)


def beside_our_own(desk: Desk, side: str, price: D) -> D:
    """Return the price, or the next one that meets no open order of our own: the gate refuses to trade with oneself."""
    others = Order.objects.filter(account=desk.account, closed_at__isnull=True).exclude(side=side)
    prices = [limit for limit in others.values_list("limit_price", flat=True) if limit is not None]
    if side == "buy":
        return min([price, *(limit - CENT for limit in prices)])
    return max([price, *(limit + CENT for limit in prices)])


@pytest.mark.parametrize("seed", range(4))
def test_after_a_storm_the_book_is_the_brokers_log(desk: Desk, seed: int) -> None:
    chance = Random(seed)
    with desk.listening():
        for number in range(12):
            kind = chance.choice(WEATHER)
            desk.emulator.faults.add(Fault(kind=kind, parameters=PARAMETERS.get(kind, {})))
            side = chance.choice(["buy", "buy", "sell"])
            near = D(100) + D(chance.randrange(-60, 60)) / 100
            desk.order(
                side=side,
                quantity=D(chance.randrange(1, 40)),
                order_type="limit",
                limit_price=beside_our_own(desk, side, near),
                client_order_id=f"s{number}",
            )
            desk.price(str(D(100) + D(chance.randrange(-80, 80)) / 100), volume=str(chance.randrange(10, 200)))
            working = list(Order.objects.filter(account=desk.account, status__in=["accepted", "partially_filled"]))
            if working and chance.random() < 0.4:
                cancel(desk, chance.choice(working))
            desk.dispatch()
            desk.pump()
        desk.emulator.faults.clear()
        for order in Order.objects.filter(account=desk.account, status__in=["accepted", "partially_filled"]):
            cancel(desk, order)
        desk.pump()
        desk.pump()
        desk.settle()
    assert BrokerMessage.objects.filter(kind="fill").count() >= 3
