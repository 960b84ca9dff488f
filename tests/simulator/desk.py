"""The desk's processes on the simulator's clock: what they keep in memory dies with them."""

from __future__ import annotations

from execution.brokers.alpaca import AlpacaBroker
from execution.brokers.alpaca.budget import Budget
from execution.brokers.alpaca.crosscheck import AlpacaReads
from execution.brokers.alpaca.events import read_frame
from execution.brokers.alpaca.line import Line
from execution.brokers.base import BrokerError, BrokerUnavailable
from execution.halting.procedure import advance, ensure_procedures
from execution.models import Account
from execution.services.broker_link import note_poll
from execution.services.cancel_sending import send_cancels
from execution.services.cancel_turns import Turns
from execution.services.cross_check import CrossCheck
from execution.services.dispatch import dispatch_once
from execution.services.inbox import reports_since
from execution.services.recovery import begin_recovery, recover_account, resolve_unanswered
from execution.services.reports import apply_reports
from execution.services.second_lock import keep_second_lock
from execution.services.sweep import EVERY, WHILE_STOPPED, sweep
from execution.services.updates import Update, take_updates
from tests.simulator.world import World
from trading.management.commands.run_dispatcher import RESOLVE_EVERY


class Dispatcher:
    """The process that sends. It begins with a recovery, and until that has succeeded only cancels leave."""

    def __init__(self, world: World) -> None:
        self.world = world
        line = Line(world.configuration, budget=Budget(nanoseconds=world.nanoseconds))
        world.wire.plug_into(line)
        self.broker = AlpacaBroker(line, reports=lambda cursor, limit: reports_since(world.account_id, cursor, limit))
        self.turns = Turns()
        self.has_begun = self.recovered = False
        self.resolved_at = self.swept_at = world.wall  # a recovery does both

    def recover(self, account: Account) -> bool:
        """Do what a round does before anything else; True when orders may leave."""
        if not self.has_begun:
            begin_recovery(account=account)
            self.has_begun = True
        if self.recovered and account.reconciliation != Account.Reconciliation.BROKEN:
            return True
        try:
            recover_account(account=account, broker=self.broker, wall_now=self.world.wall)
        except BrokerError:
            return self.recovered
        self.recovered = True
        return True

    def round(self) -> None:
        """Do all that a round does, and now and then what it does now and then; the account is read once for it."""
        world, broker = self.world, self.broker
        account = world.account()
        self.recover(account)
        apply_reports(account=account, broker=broker, wall_now=world.wall)
        dispatch_once(account=account, broker=broker, wall_now=world.wall)
        keep_second_lock(account=account, broker=broker, wall_now=world.wall)
        if world.stops:
            ensure_procedures(account=account, wall_now=world.wall)
            advance(account=account, broker=broker, wall_now=world.wall)
        apply_reports(account=account, broker=broker, wall_now=world.wall)
        if world.wall - self.resolved_at >= RESOLVE_EVERY:
            self.resolved_at = world.wall
            self.resolve(account)
        if world.wall - self.swept_at >= (WHILE_STOPPED if world.is_stopped else EVERY):
            self.swept_at = world.wall
            self.sweep(account)

    def send(self, limit: int = 100) -> bool:
        """Send cancels, and what waits while the account may trade; True when something was done."""
        world = self.world
        return dispatch_once(
            account=world.account(), broker=self.broker, wall_now=world.wall, limit=limit
        ).did_something

    def send_cancels(self) -> None:
        """Do what the thread of the cancels does."""
        world = self.world
        send_cancels(
            account=world.account(),
            broker=self.broker,
            wall_now=world.wall,
            market_at=world.wall,
            turns=self.turns,
        )

    def book(self) -> None:
        """Take what the inbox holds into the book."""
        apply_reports(account=self.world.account(), broker=self.broker, wall_now=self.world.wall)

    def resolve(self, account: Account) -> None:
        """Ask about orders without an answer."""
        try:
            resolve_unanswered(account=account, broker=self.broker, wall_now=self.world.wall)
        except BrokerError:
            return

    def sweep(self, account: Account) -> None:
        """See that what is to be over is over."""
        try:
            sweep(account=account, broker=self.broker, wall_now=self.world.wall)
        except BrokerError:
            return


class Listener:
    """The process that hears the broker: frames of the stream into the inbox, and REST beside it."""

    def __init__(self, world: World) -> None:
        self.world = world
        line = Line(world.configuration, budget=Budget(nanoseconds=world.nanoseconds))
        world.wire.plug_into(line)
        self.check = CrossCheck(account_id=world.account_id, reader=AlpacaReads(line, page_size=5))
        self.long = True

    def hear(self, frames: list[bytes]) -> None:
        """Store what frames of the stream tell, in the order in which they came."""
        world = self.world
        updates: list[Update] = [
            update for frame in frames if (update := read_frame(frame, received_at=world.wall)) is not None
        ]
        take_updates(account_id=world.account_id, updates=updates, wall_now=world.wall)

    def cross_check(self) -> None:
        """Ask REST."""
        try:
            checked = self.check.round(wall_now=self.world.wall, long=self.long)
        except BrokerUnavailable as failure:
            self.long = True
            note_poll(account_id=self.world.account_id, wall_now=self.world.wall, problem=failure.reason)
            return
        self.long = False
        note_poll(
            account_id=self.world.account_id,
            wall_now=self.world.wall,
            shortfall="; ".join(checked.missing),
            backfilled_until=checked.until,
        )
