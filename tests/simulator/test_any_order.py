"""Up to six events of an order, told in every order, and histories told at random: the same end, each event once.

A few of them where every change is looked at; `make soak N=1957` for every order of every few of the six events, and
`make soak N=10000` for as many random histories.
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
ALL = 1_957
"""Ways to tell none, one, … or all of six events in some order; what is not told REST must tell."""
HISTORIES, OF_A_WORLD = 10_000, 25
ASKED, STARTED_ANEW, BOOKED = 0.15, 0.1, 0.7
"""Probability, after each telling, of a look by REST, of processes that begin anew, of a look of the book."""
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
    world = lived_through(story, 800_000 + chance.randrange(100_000), chance, loop)
    frames = list(world.frames)[-EVENTS:]
    assert len(frames) == EVENTS
    orders = [order for count in range(EVENTS + 1) for order in permutations(frames, count)]
    assert len(orders) == ALL
    chance.shuffle(orders)
    count = trials(12, full=ALL)
    with proving(f"R10 {story.__name__}{', each twice' if twice else ''}", record_property) as proof:
        for proof.n, told in enumerate(orders[:count], 1):
            with transaction.atomic():
                found = end_of(world, list(told) * (2 if twice else 1))
                transaction.set_rollback(True)
            proof.require(not found, f"{found} after {[frame[:60] for frame in told]}")


def test_histories_told_at_random_come_to_the_same_end(
    loop: asyncio.AbstractEventLoop, record_property: RecordProperty
) -> None:
    """Events come never, once or more often, in any order, late, between looks by REST and starts of new processes."""
    seed = number_from("SOAK_SEED", 7, most=1_000_000)
    count = trials(12, full=HISTORIES)
    with proving("R10 random histories", record_property) as proof:
        while proof.n < count:
            chance = Random(f"{seed} {proof.n}")
            world = lived_through(at_random, 1_000_000 + proof.n, chance, loop)
            for _ in range(min(OF_A_WORLD, count - proof.n)):
                proof.n += 1
                told = [frame for frame in world.frames for _ in range(chance.choice([0, 1, 1, 1, 2, 3]))]
                chance.shuffle(told)
                with transaction.atomic():
                    found = end_of(world, told, chance=chance)
                    transaction.set_rollback(True)
                proof.require(not found, f"seed {seed}: {found} after {[frame[:60] for frame in told]}")


def at_random(world: World, desk: Dispatcher, order: Order) -> None:
    """A few executions of any size, and a cancel somewhere between them or none."""
    chance = world.chance
    canceled = chance.randrange(6)
    for step in range(chance.randint(1, 5)):
        world.pass_seconds(D(chance.randint(1, 3)))
        if step == canceled:
            request_cancel(order=order, operator="ann", wall_now=world.wall)
            desk.send_cancels()
        price = D("99.50") - chance.randrange(60) * D("0.01")
        world.say_price(order.instrument.symbol, price, volume=D(chance.randint(1, 6)))


def lived_through(story: Story, seed: int, chance: Random, loop: asyncio.AbstractEventLoop) -> World:
    """Return a world in which an order has been through a story, and nobody has heard of it yet."""
    world = World(seed, chance, loop)
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
    return world


def end_of(world: World, frames: list[bytes], *, chance: Random | None = None) -> list[str]:
    """Tell the events one by one, ask REST once they are over, and return what is wrong in the end."""
    desk, listener = running(world)
    for frame in frames:
        listener.hear([frame])
        if chance is not None and chance.random() < ASKED:
            listener.cross_check()
        if chance is not None and chance.random() < STARTED_ANEW:
            desk, listener = running(world)
        if chance is None or chance.random() < BOOKED:
            desk.book()
    listener.cross_check()
    desk.book()
    account = world.account()
    wrong = [*check_account(account, wall_now=world.wall), *check_against_log(account, world.log)]
    booked = sum(Fill.objects.filter(account=account).values_list("quantity", flat=True), D(0))
    there = sum((fill.quantity for fill in world.log.fills()), D(0))
    return [str(violation) for violation in wrong] + ([] if booked == there else [f"{booked} of {there} booked"])


def running(world: World) -> tuple[Dispatcher, Listener]:
    """Return processes that have begun."""
    desk, listener = Dispatcher(world), Listener(world)
    desk.has_begun = desk.recovered = True
    return desk, listener
