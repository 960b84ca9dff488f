"""What strategies and people do at the desk."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random

from execution.errors import OrderNotOpen, ReplaceRefused
from execution.invariants import Stop
from execution.models import Order
from execution.services.cancels import request_cancel
from execution.services.groups import submit_group
from execution.services.halt import engage_kill_switch
from execution.services.orders import submit_orders
from execution.services.replaces import request_replace
from execution.states import OPEN, OrderStatus
from execution.types import SubmitResult
from risk.errors import AlreadyInState, TooSoon
from risk.services import breaker, kill_switch
from risk.states import SwitchLevel
from risk.types import OrderIntent, Origin
from tests.simulator.crashes import Crashes
from tests.simulator.wishes import draw_group, draw_order, near
from tests.simulator.world import World

D = Decimal
LEVELS = [*[SwitchLevel.HALTED] * 3, SwitchLevel.REDUCING, SwitchLevel.FLATTENING]


class People:
    """They want orders and other terms, take them back, and turn the switch."""

    def __init__(self, world: World, crashes: Crashes, chance: Random) -> None:
        self.world, self.crashes, self.chance, self.seed = world, crashes, chance, world.seed
        self.number = 0
        self.wanted: list[OrderIntent] = []
        self.tripped = False

    @property
    def want_something(self) -> bool:
        """Tell whether there may be an order at all."""
        return self.number > 0

    def submit(self) -> str:
        """Want a few orders at once, now and then one of them for the second time."""
        world, names = self.world, []
        for _ in range(self.chance.choice([1, 2, 2, 4])):
            self.number += 1
            names.append(f"{self.seed}-{self.number}")
        intents = [draw_order(name, world.prices, world.strategies, self.chance) for name in names]
        again = self.chance.choice([*self.wanted[-3:], None, None, None, None])
        results = submit_orders(
            intents=[*intents, *([again] if again else [])], account=world.account(), wall_now=world.wall
        )
        self.wanted += intents
        return "; ".join(self._answer(result) for result in results)

    def submit_a_group(self) -> str:
        self.number += 1
        world = self.world
        entry, legs = draw_group(f"{self.seed}-{self.number}", world.prices, world.strategies, self.chance)
        results = submit_group(entry=entry, legs=legs, account=world.account(), wall_now=world.wall)
        return f"{entry.order_class} {self._answer(results[0])}"

    def _answer(self, result: SubmitResult) -> str:
        order = result.order
        prices = "" if order is None else f" {order.limit_price or ''} {order.stop_price or ''} {order.time_in_force}"
        return f"{order}{prices} {[str(denial.code) for denial in result.denials] or ''}"

    def _open_order(self, *, working: bool = False) -> Order | None:
        statuses = [OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED] if working else sorted(OPEN)
        orders = Order.objects.filter(account_id=self.world.account_id, status__in=statuses)
        with self.crashes.none():
            found = list(orders.select_related("account__feed", "instrument", "strategy").order_by("pk"))
        return self.chance.choice(found) if found else None

    def cancel(self) -> str:
        order = self._open_order()
        if order is None:
            return "nothing is open"
        try:
            request_cancel(order=order, operator="ann", wall_now=self.world.wall)
        except OrderNotOpen as error:
            return str(error)
        return f"{order.client_order_id} {order.status}"

    def replace(self) -> str:
        """Want other terms; what is refused leaves everything as it was."""
        order = self._open_order(working=self.chance.random() < 0.7)
        if order is None:
            return "nothing is open"
        price, chance = self.world.prices[order.instrument.symbol], self.chance
        try:
            result = request_replace(
                order=order,
                quantity=chance.choice([None, None, D(1), D(3), D(15), D(50)]),
                limit_price=None if order.limit_price is None else near(price, chance),
                stop_price=None if order.stop_price is None else near(price, chance),
                operator="ann",
                origin=Origin.API,
                wall_now=self.world.wall,
            )
        except ReplaceRefused as refusal:
            return str(refusal)
        return f"{order.client_order_id}: {result.order} {[str(denial.code) for denial in result.denials]}"

    def stop(self, *, in_flight: frozenset[str] = frozenset()) -> str:
        """Engage the kill switch of the account or of a strategy, mostly for everything."""
        world = self.world
        scope = self.chance.choice(
            [f"account:{world.account_name}", *(f"strategy:{each}" for each in world.strategies)]
        )
        level = engage_kill_switch(
            scope=scope,
            operator="ann",
            reason="the simulator says so",
            source="console",
            wall_now=world.wall,
            level=self.chance.choice(LEVELS),
        ).level
        before = next((stop for stop in world.stops if stop.scope == scope and stop.until is None), None)
        if before is None or before.level != level:
            if before is not None:
                world.stops[world.stops.index(before)] = replace(before, until=len(world.log))
            world.stops.append(Stop(scope=scope, after=len(world.log), level=level, in_flight=in_flight))
        return f"{scope} {level}"

    def release(self) -> str:
        world = self.world
        engaged = [stop for stop in world.stops if stop.until is None]
        if not engaged:
            return "nothing is stopped"
        stop = self.chance.choice(engaged)
        people = {"operator": "ann", "second_operator": "bob", "source": "console"}
        try:
            with self.crashes.none():
                kill_switch.disengage(scope=stop.scope, reason="the simulator goes on", now=world.wall, **people)
        except TooSoon:
            return "too soon"
        world.stops[world.stops.index(stop)] = replace(stop, until=len(world.log))
        return stop.scope

    def let_go(self) -> None:
        """Release everything: worlds after this one are of the same database, and a strategy's switch is seen there."""
        for stop in self.world.stops:
            if stop.until is None:
                kill_switch.disengage(
                    scope=stop.scope,
                    reason="the play is over",
                    operator="ann",
                    second_operator="bob",
                    source="console",
                    now=self.world.wall + timedelta(days=1),
                )

    def trip(self) -> str:
        breaker.trip(
            scope=f"account:{self.world.account_name}",
            reason="the simulator says so",
            operator="ann",
            now=self.world.wall,
        )
        self.tripped = True
        return ""

    def reset(self) -> str:
        try:
            breaker.reset(
                scope=f"account:{self.world.account_name}",
                reason="the simulator goes on",
                operator="ann",
                now=self.world.wall,
            )
        except AlreadyInState:
            return "it is not tripped"
        finally:
            self.tripped = False
        if self.chance.random() < 0.7:
            self.world.go_to(self.world.wall + breaker.QUIET_PERIOD)
        return ""
