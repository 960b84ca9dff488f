"""An order that is worked in slices at the emulator, over real sockets: a short fill, a reject, a lost answer."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from execution.emulator.faults import Fault, FaultKind
from execution.emulator.venue.life import force_fill
from execution.models import ParentOrder
from execution.parent_orders import progress
from execution.selectors import net_quantities
from execution.services.slices import create_parent, work_parents
from execution.states import OPEN
from marketdata.services.feeds import set_market_time
from tests.execution.cases import assert_books_balance
from tests.execution.slicing.desk import next_due, wish
from tests.factories import D, make_quote
from tests.faults.line import Line

pytestmark = pytest.mark.django_db


def placed(line: Line, **fields: Any) -> ParentOrder:
    """Make a parent whose slices rest at the broker."""
    values: dict[str, Any] = {"limit_price": D(99), "slices": 3, "duration_minutes": 30, "quantity": D(30)}
    result = create_parent(wish=wish(**values | fields), account=line.account, wall_now=line.wall)
    assert result.parent is not None, result.denials
    return result.parent


def go(line: Line, at: datetime) -> None:
    """Bring both clocks to a time, with a fresh price on our side."""
    feed = line.account.feed
    seconds = (at - feed.market_at) // timedelta(seconds=1) if feed.market_at else 0
    line.emulator.advance(max(seconds, 1))
    line.account.feed = set_market_time(feed=feed, at=at)
    make_quote(line.account.feed, at=at)


def rounds(line: Line, count: int = 3) -> None:
    for _ in range(count):
        work_parents(account=line.account, now=lambda: line.wall)
        line.emulator.advance(1)
        line.round()


def fill(line: Line, parent: ParentOrder, quantity: int) -> None:
    """Execute so many shares of what rests."""
    state = line.emulator.venue.state
    working = parent.children.filter(status__in=sorted(OPEN)).first()
    if working is None:
        return
    name, shares = working.client_order_id, min(D(quantity), working.leaves_quantity)

    def execute() -> None:
        force_fill(state, state.orders.by_client_id(name), shares, state.moment(), D(99))

    line.emulator.call(execute)
    rounds(line)


def test_a_short_fill_a_reject_and_a_lost_answer_leave_the_whole_and_not_a_share_more(line: Line) -> None:
    parent = placed(line)
    line.emulator.faults.add(
        Fault(kind=FaultKind.REJECT_LATER, match={"client_order_id": f"{parent.client_order_id}-S2"})
    )
    while (due := next_due(parent)) is not None:
        if parent.children.count() == 2:
            line.goes_wrong(FaultKind.ACCEPT_THEN_DROP)
        go(line, due)
        rounds(line, 5)
        fill(line, parent, 4 if parent.children.count() == 1 else 30)  # the first gets four shares of its ten
        assert progress(parent).used <= 30
        assert_books_balance(line.account)
    go(line, parent.ends_at)
    rounds(line, 4)
    parent.refresh_from_db()
    done = progress(parent)
    ends = dict(parent.children.values_list("slice_number", "status"))
    assert (ends[1], ends[2], ends[3]) == ("canceled", "rejected", "filled")
    assert (parent.status, done.open) == ("expired", 0)
    assert done.filled == 24  # four, nothing, and twice the planned ten at most
    assert parent.reason.startswith("6 of 30 unfilled")
    assert net_quantities(line.account) == line.emulator.log.positions()
    assert len(line.submitted()) == len(set(line.submitted())) == 3
