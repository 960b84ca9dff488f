"""What happens outside the desk: the market, the weather between the desk and its broker, the time."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from random import Random

from execution.alpaca_wire.errors import WireError
from execution.alpaca_wire.orders import OrderBody
from tests.simulator.weather import draw
from tests.simulator.wishes import near
from tests.simulator.world import World

D = Decimal


class Outside:
    """The market moves, requests go wrong, time passes."""

    def __init__(self, world: World, chance: Random) -> None:
        self.world, self.chance = world, chance
        self.others = 0

    def move_the_market(self) -> str:
        symbol = self.chance.choice(self.world.symbols)
        price = near(D(100), self.chance)
        volume = self.chance.choice([None, D(0), D(1), D(5), D(25)])
        self.world.say_price(symbol, price, volume=volume)
        return f"{symbol} {price} volume {volume}"

    def swing_the_market(self) -> str:
        """Trade far below and far above the price, so that most of what rests there is filled, in parts or whole."""
        symbol = self.chance.choice(self.world.symbols)
        middle, first = self.world.prices[symbol], self.chance.choice([1, -1])
        for away in (first, -first):
            self.world.say_price(symbol, middle + away, volume=self.chance.choice([D(3), D(10), D(60)]))
            self.world.pass_seconds(D("0.2"))
        self.world.say_price(symbol, near(D(100), self.chance), volume=D(0))
        return f"{symbol} around {middle}"

    def let_others_trade(self) -> str:
        """Let somebody else with the same account send an order to the broker."""
        self.others += 1
        symbol, kind = self.chance.choice(self.world.symbols), self.chance.choice(["market", "limit"])
        body = OrderBody(
            symbol=symbol,
            side=self.chance.choice(["buy", "sell"]),
            quantity=D(self.chance.choice([1, 3, 12])),
            order_type=kind,
            time_in_force="day",
            limit_price=near(self.world.prices[symbol], self.chance) if kind == "limit" else None,
            client_order_id=f"other-{self.world.seed}-{self.others}",
        )
        try:
            told = self.world.venue.external_order(body)
        except WireError as refusal:
            return f"{body.client_order_id}: {refusal}"
        return f"{told['client_order_id']} {told['side']} {told['qty']} {kind} {symbol}"

    def go_wrong(self) -> str:
        fault = draw(self.chance)
        self.world.faults.add(fault)
        return f"{fault.kind} {dict(fault.match)} {dict(fault.parameters)} times {fault.times}"

    def cut_the_line(self) -> str:
        self.world.wire.dead = not self.world.wire.dead
        return "nobody is there" if self.world.wire.dead else "somebody is there again"

    def wait(self) -> str:
        self.world.go_to(self.world.wall + timedelta(seconds=self.chance.choice([40, 130, 900])))
        return ""
