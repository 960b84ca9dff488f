"""A desk at an emulator: its line in a thread, its dispatcher by hand, and what must be equal in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from decimal import Decimal
from threading import Event
from typing import Any

from execution.brokers.alpaca import AlpacaBroker, AlpacaConfiguration
from execution.brokers.alpaca.line import Line
from execution.brokers.alpaca.trade_updates import TradeUpdates
from execution.emulator.clock import VenueClock
from execution.emulator.faults import Fault, FaultKind
from execution.emulator.market import ScriptedMarket
from execution.emulator.server import RunningEmulator
from execution.models import Account, BrokerLink, Order, RefusedReport
from execution.selectors import net_quantities
from execution.services.cancels import request_cancel
from execution.services.dispatch import dispatch_once
from execution.services.inbox import reports_since
from execution.services.recovery import resolve_unanswered
from execution.services.reports import apply_reports
from execution.states import TERMINAL
from marketdata.clock import wall_now
from tests.execution.cases import assert_books_balance
from tests.factories import MARKET_AT, make_account, make_order

PATIENCE = timedelta(seconds=30)
D = Decimal


@contextmanager
def emulated(**options: Any) -> Iterator[RunningEmulator]:
    """Serve an emulator at the desk's market time, AAPL at 100."""
    market = ScriptedMarket()
    market.say("AAPL", last=D(100), bid=D("99.99"), ask=D("100.01"), at=MARKET_AT)
    with RunningEmulator(market=market, clock=VenueClock.manual(MARKET_AT), **options) as emulator:
        yield emulator


@contextmanager
def listening_on(account: Account, line: Line) -> Iterator[TradeUpdates]:
    """Hear what is told on a line to Alpaca into the account's inbox until the end of the block."""
    updates = TradeUpdates(account=account, line=line, wall=wall_now)
    loop, stopping = asyncio.new_event_loop(), asyncio.Event()
    with closing(loop), closing(line), ThreadPoolExecutor(1) as pool:
        running: Future[None] = pool.submit(loop.run_until_complete, updates.run(stopping))
        try:
            yield updates
        finally:
            if not running.done():
                loop.call_soon_threadsafe(stopping.set)
            running.result(20)


class Desk:
    """Account, adapter and line of one desk; `settle` lets everything happen until the book has it all."""

    def __init__(self, emulator: RunningEmulator, **fields: Any) -> None:
        self.emulator = emulator
        self.account = make_account(mode=Account.Mode.ALPACA_PAPER, **fields)
        self.account.reconciliation = Account.Reconciliation.CLEAN
        self.account.save(update_fields=["reconciliation"])
        self.line = Line(
            AlpacaConfiguration(
                mode="alpaca_paper",
                key_id=emulator.keys.key_id,
                secret_key=emulator.keys.secret,
                base_url=emulator.url,
                stream_url=emulator.stream_url,
                connect_milliseconds=500,
                read_milliseconds=2_000,
            )
        )
        self.broker = AlpacaBroker(
            self.line, reports=lambda cursor, limit: reports_since(self.account.pk, cursor, limit)
        )

    @contextmanager
    def listening(self) -> Iterator[TradeUpdates]:
        """Run the line until the end of the block."""
        with listening_on(self.account, self.line) as updates:
            yield updates

    def in_a_new_process(self) -> Desk:
        """Return the same desk with a line of its own."""
        again = object.__new__(Desk)
        again.__dict__ |= self.__dict__ | {"line": Line(self.line.configuration)}
        return again

    def is_muted(self) -> bool:
        """Tell whether the emulator has muted a connection."""
        connections = self.emulator.surface.updates._connections
        return self.emulator.call(lambda: any(each.muted for each in connections))

    def link(self) -> BrokerLink:
        return BrokerLink.objects.get_or_create(account=self.account)[0]

    def order(self, **fields: Any) -> Order:
        """Make an order and send it."""
        order = make_order(self.account, **fields)
        self.dispatch()
        return Order.objects.get(pk=order.pk)

    def dispatch(self) -> None:
        """Do what the dispatcher does in a round."""
        account = Account.objects.select_related("feed").get(pk=self.account.pk)
        dispatch_once(account=account, broker=self.broker, wall_now=wall_now())
        apply_reports(account=account, broker=self.broker, wall_now=wall_now())
        resolve_unanswered(account=account, broker=self.broker, wall_now=wall_now())

    def cancel(self, order: Order) -> None:
        request_cancel(order=Order.objects.get(pk=order.pk), operator="test", wall_now=wall_now())
        self.dispatch()

    def price(self, last: str, *, volume: str = "100000") -> None:
        """Move the market a second on, to a price a cent wide."""
        middle, emulator = D(last), self.emulator

        def move() -> None:
            emulator.venue.state.clock.advance(D(1))
            emulator.venue.tick("AAPL", last=middle, bid=middle - D("0.01"), ask=middle + D("0.01"), volume=D(volume))

        emulator.call(move)

    def pump(self) -> None:
        """Let a second pass at the broker."""
        emulator = self.emulator

        def pass_a_second() -> None:
            emulator.venue.state.clock.advance(D(1))
            emulator.venue.pump(emulator.venue.state.clock.now())

        emulator.call(pass_a_second)

    def fault(self, kind: FaultKind, *, match: dict[str, str] | None = None, **fields: Any) -> None:
        """Plan a fault; what is no field of it is a parameter."""
        own = {name: fields.pop(name) for name in ("times", "after") if name in fields}
        self.emulator.faults.add(Fault(kind=kind, match=match or {}, parameters=fields, **own))

    def settle(self) -> None:
        """Wait until the book equals the broker's log; fail with both sides when it never does."""
        until(self.agrees, say=self.sides)
        assert_books_balance(self.account)
        assert not RefusedReport.objects.filter(account=self.account).exists()

    def agrees(self) -> bool:
        self.dispatch()
        ours, theirs = self.sides()
        return ours == theirs

    def positions_agree(self) -> bool:
        self.dispatch()
        ours, theirs = self.sides()
        return bool(ours["positions"] == theirs["positions"])

    def sides(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what the book says and what truly happened: positions, filled shares and ends by order."""
        emulator = self.emulator
        positions, statuses, fills = emulator.call(
            lambda: (emulator.log.positions(), emulator.log.orders(), list(emulator.log.fills()))
        )
        orders = list(Order.objects.filter(account=self.account).exclude(broker_order_id="").order_by("pk"))
        filled: dict[str, Decimal] = {}
        for fill in fills:
            filled[fill.order_id] = filled.get(fill.order_id, D(0)) + fill.quantity
        ends = {status.value for status in TERMINAL}
        ours = {o.client_order_id: (o.filled_quantity, o.status if o.status in ends else "open") for o in orders}
        theirs = {
            o.client_order_id: (
                filled.get(o.broker_order_id, D(0)),
                statuses[o.broker_order_id] if statuses.get(o.broker_order_id) in ends else "open",
            )
            for o in orders
        }
        mine = {symbol: quantity for symbol, quantity in net_quantities(self.account).items() if quantity}
        return {"positions": mine, "orders": ours}, {"positions": positions, "orders": theirs}


def until(
    condition: Callable[[], bool], *, say: Callable[[], object] = lambda: "", within: timedelta = PATIENCE
) -> None:
    """Wait until something is true, looking now and then; `say` explains a failure."""
    began, pause = wall_now(), Event()
    while not condition():
        if wall_now() - began > within:
            raise AssertionError(f"not within {within}: {say()}")
        pause.wait(0.02)


__all__ = ["D", "Desk", "Fault", "FaultKind", "Order", "emulated", "listening_on", "until"]
