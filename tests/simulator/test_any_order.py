"""Six events of an order, told in every order: the book comes to the same end, and each of them counts once.

A few dozen of the 720 orders where every change is looked at; `make soak N=720` for all of them.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from random import Random

import pytest
from django.db import transaction

from execution.invariants import check_account, check_against_log
from execution.models import Fill, Order
from execution.services.cancels import request_cancel
from execution.services.orders import submit_orders
from risk.types import OrderType
from tests.factories import make_intent
from tests.faults.proofs import RecordProperty, proving, trials
from tests.faults.storm import number_from
from tests.simulator.desk import Dispatcher, Listener
from tests.simulator.world import D, World

pytestmark = pytest.mark.django_db(transaction=True)
EVENTS = 6
ALL = 720
Story = Callable[[World, Dispatcher, Order], None]


def filled_in_parts_and_canceled(world: World, desk: Dispatcher, order: Order) -> None:
    """Two executions, and a cancel of the rest."""
    for volume in (3, 4):
        world.pass_seconds(D(1))
        world.say_price(order.instrument.symbol, D(99), volume=D(volume))
    request_cancel(order=order, operator="ann", wall_now=world.wall)
    desk.send_cancels()


def filled_whole_while_a_cancel_is_under_way(world: World, desk: Dispatcher, order: Order) -> None:
    """Two executions; the last one is faster than the cancel."""
    world.pass_seconds(D(1))
    world.say_price(order.instrument.symbol, D(99), volume=D(4))
    request_cancel(order=order, operator="ann", wall_now=world.wall)
    state = world.venue.state
    state.settings = replace(state.settings, cancel_delay_seconds=D(5))
    desk.send_cancels()
    world.pass_seconds(D(1))
    world.say_price(order.instrument.symbol, D("98.90"), volume=D(100))


@pytest.mark.parametrize("story", [filled_in_parts_and_canceled, filled_whole_while_a_cancel_is_under_way])
@pytest.mark.parametrize("twice", [False, True])
def test_events_in_any_order_come_to_the_same_end(
    loop: asyncio.AbstractEventLoop, story: Story, twice: bool, record_property: RecordProperty
) -> None:
    chance = Random(number_from("SOAK_SEED", 7, most=1_000_000))
    world = World(800_000 + chance.randrange(100_000), chance, loop)
    desk = Dispatcher(world)
    desk.round()
    symbol, strategy = world.symbols[0], world.strategies[0]
    wish = make_intent(
        strategy=strategy, symbol=symbol, quantity=D(10), order_type=OrderType.LIMIT, limit_price=D("99.50")
    )
    [result] = submit_orders(intents=[wish], account=world.account(), wall_now=world.wall)
    desk.send()
    order = Order.objects.select_related("account__feed", "instrument", "strategy").get(pk=result.order.pk)
    world.pass_seconds(D(1))
    world.venue.pump(world.wall)
    story(world, desk, order)
    world.pass_seconds(D(10))
    world.venue.pump(world.wall)
    frames = list(world.frames)[-EVENTS:]
    assert len(frames) == EVENTS
    orders = list(permutations(frames))
    chance.shuffle(orders)
    count = trials(12, full=ALL)
    with proving(f"{story.__name__}{', each twice' if twice else ''}", record_property) as proof:
        for proof.n, told in enumerate(orders[:count], 1):
            with transaction.atomic():
                found = end_of(world, list(told) * (2 if twice else 1))
                transaction.set_rollback(True)
            proof.require(not found, f"{found} after {[frame[:60] for frame in told]}")


def end_of(world: World, frames: list[bytes]) -> list[str]:
    """Tell the events one by one, ask REST once they are over, and return what is wrong in the end."""
    desk, listener = Dispatcher(world), Listener(world)
    desk.has_begun = desk.recovered = True
    for frame in frames:
        listener.hear([frame])
        desk.book()
    listener.cross_check()
    desk.book()
    account = world.account()
    wrong = [*check_account(account, wall_now=world.wall), *check_against_log(account, world.log)]
    booked = sum(Fill.objects.filter(account=account).values_list("quantity", flat=True), D(0))
    there = sum((fill.quantity for fill in world.log.fills()), D(0))
    return [str(violation) for violation in wrong] + ([] if booked == there else [f"{booked} of {there} booked"])
