"""A desk in bad weather: many orders under planned and random faults, two senders at a time, and crashes in between.

The whole real path: gate, dispatcher, adapter over HTTP, emulator, WebSocket stream and REST cross-check, inbox, book.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from random import Random
from threading import Event
from typing import Any

import pytest
from django.db import connection

from execution.brokers.alpaca import AlpacaBroker
from execution.brokers.alpaca.budget import Budget
from execution.brokers.alpaca.line import Line
from execution.brokers.base import BrokerError
from execution.emulator.faults import Fault, FaultKind
from execution.models import Account, Order
from execution.services import dispatch as dispatch_module
from execution.services.cancels import request_cancel
from execution.services.dispatch import dispatch_once
from execution.services.inbox import reports_since
from execution.services.orders import submit_orders
from execution.services.recovery import begin_recovery, recover_account, resolve_unanswered
from execution.services.reports import apply_reports
from execution.services.sweep import sweep
from marketdata.clock import wall_now
from risk.types import Side
from tests.execution.brokers.alpaca.emulated import Ticker
from tests.execution.cases import assert_books_balance
from tests.execution.updates.line_cases import D, Desk, until
from tests.factories import allow, make_instrument, make_intent, make_quote
from tests.faults.line import POST
from tests.faults.reckoning import LOST, OTHER

K = FaultKind
SENDERS = 2
WAVE = 10
"""Orders of a wave whose answers get lost; a third as many others go with them."""
PAUSE = Event()
AT_RANDOM: tuple[tuple[FaultKind, str, dict[str, str], dict[str, Any]], ...] = (
    (K.REFUSE_500, "0.1", POST, {}),
    (K.REFUSE_DROP, "0.1", POST, {}),
    (K.RATE_LIMITED, "0.05", POST, {"seconds": "1"}),
    (K.UNAUTHORIZED, "0.05", POST, {}),
    (K.ACCEPT_THEN_TORN, "0.1", POST, {}),
    (K.UNKNOWN_STATUS, "0.1", POST, {"status": "on_holiday"}),
)
"""What happens to orders whose answer is not lost for sure, with its probability."""
MEANWHILE: tuple[tuple[FaultKind, str, dict[str, str], dict[str, Any]], ...] = (
    (K.REFUSE_HTML, "0.03", {"method": "GET"}, {}),
    (K.ACCEPT_THEN_DROP, "0.02", {"method": "GET"}, {}),
    (K.DROP_EVENT, "0.05", {}, {}),
    (K.DUPLICATE_EVENT, "0.05", {}, {}),
    (K.REORDER_EVENT, "0.05", {}, {}),
    (K.DELAY_EVENT, "0.05", {}, {"seconds": "0.2"}),
)
"""What happens to everybody's reads and to the stream."""


class Crash(BaseException):
    """The process is gone; a BaseException, so that nothing handles it."""


def number_from(name: str, default: int, *, most: int) -> int:
    """Read a whole number from the environment.

    :raises ValueError: it is none, or out of range
    """
    given = os.environ.get(name, "") or str(default)
    if not given.isascii() or not given.isdecimal() or not 1 <= int(given) <= most:
        raise ValueError(f"{name}: {given!r} is not allowed; a whole number from 1 to {most} is")
    return int(given)


class Storm:
    """One desk, its dispatcher in processes that come and go, and the plan of what goes wrong."""

    def __init__(self, desk: Desk, *, kind: FaultKind, count: int, seed: int) -> None:
        self.desk, self.kind, self.count = desk, kind, count
        self.chance = Random(f"{seed} {kind}")
        self.ticker = Ticker()
        self.crashes = 0
        self.broker = self._new_broker()
        # A day of rounds goes by in a minute here, and the minute's requests must be those of the day.
        desk.line.budget = Budget(nanoseconds=self.ticker)
        allow(max_position_quantity=1_000_000, max_position_notional=10**9, max_gross_notional=10**9)
        allow(max_net_notional=10**9, daily_loss_pct=100, weekly_loss_pct=100)
        make_instrument("MSFT")
        make_quote(self.account().feed, "MSFT")
        self.move_market()
        self._plan()

    def _plan(self) -> None:
        add = self.desk.emulator.faults.add
        late = {"seconds": "0.5"} if self.kind == K.ACCEPT_THEN_TIMEOUT else {}
        lost = POST | {"client_order_id": LOST}
        add(Fault(kind=self.kind, match=lost, times=self.count, parameters=late))
        for kind, probability, match, parameters in (*AT_RANDOM, *MEANWHILE):
            own = match | {"client_order_id": OTHER} if match is POST else match
            add(Fault(kind=kind, match=own, times=None, probability=D(probability), parameters=parameters))

    def _new_broker(self) -> AlpacaBroker:
        """Return what a new process has: new connections, and nothing known of what was sent."""
        configuration = replace(self.desk.line.configuration, read_milliseconds=200)
        line = Line(configuration, budget=Budget(nanoseconds=self.ticker))
        return AlpacaBroker(line, reports=lambda cursor, limit: reports_since(self.desk.account.pk, cursor, limit))

    def account(self) -> Account:
        return Account.objects.select_related("feed").get(pk=self.desk.account.pk)

    # a wave

    def blow(self) -> None:
        """Let all orders out, wave by wave, with cancels, a moving market and crashes between and within them."""
        for start in range(0, self.count, WAVE):
            numbers = range(start, min(start + WAVE, self.count))
            self.want([f"{LOST}{n}" for n in numbers] + [f"{OTHER}{n}" for n in numbers if n % 3 == 0])
            crashes = self.chance.random() < 0.3
            with self.dying() if crashes else nullcontext():
                self.send_all()
            if crashes or self.chance.random() < 0.2:
                self.restart()
                self.send_all()
            self.move_market()
            self.cancel_some()

    def want(self, names: list[str]) -> None:
        """Let the gate take a wave of wishes; each is an order from now on."""
        self.chance.shuffle(names)
        intents = [make_intent(client_order_id=name, **self._terms(name)) for name in names]
        results = submit_orders(intents=intents, account=self.account(), wall_now=wall_now())
        refused = [result.denials for result in results if not result.accepted]
        assert not refused, refused

    def _terms(self, name: str) -> dict[str, Any]:
        """Buy at a price that is met or rest below the market; others also sell, which the broker may refuse."""
        terms: dict[str, Any] = {"quantity": D(self.chance.randint(1, 9))}
        if name.startswith(OTHER):
            # A name of their own: an open short sale would have every buy of that name refused.
            terms["symbol"] = "MSFT"
            if self.chance.random() < 0.4:
                return terms | {"side": Side.SELL, "order_type": "limit", "limit_price": D("100.90")}
        price = self.chance.choice(["100.50", "100.07", "99.00"])
        return terms | {"order_type": "limit", "limit_price": D(price)}

    def send_all(self) -> None:
        """Send until nothing waits, several senders at a time."""
        with ThreadPoolExecutor(SENDERS) as pool:
            for sender in [pool.submit(self._send_and_hang_up) for _ in range(SENDERS)]:
                sender.result()

    def _send_and_hang_up(self) -> None:
        try:
            self._send()
        finally:
            connection.close()

    def _send(self) -> None:
        account, waiting = self.account(), Order.objects.filter(account=self.desk.account, status="pending")
        while waiting.exists():
            self.ticker.pass_seconds(61)
            if not dispatch_once(account=account, broker=self.broker, wall_now=wall_now()).did_something:
                PAUSE.wait(0.01)

    @contextmanager
    def dying(self) -> Iterator[None]:
        """Let the process die within the block, after the broker has taken an order and before we know that."""
        answers_until_death = self.chance.randint(0, WAVE)
        plain = dispatch_module.record_answers

        def record(**fields: Any) -> dict[str, int]:
            nonlocal answers_until_death
            answers_until_death -= 1
            if answers_until_death < 0:
                raise Crash
            return plain(**fields)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dispatch_module, "record_answers", record)
            try:
                yield
            except Crash:
                self.crashes += 1

    def restart(self) -> None:
        """Begin as every process begins: new connections, recovery, and nothing leaves before it has succeeded."""
        self.broker.line.close()
        self.broker = self._new_broker()
        begin_recovery(account=self.account())
        until(self._is_recovered, say=lambda: f"not recovered: {self.desk.sides()}")

    def _is_recovered(self) -> bool:
        self.ticker.pass_seconds(61)
        account = self.account()
        try:
            recover_account(account=account, broker=self.broker, wall_now=wall_now())
        except BrokerError:
            return False
        return account.reconciliation == Account.Reconciliation.CLEAN

    def move_market(self) -> None:
        """Let a second pass, after which both names have another price and some shares to trade."""
        emulator = self.desk.emulator
        for symbol, prices in (("MSFT", ["99.95", "100.95"]), ("AAPL", ["99.95", "100.02", "100.30", "99.50"])):
            last, volume = D(self.chance.choice(prices)), D(self.chance.randint(100, 2_000))
            bid, ask = last - D("0.01"), last + D("0.01")
            emulator.call(partial(emulator.venue.tick, symbol, last=last, bid=bid, ask=ask, volume=volume))
        emulator.advance(1)

    def cancel_some(self) -> None:
        """Ask for cancels of a few orders, answered or not."""
        alive = Order.objects.filter(account=self.desk.account, status__in=["accepted", "submitted"]).order_by("pk")
        for order in alive:
            if self.chance.random() < 0.1:
                request_cancel(order=order, operator="ann", wall_now=wall_now())
        self.look_after()

    def look_after(self) -> None:
        """Do what a dispatcher does between two orders."""
        self.ticker.pass_seconds(61)
        account = self.account()
        dispatch_once(account=account, broker=self.broker, wall_now=wall_now())
        apply_reports(account=account, broker=self.broker, wall_now=wall_now())
        try:
            resolve_unanswered(account=account, broker=self.broker, wall_now=wall_now())
            sweep(account=account, broker=self.broker, wall_now=wall_now())
        except BrokerError:
            PAUSE.wait(0.01)

    # the end

    def calm_down(self) -> None:
        """Let nothing go wrong any more, and wait until the book is what the broker's log says.

        What a process that died had claimed and not sent leaves first: its answer is to be lost as well.
        """
        until(self._all_have_left, say=self.desk.sides)
        self.desk.emulator.faults.clear()
        self.restart()
        self.send_all()
        self.desk.pump()
        until(self._agrees, say=self.desk.sides)
        assert_books_balance(self.desk.account)

    def _all_have_left(self) -> bool:
        self.look_after()
        waiting = Order.objects.filter(client_order_id__startswith=LOST, status__in=["pending", "submitted"])
        return not waiting.exists()

    def _agrees(self) -> bool:
        self.look_after()
        settled = not Order.objects.filter(status__in=["pending", "submitted", "pending_cancel"]).exists()
        ours, theirs = self.desk.sides()
        return settled and ours == theirs
