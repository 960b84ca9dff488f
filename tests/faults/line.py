"""A desk at an emulator, with both clocks in the test's hand and no stream: the shortest real way to the broker."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from execution.brokers.alpaca import AlpacaBroker
from execution.emulator.faults import Fault, FaultKind
from execution.emulator.server import RunningEmulator
from execution.models import Account, Order
from execution.services.dispatch import dispatch_once
from execution.services.recovery import resolve_unanswered
from execution.services.reports import apply_reports
from tests.execution.brokers.alpaca.emulated import Ticker
from tests.factories import WALL_NOW, D

POST = {"method": "POST", "path": "/v2/orders"}
TAKEN = [
    FaultKind.ACCEPT_THEN_TIMEOUT,
    FaultKind.ACCEPT_THEN_DROP,
    FaultKind.ACCEPT_THEN_504,
    FaultKind.ACCEPT_THEN_500,
    FaultKind.ACCEPT_THEN_HTML,
    FaultKind.ACCEPT_THEN_TORN,
]
NOT_TAKEN = [
    FaultKind.REFUSE_500,
    FaultKind.REFUSE_503,
    FaultKind.REFUSE_HTML,
    FaultKind.REFUSE_DROP,
    FaultKind.UNAUTHORIZED,
    FaultKind.RATE_LIMITED,
]
RESTING: dict[str, Any] = {"order_type": "limit", "limit_price": D(99)}
"""Terms of an order that the broker takes and the market does not meet."""


@dataclass
class Line:
    """A desk at an emulator, with both clocks in the test's hand."""

    account: Account
    emulator: RunningEmulator
    broker: AlpacaBroker
    ticker: Ticker
    wall: datetime = WALL_NOW

    def goes_wrong(self, kind: FaultKind, **fields: Any) -> None:
        self.emulator.faults.add(Fault(kind=kind, **{"match": POST, "times": 1} | fields))

    def round(self) -> None:
        """Do what the dispatcher does, half a minute after the last time."""
        self.settle()
        self.hear()

    def settle(self) -> None:
        """Ask about what is open and send what waits; the stream is silent."""
        self.wall += timedelta(seconds=30)
        self.ticker.pass_seconds(61)
        resolve_unanswered(account=self.account, broker=self.broker, wall_now=self.wall)
        self.dispatch()

    def dispatch(self) -> None:
        dispatch_once(account=self.account, broker=self.broker, wall_now=self.wall)

    def submitted(self) -> list[str]:
        """Return what the venue took, from its own log."""
        return [entry.data["client_order_id"] for entry in self.emulator.log.entries(kind="submitted")]

    def posts(self) -> int:
        return self.emulator.surface.requests["POST", "/v2/orders"]

    def order(self) -> Order:
        return Order.objects.get()

    def hear(self) -> None:
        """Take what the broker has told into the book."""
        apply_reports(account=self.account, broker=self.broker, wall_now=self.wall)

    def refusals(self) -> list[str]:
        """Return what the venue said to what it did not take."""
        return [entry.data["message"] for entry in self.emulator.log.entries(kind="refused")]


def named(name: str) -> Order:
    return Order.objects.select_related("account__feed", "instrument", "strategy").get(client_order_id=name)
