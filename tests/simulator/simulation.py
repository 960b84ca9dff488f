"""Trading days out of a seed: a random scheduler plays with the real services and an emulated broker, then all settles.

Whatever happened, in the end the checker must find nothing; the book alone must be right at every instant.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from random import Random

from django.db import connection

from execution.invariants import Violation, check_account, check_against_log, check_book
from execution.models import Account, Order, Position, RefusedReport
from execution.services.sessions import close_session
from execution.states import OrderStatus
from marketdata import calendar
from risk.states import SwitchLevel
from risk.types import Origin
from tests.simulator.crashes import Crash, Crashes
from tests.simulator.outside import Outside
from tests.simulator.people import People
from tests.simulator.processes import Processes
from tests.simulator.world import World

D = Decimal
LENGTHS = [*[8] * 6, *[16] * 3, 50]
"""Steps of a seed, drawn from it: most plays are short, because a thousand of them must be over in minutes."""
ROUNDS_TO_SETTLE = 25
LOOK_EVERY = 12
"""Steps between two looks of the checker on the way."""
UNDER_WAY = [OrderStatus.PENDING, OrderStatus.SUBMITTED, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE]
PACES = [D("0.05"), D("0.3"), D(1), D(1), D(3), D(11)]
PASSING = {(SwitchLevel.FLATTENING, Origin.FLATTEN), *((SwitchLevel.REDUCING, origin) for origin in Origin)}
"""What passes each level of the switch, if it reduces."""
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
        self.people = People(self.world, self.crashes, self.chance)
        self.outside = Outside(self.world, self.chance)
        self.processes = Processes(self.world, self.chance)
        self.trace: list[str] = []
        self.busy = False
        self.spite: list[Violation] = []
        self.world.wire.before, self.world.wire.after = self._before_request, self._after_request
        self.actions = self._actions()

    def _actions(self) -> list[tuple[int, Action, Callable[[], bool]]]:
        """Return what may be done, how likely it is, and when it makes sense."""
        people, outside, processes = self.people, self.outside, self.processes

        def always() -> bool:
            return True

        def is_wanted() -> bool:
            return people.want_something

        return [
            (14, people.submit, always),
            (7, people.submit_a_group, always),
            (8, people.cancel, is_wanted),
            (8, people.replace, is_wanted),
            (3, people.stop, is_wanted),
            (6, people.release, lambda: self.world.is_stopped),
            (1, people.trip, lambda: not people.tripped),
            (5, people.reset, lambda: people.tripped),
            (8, outside.move_the_market, always),
            (10, outside.swing_the_market, is_wanted),
            (20, processes.work, is_wanted),
            (6, processes.round, is_wanted),
            (8, processes.send, is_wanted),
            (4, processes.send_cancels, is_wanted),
            (12, processes.hear, lambda: bool(self.world.frames)),
            (4, processes.hear_badly, lambda: bool(self.world.frames)),
            (6, processes.cross_check, is_wanted),
            (3, processes.resolve, is_wanted),
            (2, processes.sweep, is_wanted),
            (2, outside.let_others_trade, always),
            (10, outside.go_wrong, always),
            (7, self.plan_a_crash, always),
            (1, processes.restart, is_wanted),
            (1, outside.cut_the_line, always),
            (6, outside.cut_the_line, lambda: self.world.wire.dead),
            (2, outside.wait, is_wanted),
            (1, self.end_the_session, is_wanted),
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
        """Let the desk start, in most worlds long ago, and want something in most of them."""
        if self.chance.random() < 0.2:
            self.do(self.processes.round)
        else:
            self.processes.have_begun()
        if self.chance.random() < 0.8:
            self.do(self.people.submit)

    def do(self, action: Action) -> None:
        """Do one thing; whoever dies with it is begun anew."""
        name = action.__name__
        try:
            told = action()
        except Crash as crash:
            told = f"died {crash}"
            self.processes.restart()
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
        stops = [stop for stop in self.world.stops if stop.level == SwitchLevel.HALTED]
        return [*self.spite, *check_against_log(account, self.world.log, settled=settled, stops=stops)]

    # the day

    def end_the_session(self) -> str:
        """Go on to the end of the session and beyond it, perhaps to the next one; books are closed or forgotten."""
        world, day = self.world, self.world.day
        world.go_to(calendar.session_close(day) + timedelta(seconds=1))
        if self.chance.random() < 0.5:
            self.do(self.processes.round)
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

    def plan_a_crash(self) -> str:
        return self.crashes.arm(self.chance)

    # what happens while a request is under way

    def _before_request(self, method: str, body: bytes) -> None:
        assert not connection.in_atomic_block, "the broker is called within a transaction"
        self.crashes.at_request(is_over=False)
        if method == "POST" and body:
            self._must_reduce(json.loads(body).get("client_order_id", ""))
        self._meanwhile(method, body)

    def _must_reduce(self, name: str) -> None:
        """See that what leaves under a switch that lets some pass only brings the book's position nearer to flat."""
        stops = [stop for stop in self.world.stops if stop.until is None and stop.level != SwitchLevel.HALTED]
        if not stops:
            return
        with self.crashes.none():
            order = Order.objects.select_related("strategy").get(account_id=self.world.account_id, client_order_id=name)
            line = {"account_id": order.account_id, "strategy": order.strategy, "instrument": order.instrument_id}
            held = Position.objects.get(**line).quantity
        covered = (f"account:{self.world.account_name}", f"strategy:{order.strategy.name}")
        for stop in stops:
            passes = held * order.sign < 0 and order.quantity <= abs(held)
            if stop.scope in covered and not (passes and (stop.level, order.origin) in PASSING):
                self.spite.append(Violation("I4", f"order {order.pk}", f"{order} left with {held} held under {stop}"))

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
        people, market = self.people, self.outside.move_the_market
        actions: list[Action] = [self.processes.hear, people.submit, people.cancel, market, people.replace]
        action = self.chance.choice([*actions, lambda: people.stop(in_flight=frozenset({name}))])
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
            self.do(self.outside.swing_the_market)
        if self.chance.random() < 0.5:
            self.world.frames.clear()
        processes = self.processes
        processes.restart()
        for _ in range(ROUNDS_TO_SETTLE):
            self.world.pass_seconds(D(16))
            self.world.venue.pump(self.world.wall)
            for action in (processes.hear_all, processes.cross_check, processes.round):
                self.do(action)
            violations = self._unsettled()
            if not violations:
                self.people.let_go()
                return
        self.require(violations)

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
