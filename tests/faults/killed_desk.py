"""A desk at an emulator whose processes are killed: what a child is told, and how the desk is started again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from time import sleep
from typing import Any

from django.db.models import Q

from execution.brokers.alpaca import AlpacaBroker, AlpacaConfiguration
from execution.brokers.alpaca.budget import Budget
from execution.brokers.alpaca.crosscheck import AlpacaReads
from execution.brokers.alpaca.events import read_frame
from execution.brokers.alpaca.line import Line
from execution.brokers.base import BrokerError
from execution.emulator.faults import Fault, FaultKind
from execution.emulator.server import RunningEmulator
from execution.emulator.venue import VenueSettings
from execution.invariants import check_account, check_against_log
from execution.models import Account, Break, Order, ReconciliationRun
from execution.services.cancels import cancel_open_orders
from execution.services.cross_check import CrossCheck
from execution.services.dispatch import dispatch_once
from execution.services.inbox import reports_since
from execution.services.orders import submit_orders
from execution.services.recovery import begin_recovery, recover_account, resolve_unanswered
from execution.services.reports import apply_reports
from execution.services.sweep import cancel_stopped
from execution.services.updates import Update
from execution.states import OPEN
from marketdata.clock import wall_now
from risk.types import OrderIntent
from tests.execution.brokers.alpaca.emulated import Ticker, configuration_at, emulator_at
from tests.factories import MARKET_AT, D, allow, allow_bursts, make_account, make_intent
from tests.faults.line import POST

CASH = D(10) ** 9
ROUND = timedelta(seconds=30)
"""Wall time between two rounds of the test's own: longer than an answer may be missing."""
MOST_ROUNDS = 40
TIDY_EVERY = 10
"""Trials after which what rests is canceled, so that the last ones are not slower than the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a child has to know to work for the desk, as a new process would: nothing but names and addresses."""

    account_id: int
    configuration: AlpacaConfiguration
    wall: datetime
    var_dir: Path

    def account(self) -> Account:
        return Account.objects.select_related("feed").get(pk=self.account_id)

    def line(self) -> Line:
        """Return a line with a budget of its own: the requests of a day go by in a minute here."""
        return Line(self.configuration, budget=Budget(nanoseconds=Ticker()))

    def broker(self, line: Line | None = None) -> AlpacaBroker:
        return AlpacaBroker(line or self.line(), reports=partial(reports_since, self.account_id))

    def check(self, line: Line | None = None) -> CrossCheck:
        return CrossCheck(account_id=self.account_id, reader=AlpacaReads(line or self.line()))


class KilledDesk:
    """The desk as the test sees it: it prepares, lets children die, starts again and looks at both books."""

    def __init__(self, emulator: RunningEmulator, *, var_dir: Path, seed: str) -> None:
        self.emulator = emulator
        self.chance = Random(seed)
        self.trial = 0
        self.wall = wall_now()
        self.var_dir = var_dir
        self.account = make_account(mode=Account.Mode.ALPACA_PAPER, starting_cash=CASH)
        self.ticker = Ticker()
        self.line = Line(configuration_at(emulator), budget=Budget(nanoseconds=self.ticker))
        self.broker = self.place().broker(self.line)
        self.cross_check = self.place().check(self.line)
        self._frames: list[str] = []
        emulator.call(lambda: emulator.venue.listeners.append(lambda told: self._frames.append(json.dumps(told))))
        allow_bursts()
        allow(max_position_quantity=1_000_000, max_position_notional=10**9, max_gross_notional=10**9)
        allow(max_net_notional=10**9, daily_loss_pct=100, weekly_loss_pct=100)
        self.restart()

    def place(self) -> Place:
        return Place(
            account_id=self.account.pk,
            configuration=configuration_at(self.emulator),
            wall=self.wall,
            var_dir=self.var_dir,
        )

    # what the desk has to do before somebody dies

    def wishes(self, count: int = 3, **fields: Any) -> list[OrderIntent]:
        """Return wishes of this trial: at the market, at a price that is met or one that rests."""
        return [self.wish(str(number), **fields) for number in range(count)]

    def wish(self, name: str, **fields: Any) -> OrderIntent:
        price = self.chance.choice([None, "100.50", "100.07", "99.00"])
        terms: dict[str, Any] = {} if price is None else {"order_type": "limit", "limit_price": D(price)}
        own = {"client_order_id": f"{self.trial}-{name}", "quantity": D(self.chance.randint(1, 9))}
        return make_intent(**own | terms | fields)

    def wanted(self, wishes: Sequence[OrderIntent]) -> list[Order]:
        """Let the gate take wishes."""
        results = submit_orders(intents=wishes, account=self.fresh(), wall_now=self.wall)
        refused = [result.denials for result in results if not result.accepted]
        assert not refused, refused
        return [result.order for result in results if result.order is not None]

    def resting(self, count: int = 2) -> list[Order]:
        """Return orders that work at the broker and are in the book as such."""
        orders = self.wanted(self.wishes(count, order_type="limit", limit_price=D("99.00")))
        self.send()
        return list(Order.objects.filter(pk__in=[order.pk for order in orders]).order_by("pk"))

    def send(self) -> None:
        """Send what waits."""
        while dispatch_once(account=self.fresh(), broker=self.broker, wall_now=self.wall).did_something:
            self.ticker.pass_seconds(61)

    def lose_some_answers(self) -> None:
        """Let the next answer to a submit get lost, of an order that was taken or of one that was not."""
        kind = self.chance.choice([FaultKind.ACCEPT_THEN_DROP, FaultKind.ACCEPT_THEN_504, FaultKind.REFUSE_DROP])
        self.emulator.faults.add(Fault(kind=kind, match=POST, times=1))

    def move_market(self) -> None:
        """Let a second pass, after which AAPL has another price and some shares to trade."""
        last, volume = D(self.chance.choice(["99.95", "100.02", "100.30"])), D(self.chance.randint(100, 2_000))
        self.emulator.tick("AAPL", last=last, bid=last - D("0.01"), ask=last + D("0.01"), volume=volume)
        self.emulator.advance(1)

    def updates(self) -> list[Update]:
        """Return what the stream has told since the last time."""
        frames, self._frames[:] = list(self._frames), []
        read = [read_frame(frame, received_at=self.wall) for frame in frames]
        return [update for update in read if update is not None]

    # what happens after the death

    def fresh(self) -> Account:
        return Account.objects.select_related("feed").get(pk=self.account.pk)

    def restart(self) -> float:
        """Begin as every process begins, with a second between two tries; return the seconds until it may trade."""
        began, told = wall_now(), self.wall
        begin_recovery(account=self.fresh())
        for _ in range(MOST_ROUNDS):
            if self._recovers():
                return (wall_now() - began + self.wall - told).total_seconds()
            sleep(0.05)  # the dead process's session, and the lock of its run, end a moment after it
            self.wall += timedelta(seconds=1)  # what was told while the books were compared has to settle
        raise AssertionError(f"not recovered after {MOST_ROUNDS} rounds: {self.violations()}, {self._why()}")

    def _why(self) -> list[Any]:
        """Return the state, what the newest run said, and what differs."""
        runs = ReconciliationRun.objects.filter(account=self.account).order_by("-pk")
        breaks = Break.objects.filter(account=self.account, state__in=Break.LIVE)
        said = list(runs.values_list("state", "problem")[:1])
        return [self.fresh().reconciliation, said, list(breaks.values_list("kind", "subject", "cause"))]

    def _recovers(self) -> bool:
        """Do one round of a start: the line catches up by REST, the dispatcher recovers."""
        account = self.fresh()
        self.ticker.pass_seconds(61)
        try:
            self.cross_check.round(wall_now=self.wall, long=True)
            recover_account(account=account, broker=self.broker, wall_now=self.wall)
        except BrokerError:
            return False
        return account.reconciliation == Account.Reconciliation.CLEAN

    def settle(self) -> None:
        """Work on until nothing waits and both books agree; fail with what is wrong when they never do."""
        for _ in range(MOST_ROUNDS):
            self.round()
            if self.is_settled():
                return
        raise AssertionError(f"not settled after {MOST_ROUNDS} rounds: {self.waiting()} {self.violations()}")

    def round(self) -> None:
        """Do what the processes of the desk do, half a minute after the last time."""
        self.wall += ROUND
        self.ticker.pass_seconds(61)
        self.emulator.pump()
        account = self.fresh()
        try:
            dispatch_once(account=account, broker=self.broker, wall_now=self.wall)
            self.cross_check.round(wall_now=self.wall)
            apply_reports(account=account, broker=self.broker, wall_now=self.wall)
            resolve_unanswered(account=account, broker=self.broker, wall_now=self.wall)
            cancel_stopped(account=account, wall_now=self.wall)
        except BrokerError:
            return

    def waiting(self) -> list[str]:
        """Return the orders that somebody still has to do something about."""
        moving = ["pending", "submitted", "pending_cancel", "pending_replace"]
        waiting = Order.objects.filter(account=self.account, status__in=moving)
        return [f"{order.client_order_id} {order.status}" for order in waiting]

    def is_settled(self) -> bool:
        return not self.waiting() and check_against_log(self.account, self.emulator.log) == []

    def violations(self) -> list[str]:
        """Return what must not be: in the book alone, and between the book and the broker's own log."""
        found = [
            *check_account(self.fresh(), wall_now=self.wall),
            *check_against_log(self.account, self.emulator.log),
        ]
        return [str(violation) for violation in found]

    def tidy(self) -> None:
        """Cancel what rests."""
        cancel_open_orders(orders=Q(), account=self.fresh(), operator="test", wall_now=self.wall)
        self.settle()

    def assert_whole(self) -> None:
        """Fail with what is wrong in the book; `settle` has compared it with the broker's log."""
        assert [str(each) for each in check_account(self.fresh(), wall_now=self.wall)] == []

    def open_orders(self) -> list[str]:
        """Return what is open in the book."""
        found = Order.objects.filter(account=self.account, status__in=sorted(OPEN))
        return [f"{order.client_order_id} {order.status}" for order in found]

    def taken(self, name: str) -> int:
        """Return how many orders of that name the broker has taken, by its own log."""
        entries = self.emulator.log.entries(kind="submitted")
        return sum(entry.data["client_order_id"] == name for entry in entries)


@contextmanager
def killed_desk(*, var_dir: Path, seed: str) -> Iterator[KilledDesk]:
    """Yield a desk at an emulator of its own."""
    settings = VenueSettings(starting_cash=CASH, participation=D(1))
    with emulator_at(MARKET_AT, settings=settings) as emulator:
        desk = KilledDesk(emulator, var_dir=var_dir, seed=seed)
        with closing(desk.line):
            yield desk
