"""The checker finds what was sent in spite of a kill switch, and what still works under one."""

import pytest

from execution.emulator.log import EventLog
from execution.invariants import Stop
from execution.invariants.stops import check_stops
from execution.models import Account, Order
from risk.states import SwitchLevel
from tests.execution.cases import D, accepted_order, desk, filled_order
from tests.execution.invariants.mirror import described, mirror
from tests.execution.invariants.planting import text, told
from tests.factories import MARKET_AT, allow_bursts

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    """A desk with an order that works at the broker and one that was sent last."""
    allow_bursts()
    account, broker = desk()
    filled_order(account, broker, quantity=D(30), client_order_id="bought")
    accepted_order(account, broker, order_type="limit", limit_price=D(99), client_order_id="last")
    return account


def before_the_last(account: Account) -> tuple[EventLog, int]:
    """Return the log and the number of the entry before the last order."""
    log = mirror(account)
    last = next(entry for entry in log.entries(kind="submitted") if entry.data["client_order_id"] == "last")
    return log, last.sequence - 1


@pytest.mark.parametrize("scope", ["global", "account", "strategy:manual", "symbol:AAPL"])
def test_i4_an_order_that_left_after_the_engage_is_found(account, scope):
    log, after = before_the_last(account)
    scope = account.scope if scope == "account" else scope
    found = check_stops(account, log, [Stop(scope=scope, after=after)], settled=False)
    assert told(found) == {"I4"}
    assert f"last was taken (entry {after + 1})" in text(found)


@pytest.mark.parametrize(
    "stop",
    [
        {"scope": "strategy:other"},
        {"scope": "symbol:IBM"},
        {"scope": "account:other"},
        {"scope": "global", "in_flight": frozenset({"last"})},
    ],
)
def test_i4_what_the_switch_does_not_stop_is_no_violation(account, stop):
    log, after = before_the_last(account)
    assert check_stops(account, log, [Stop(after=after, **stop)], settled=False) == []


def test_i4_what_left_before_the_engage_or_after_the_release_is_no_violation(account):
    log, after = before_the_last(account)
    assert check_stops(account, log, [Stop(scope="global", after=after + 1)], settled=False) == []
    assert check_stops(account, log, [Stop(scope="global", after=0, until=1)]) == []
    assert check_stops(account, log, []) == []


def test_i4_what_works_under_an_engaged_switch_is_found_when_all_is_settled(account):
    log, _after = before_the_last(account)
    engaged = [Stop(scope="global", after=len(log))]
    assert check_stops(account, log, engaged, settled=False) == []
    order = Order.objects.get(client_order_id="last")
    assert f"broker order {order.broker_order_id}: is pending_new under the engaged switch" in text(
        check_stops(account, log, engaged)
    )
    assert check_stops(account, log, [Stop(scope="strategy:other", after=len(log))]) == []


@pytest.mark.parametrize(("side", "quantity", "adds_risk"), [("buy", 1, True), ("sell", 30, False), ("sell", 31, True)])
def test_i4_under_reduce_only_what_reduces_by_the_brokers_own_count_may_leave(account, side, quantity, adds_risk):
    log, after = before_the_last(account)
    log = EventLog.of(log.entries()[:after])
    order = Order.objects.get(client_order_id="last")
    log.add("submitted", at=MARKET_AT, **described(order, side=side, quantity=D(quantity)))
    reducing = [Stop(scope="global", after=after, level=SwitchLevel.REDUCING)]
    assert bool(check_stops(account, log, reducing, settled=False)) is adds_risk
