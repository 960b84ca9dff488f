"""Trading days out of a seed: a random scheduler plays with the real services and an emulated broker, then all settles.

Whatever happened, in the end the checker must find nothing; the book alone must be right at every instant.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random

from django.db import connection

from execution.errors import OrderNotOpen, ReplaceRefused
from execution.invariants import Stop, Violation, check_account, check_against_log, check_book
from execution.models import Account, Order, RefusedReport
from execution.services.cancels import request_cancel
from execution.services.groups import submit_group
from execution.services.halt import engage_kill_switch
from execution.services.orders import submit_orders
from execution.services.replaces import request_replace
from execution.services.sessions import close_session
from execution.states import OPEN, OrderStatus
from execution.types import SubmitResult
from marketdata import calendar
from risk.errors import AlreadyInState, TooSoon
from risk.services import breaker, kill_switch
from risk.types import OrderIntent, Origin
from tests.simulator.crashes import Crash, Crashes
from tests.simulator.desk import Dispatcher, Listener
from tests.simulator.weather import draw
from tests.simulator.wishes import draw_group, draw_order, near
from tests.simulator.world import World

D = Decimal
LENGTHS = [*[8] * 6, *[16] * 3, 50]
"""Steps of a seed, drawn from it: most plays are short, because a thousand of them must be over in minutes."""
ROUNDS_TO_SETTLE = 25
LOOK_EVERY = 12
"""Steps between two looks of the checker on the way."""
UNDER_WAY = [OrderStatus.PENDING, OrderStatus.SUBMITTED, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE]
PACES = [D("0.05"), D("0.3"), D(1), D(1), D(3), D(11)]
Action = Callable[[], str]


class Broken(AssertionError):
    """A seed in which something was not as it must be, with what was done last."""

    def __init__(self, seed: int, what: str, trace: list[str]) -> None:
        told = "\n".join(trace[-20:])
        super().__init__(f"SEED={seed}\n{what}\nthe last actions:\n{told}\nreplay: SIM_SEED={seed}")


class Simulation:
    """One seed."""

    def __init__(
        self, seed: int, loop: asyncio.AbstractEventLoop, *, tell: Callable[[str], None] | None = None
    ) -> None:
        self.seed, self.tell = seed, tell
        self.chance = Random(seed)
        self.world = World(seed, self.chance, loop)
        self.crashes = Crashes()
        self.dispatcher, self.listener = Dispatcher(self.world), Listener(self.world)
        self.trace: list[str] = []
        self.number = 0
        self.wanted: list[OrderIntent] = []
        self.busy = False
        self.world.wire.before, self.world.wire.after = self._before_request, self._after_request
        self.tripped = False
        self.actions: list[tuple[int, Action, Callable[[], bool]]] = [
            (14, self.submit, lambda: True),
            (7, self.submit_a_group, lambda: True),
            (8, self.cancel, self.is_something_wanted),
            (8, self.replace, self.is_something_wanted),
            (3, self.stop, self.is_something_wanted),
            (6, self.release, self.is_something_stopped),
            (1, self.trip, lambda: not self.tripped),
            (5, self.reset, lambda: self.tripped),
            (12, self.move_the_market, lambda: True),
            (18, self.work, self.is_something_wanted),
            (6, self.round, self.is_something_wanted),
            (8, self.send, self.is_something_wanted),
            (4, self.send_cancels, self.is_something_wanted),
            (12, self.hear, lambda: bool(self.world.frames)),
            (4, self.hear_badly, lambda: bool(self.world.frames)),
            (6, self.cross_check, self.is_something_wanted),
            (3, self.resolve, self.is_something_wanted),
            (2, self.sweep, self.is_something_wanted),
            (10, self.go_wrong, lambda: True),
            (7, self.plan_a_crash, lambda: True),
            (1, self.restart, self.is_something_wanted),
            (1, self.cut_the_line, lambda: True),
            (6, self.cut_the_line, lambda: self.world.wire.dead),
            (2, self.wait, self.is_something_wanted),
            (1, self.end_the_session, self.is_something_wanted),
        ]

    # the scheduler

    def run(self, steps: int = 0) -> None:
        """Play so many steps, or as many as the seed says, settle, and check.

        :raises Broken: something was not as it must be
        """
        steps = steps or self.chance.choice(LENGTHS)
        with self.crashes.possible():
            self.begin()
            for step in range(1, steps + 1):
                possible = [(weight, action) for weight, action, makes_sense in self.actions if makes_sense()]
                [(_, action)] = self.chance.choices(possible, [weight for weight, _ in possible])
                self.world.pass_seconds(self.chance.choice(PACES))
                if self.chance.random() < 0.6:
                    self.world.venue.pump(self.world.wall)
                self.do(action)
                if step % LOOK_EVERY == 0:
                    self.look()
        self.settle()

    def begin(self) -> None:
        """Let the desk start, and hold something in most worlds."""
        self.do(self.round)
        if self.chance.random() < 0.8:
            self.do(self.submit)

    def is_something_wanted(self) -> bool:
        """Tell whether there may be an order at all."""
        return self.number > 0

    def is_something_stopped(self) -> bool:
        """Tell whether a switch is engaged."""
        return any(stop.until is None for stop in self.world.stops)

    def do(self, action: Action) -> None:
        """Do one thing; whoever dies with it is begun anew."""
        name = action.__name__
        try:
            told = action()
        except Crash as crash:
            told = f"died {crash}"
            self.restart()
        except Exception as error:
            raise Broken(self.seed, f"{name}: {type(error).__name__}: {error}", self.trace) from error
        self.note(f"{name}: {told}")

    def note(self, text: str) -> None:
        line = f"{self.world.wall:%d %H:%M:%S.%f} {text}"
        self.trace.append(line)
        if self.tell is not None:
            self.tell(line)

    def look(self) -> None:
        """Check what holds at every instant."""
        with self.crashes.none():
            account = self.world.account()
            self.require([*check_book(account), *self._against_log(account, settled=False)])

    def require(self, violations: list[Violation]) -> None:
        if violations:
            raise Broken(self.seed, "\n".join(map(str, violations)), self.trace)

    def _against_log(self, account: Account, *, settled: bool) -> list[Violation]:
        return check_against_log(account, self.world.log, settled=settled, stops=self.world.stops)

    # what strategies and people do

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
        """Engage the kill switch of the account or of a strategy."""
        world = self.world
        scope = self.chance.choice(
            [f"account:{world.account_name}", *(f"strategy:{each}" for each in world.strategies)]
        )
        engage_kill_switch(
            scope=scope, operator="ann", reason="the simulator says so", source="console", wall_now=world.wall
        )
        if not any(stop.scope == scope and stop.until is None for stop in world.stops):
            world.stops.append(Stop(scope=scope, after=len(world.log), in_flight=in_flight))
        return scope

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

    # the world

    def move_the_market(self) -> str:
        symbol = self.chance.choice(self.world.symbols)
        price = near(D(100), self.chance)
        volume = self.chance.choice([None, D(0), D(1), D(5), D(25)])
        self.world.say_price(symbol, price, volume=volume)
        return f"{symbol} {price} volume {volume}"

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

    def end_the_session(self) -> str:
        """Go on to the end of the session and beyond it, perhaps to the next one; books are closed or forgotten."""
        world, day = self.world, self.world.day
        world.go_to(calendar.session_close(day) + timedelta(seconds=1))
        if self.chance.random() < 0.5:
            self.do(self.round)
        if self.chance.random() < 0.5:
            self.do(self.close_books)
        world.go_to(calendar.session_close(day) + timedelta(hours=self.chance.choice([0, 1, 5])))
        if self.chance.random() < 0.7:
            opening = calendar.session_open(calendar.next_session(day))
            world.go_to(opening + timedelta(minutes=self.chance.choice([-40, -1, 1, 30])))
        for symbol, price in world.prices.items():
            world.say_price(symbol, price, volume=D(0))
        return f"it was {day}"

    def close_books(self) -> str:
        day = calendar.latest_session(self.world.wall)
        if self.world.wall < calendar.session_close(day):
            return "the session is not over"
        close_session(account=self.world.account(), day=day, wall_now=self.world.wall)
        return str(day)

    # the desk's processes

    def work(self) -> str:
        """Let all processes do their work, as they do when nothing is wrong."""
        self.world.venue.pump(self.world.wall)
        return f"{self.hear_all()}, {self.round()}"

    def round(self) -> str:
        self.dispatcher.round()
        return self.world.account().reconciliation

    def send(self) -> str:
        if not self.dispatcher.has_begun:
            self.dispatcher.recover()
        return "something" if self.dispatcher.send(self.chance.choice([1, 3, 100])) else "nothing"

    def send_cancels(self) -> str:
        self.dispatcher.send_cancels()
        return ""

    def resolve(self) -> str:
        self.dispatcher.resolve()
        return ""

    def sweep(self) -> str:
        self.dispatcher.sweep()
        return ""

    def hear(self) -> str:
        """Hear the stream in order, some of it or all."""
        frames = self.world.frames
        taken = [frames.popleft() for _ in range(self.chance.randint(0, len(frames)))]
        self.listener.hear(taken)
        return f"{len(taken)} frames"

    def hear_badly(self) -> str:
        """Hear the stream in another order, twice, or never."""
        frames = list(self.world.frames)
        self.world.frames.clear()
        way = self.chance.choice(["shuffled", "twice", "lost", "one lost", "later"])
        if way == "lost":
            return f"{len(frames)} lost"
        if way == "shuffled":
            self.chance.shuffle(frames)
        elif way == "twice":
            frames = [each for frame in frames for each in (frame, frame)]
        elif way == "one lost" and frames:
            frames.pop(self.chance.randrange(len(frames)))
        elif way == "later" and frames:
            self.world.frames.append(frames.pop(0))
        self.listener.hear(frames)
        return f"{len(frames)} {way}"

    def cross_check(self) -> str:
        self.listener.cross_check()
        return ""

    def restart(self) -> str:
        """Begin anew: what was in memory is gone, what the stream tells meanwhile nobody hears."""
        self.dispatcher, self.listener = Dispatcher(self.world), Listener(self.world)
        if self.chance.random() < 0.5:
            self.world.frames.clear()
        return ""

    def plan_a_crash(self) -> str:
        return self.crashes.arm(self.chance)

    # what happens while a request is under way

    def _before_request(self, method: str, body: bytes) -> None:
        assert not connection.in_atomic_block, "the broker is called within a transaction"
        self.crashes.at_request(is_over=False)
        self._meanwhile(method, body)

    def _after_request(self, method: str, body: bytes, is_whole: bool) -> None:
        if not is_whole:
            self.world.pass_seconds(D(2))
        self.crashes.at_request(is_over=True)
        self._meanwhile(method, body)

    def _meanwhile(self, method: str, body: bytes) -> None:
        """Let others do something while an order is on its way."""
        if self.busy or method not in ("POST", "PATCH", "DELETE") or self.chance.random() > 0.06:
            return
        self.busy = True
        name = json.loads(body).get("client_order_id", "") if body else ""
        actions: list[Action] = [self.hear, self.submit, self.cancel, self.move_the_market, self.replace]
        action = self.chance.choice([*actions, lambda: self.stop(in_flight=frozenset({name}))])
        try:
            self.note(f"  meanwhile {action.__name__}: {action()}")
        finally:
            self.busy = False

    # the end

    def told_by_name(self) -> Counter[str]:
        """Return what has happened, to see that the play was one."""
        kinds = Counter(f"log {entry.kind}" for entry in self.world.log.entries())
        done = Counter(line.split(" ", 2)[2].partition(":")[0].strip() for line in self.trace)
        return kinds + done + Counter({"crashes": self.crashes.count})

    def settle(self) -> None:
        """Let nothing go wrong any more until both sides say the same.

        :raises Broken: they never do
        """
        self.world.faults.clear()
        self.world.wire.dead = False
        self.busy = True
        self.note("faults end")
        if self.chance.random() < 0.5:
            self.world.frames.clear()
        self.restart()
        for _ in range(ROUNDS_TO_SETTLE):
            self.world.pass_seconds(D(16))
            self.world.venue.pump(self.world.wall)
            for action in (self.hear_all, self.cross_check, self.round):
                self.do(action)
            violations = self._unsettled()
            if not violations:
                return
        self.require(violations)

    def hear_all(self) -> str:
        frames = list(self.world.frames)
        self.world.frames.clear()
        self.listener.hear(frames)
        return f"{len(frames)} frames"

    def _unsettled(self) -> list[Violation]:
        """Return what is not over yet; the checker is asked when nothing is under way any more."""
        account = self.world.account()
        waiting = Order.objects.filter(account=account, status__in=UNDER_WAY).order_by("pk")
        found = [Violation("settled", f"order {order.pk}", f"{order} is {order.status}") for order in waiting]
        if account.reconciliation != Account.Reconciliation.CLEAN:
            found.append(Violation("settled", account.name, f"is {account.reconciliation}"))
        if found:
            return found
        found += [
            Violation("settled", f"report {row.sequence}", f"refused: {row.reason}")
            for row in RefusedReport.objects.filter(account=account)
        ]
        return [*found, *check_account(account, wall_now=self.world.wall), *self._against_log(account, settled=True)]
