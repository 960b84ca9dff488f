"""A desk that works orders in slices: its market clock in the test's hand, its broker in memory."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from execution.models import Account, Order, ParentOrder, Slice
from execution.parent_orders import Progress, progress
from execution.services.slices import ParentResult, ParentWish, create_parent, work_parents
from execution.slicing.states import Algo
from execution.states import OPEN
from marketdata.services.feeds import set_market_time
from risk import gate
from risk.checks.crossing import check_parent
from risk.types import Side
from tests.execution.cases import assert_books_balance, dispatch, recorded
from tests.execution.fake_broker import FakeBroker
from tests.factories import MARKET_AT, WALL_NOW, make_account, make_quote

D = Decimal
MINUTE = timedelta(minutes=1)


def wish(**fields: Any) -> ParentWish:
    """Make the wish to buy a hundred AAPL over an hour in ten slices."""
    values: dict[str, Any] = {
        "strategy": "manual",
        "symbol": "AAPL",
        "side": Side.BUY,
        "quantity": D(100),
        "algo": Algo.TWAP,
        "duration_minutes": 60,
        "slices": 10,
    }
    return ParentWish(**values | fields)


@dataclass
class SlicingDesk:
    """Everything that a parent order needs, one step at a time."""

    account: Account = field(default_factory=make_account)
    broker: FakeBroker = field(default_factory=FakeBroker)
    at: datetime = MARKET_AT
    wall: datetime = WALL_NOW

    def ask(self, **fields: Any) -> ParentResult:
        return create_parent(wish=wish(**fields), account=self.account, wall_now=self.wall)

    def parent(self, **fields: Any) -> ParentOrder:
        """Make a parent that has passed the gate."""
        result = self.ask(**fields)
        assert result.parent is not None, result.denials
        return result.parent

    def go(self, at: datetime) -> None:
        """Bring the market to a time, with a fresh price."""
        self.at = max(at, self.at)
        set_market_time(feed=self.account.feed, at=self.at)
        make_quote(self.account.feed, at=self.at)
        self.account = Account.objects.select_related("feed").get(pk=self.account.pk)

    def work(self) -> int:
        """Do what the worker does; the wall goes on by a second."""
        self.wall += timedelta(seconds=1)
        return work_parents(account=self.account, now=lambda: self.wall)

    def send(self) -> None:
        """Do what the dispatcher does, and take the answers into the book."""
        dispatch(self.account, self.broker, wall_now=self.wall)
        recorded(self.account, self.broker)

    def round(self) -> int:
        """Work and send."""
        sent = self.work()
        self.send()
        return sent

    def fill(self, order: Order, quantity: Any = None) -> None:
        """Let the broker execute what is open of an order, or a part of it."""
        self.broker.fill(order.client_order_id, quantity or order.leaves_quantity)
        recorded(self.account, self.broker)

    def play(self, parent: ParentOrder, *, fill: bool = True) -> None:
        """Go from slice to slice to the end of the window, and fill what works."""
        while (due := next_due(parent)) is not None:
            self.go(due)
            self.round()
            self.round()
            if fill:
                for order in open_children(parent):
                    self.fill(order)
                self.work()
        self.work()
        parent.refresh_from_db()
        if parent.is_live:
            self.go(parent.ends_at)
            self.round()
            self.work()

    def checked(self, parent: ParentOrder) -> Progress:
        """Return the progress, after a look at everything that always holds."""
        parent.refresh_from_db()
        done = progress(parent)
        assert done.used <= parent.quantity
        assert_books_balance(self.account)
        return done


def first_sent(desk: SlicingDesk, **fields: Any) -> ParentOrder:
    """Make a parent and send its first slice."""
    parent = desk.parent(**fields)
    due = next_due(parent)
    assert due is not None
    desk.go(due)
    assert desk.round() == 1
    return parent


def next_due(parent: ParentOrder) -> datetime | None:
    first = parent.slices.filter(status="planned").order_by("due_at").first()
    return None if first is None else first.due_at


def open_children(parent: ParentOrder) -> list[Order]:
    working = parent.children.filter(status__in=sorted(OPEN)).order_by("pk")
    return list(working.select_related("account__feed", "instrument", "strategy"))


def slices_of(parent: ParentOrder) -> list[Slice]:
    return list(parent.slices.order_by("number"))


def steps_of(parent: ParentOrder) -> list[str]:
    return list(parent.events.order_by("id").values_list("step", flat=True))


def overlook_parents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the gate not ask whether a child fits into its parent, so that the database is alone with it."""
    rules = tuple(rule for rule in gate.RULE_CHECKS if rule is not check_parent)
    assert len(rules) < len(gate.RULE_CHECKS)
    monkeypatch.setattr(gate, "RULE_CHECKS", rules)
