"""Over a limit: listed, told, only reduced; and the automatic reduction where it is wanted."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest
from django.db import OperationalError, connection

from execution.models import Account, Order
from execution.services.halt import engage_kill_switch
from execution.states import OrderStatus
from marketdata.services.feeds import set_market_time
from risk.models import Alert, LimitBreach, RiskReading
from risk.services import breaker
from risk.types import OrderType, Origin, Side
from tests.execution.cases import dispatch, recorded
from tests.factories import WALL_NOW, D, allow, make_instrument, make_order, make_quote, submit
from tests.trading.risk_watch.desk import Desk
from trading.services.risk_watch import breaches_in_force, described, enforce_changed_limits, reducing
from trading.services.risk_watch.over_limits import keep_to_limits
from trading.services.risk_watch.reducing import reduce_one

pytestmark = pytest.mark.django_db
WIDE = 10**6
# limit, and what 100 AAPL at 100 and 50 MSFT at 100 hold of it
HELD = {
    "max_position_quantity": 100,
    "max_position_notional": 10_000,
    "max_gross_notional": 15_000,
    "max_net_notional": 15_000,
    "max_names": 2,
}


@pytest.fixture
def desk():
    desk = Desk().hold(100)
    make_instrument("MSFT")
    make_quote(desk.account.feed, "MSFT")
    allow(max_gross_notional=WIDE, max_net_notional=WIDE, daily_loss_pct=100, weekly_loss_pct=100, drawdown_pct=100)
    order = make_order(desk.account, symbol="MSFT", quantity=D(50))
    dispatch(desk.account, desk.broker)
    desk.broker.fill(order.client_order_id, D(50), "100")
    recorded(desk.account, desk.broker)
    desk.watch()
    return desk


def codes(result):
    return {denial.code.value for denial in result.denials}


@pytest.mark.parametrize("name", HELD)
@pytest.mark.parametrize("beside", [1, 0, -1])
def test_176_a_limit_lowered_to_what_is_held_or_below_leaves_only_orders_that_reduce(desk, name, beside):
    allow(**{name: HELD[name] + beside})
    desk.watch()
    found = {row.limit_name for row in breaches_in_force(desk.account.scope)}
    assert found == ({name} if beside < 0 else set())
    adding = {"symbol": "IBM"} if name == "max_names" else {}
    make_instrument("IBM")
    make_quote(desk.account.feed, "IBM")
    added = submit(desk.account, quantity=D(1), client_order_id="adds", **adding)
    assert added.accepted == (beside == 1 and name in ("max_position_quantity", "max_names"))
    reduced = submit(desk.account, side=Side.SELL, quantity=D(1), reduce_only=True, client_order_id="reduces")
    assert reduced.accepted


def test_176_open_orders_that_would_pass_the_new_limit_are_canceled_and_those_that_reduce_stay(desk):
    adds = make_order(desk.account, quantity=D(40), order_type=OrderType.LIMIT, limit_price=D(99))
    reduces = make_order(desk.account, side=Side.SELL, quantity=D(10), order_type=OrderType.LIMIT, limit_price=D(101))
    other = make_order(desk.account, symbol="MSFT", quantity=D(5), order_type=OrderType.LIMIT, limit_price=D(99))
    allow(max_position_quantity=120)
    desk.watch()
    assert status(adds) == OrderStatus.CANCELED
    assert status(reduces) == status(other) == OrderStatus.PENDING
    assert not breaches_in_force(desk.account.scope).exists()  # what is held is within it


def test_176_a_changed_limit_does_not_wait_for_the_watch(desk):
    adds = make_order(desk.account, quantity=D(40), order_type=OrderType.LIMIT, limit_price=D(99))
    allow(max_position_quantity=50)
    enforce_changed_limits(wall_now=WALL_NOW)
    assert status(adds) == OrderStatus.CANCELED
    assert breaches_in_force(desk.account.scope).exists()


def test_the_news_of_a_changed_limit_reach_the_watch(desk, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        allow(max_position_quantity=50)
    assert breaches_in_force(desk.account.scope).exists()


def test_a_price_that_moves_cancels_no_order_within_its_reserved_limit(desk):
    """The gate has reserved it; only what is held has passed nothing."""
    allow(max_position_notional=14_000)
    desk.watch()
    adds = make_order(desk.account, quantity=D(39), order_type=OrderType.LIMIT, limit_price=D(100))
    desk.price("101")
    desk.watch()
    assert status(adds) == OrderStatus.PENDING
    desk.price("141")
    desk.watch()
    assert status(adds) == OrderStatus.CANCELED


def status(order):
    return Order.objects.get(pk=order.pk).status


def test_a_breach_is_one_row_one_alert_and_says_the_way_back(desk):
    allow(max_position_quantity=80)
    for _ in range(3):
        desk.watch()
    rows = breaches_in_force(desk.account.scope)
    assert [row.strategy for row in rows] == ["", "manual"]
    assert described(rows[0]) == "Shares held in one name (AAPL): 100, 80 allowed; 20 shares of AAPL have to go"
    alerts = Alert.objects.filter(code="over_limit")
    assert {(alert.count, alert.state) for alert in alerts} == {(1, "open")}
    allow(max_position_quantity=100)
    desk.watch()
    assert not breaches_in_force(desk.account.scope).exists()
    assert set(alerts.values_list("state", flat=True)) == {"resolved"}
    assert LimitBreach.objects.filter(over_at=desk.now).count() == 2


def test_what_the_orders_have_to_be_held_against_is_not_forgotten_by_a_crash(desk, monkeypatch):
    adds = make_order(desk.account, quantity=D(40), order_type=OrderType.LIMIT, limit_price=D(99))
    allow(max_position_quantity=120)
    desk.look()  # and the process died before the orders were looked at
    desk.watch()
    assert status(adds) == OrderStatus.CANCELED
    version = RiskReading.objects.get().limits_version
    desk.watch()
    assert RiskReading.objects.get().limits_version == version


# Automatic reduction


def reductions(desk):
    return list(Order.objects.filter(account=desk.account, origin=Origin.REDUCTION).order_by("id"))


def fill(desk, order, quantity=None):
    dispatch(desk.account, desk.broker, wall_now=desk.now)
    desk.broker.fill(order.client_order_id, quantity or order.quantity, "100")
    recorded(desk.account, desk.broker)


def test_nothing_is_reduced_unless_it_is_wanted(desk):
    allow(max_position_quantity=80)
    desk.watch()
    assert reductions(desk) == []


def test_105_one_order_brings_it_back_under_the_limit_and_no_second_is_asked_for_meanwhile(desk):
    allow(max_position_quantity=80, auto_reduce=1)
    for _ in range(5):
        desk.watch(seconds=60)
    [order] = reductions(desk)
    assert (order.side, order.quantity, order.reduce_only, order.status) == ("sell", 20, True, "pending")
    fill(desk, order)
    desk.watch(seconds=60)
    assert len(reductions(desk)) == 1
    assert not breaches_in_force(desk.account.scope).exists()


def test_a_breach_by_the_market_is_reduced_too_and_under_a_tripped_breaker(desk):
    allow(max_position_notional=12_000, auto_reduce=1)
    desk.watch()
    breaker.trip(scope=desk.account.scope, reason="too much in one day", operator="ann", now=desk.now)
    desk.price(150)
    desk.watch()
    [order] = reductions(desk)
    assert order.quantity == 20  # 100 x 150 is 15,000; 80 x 150 is 12,000


def test_nothing_is_reduced_while_the_kill_switch_is_engaged(desk):
    allow(max_position_quantity=80, auto_reduce=1)
    engage_kill_switch(scope="global", operator="ann", reason="everything stops", source="command", wall_now=desk.now)
    desk.watch()
    assert reductions(desk) == []


def test_nothing_is_reduced_outside_the_session(desk):
    allow(max_position_quantity=80, auto_reduce=1)
    set_market_time(feed=desk.account.feed, at=datetime(2012, 6, 14, 22, 0, tzinfo=UTC))
    desk.watch()
    assert reductions(desk) == []


def test_105_refused_tries_are_paused_counted_and_then_left_to_people(desk, monkeypatch):
    allow(max_position_quantity=80, auto_reduce=1)
    asked = []

    def refused(**given):
        asked.append(given["intent"])
        return submit(desk.account, quantity=D(10**9), client_order_id=f"refused-{len(asked)}")

    monkeypatch.setattr(reducing, "submit_order", refused)
    for _ in range(4):
        desk.watch(seconds=10)
    assert len(asked) == 2  # at once, and after the pause of 30 seconds
    for _ in range(40):
        desk.watch(seconds=31)
    assert len(asked) == 2 * reducing.MOST_TRIES  # of the account's breach and of the strategy's
    told = Alert.objects.filter(code="auto_reduction_failed", severity="critical")
    assert list(told.values_list("count", flat=True)) == [1, 1]  # once each, not with every look
    allow(max_position_quantity=100)
    desk.watch()
    assert set(Alert.objects.filter(code="auto_reduction_failed").values_list("state", flat=True)) == {"resolved"}


def test_a_reduction_larger_than_one_order_may_be_goes_in_parts(desk):
    allow(max_position_quantity=50, max_order_quantity=30, auto_reduce=1)
    desk.watch()
    [first] = reductions(desk)
    assert first.quantity == 30
    fill(desk, first)
    desk.watch(seconds=31)
    [_, second] = reductions(desk)
    assert second.quantity == 20


def test_an_order_that_is_not_counted_was_not_asked_for(desk, monkeypatch):
    allow(max_position_quantity=80, auto_reduce=1)

    def died(*_):
        raise OperationalError("the connection was lost")

    with monkeypatch.context() as patched:
        patched.setattr(reducing, "_count", died)
        with pytest.raises(OperationalError):
            desk.watch()
    assert reductions(desk) == []
    desk.watch()
    assert len(reductions(desk)) == 1


@pytest.mark.parametrize("control", [False, True], ids=["fenced", "control without the fence"])
def test_105_who_read_the_breach_before_somebody_tried_does_not_try(desk, monkeypatch, control):
    monkeypatch.setattr(reducing, "_may_trade", lambda *_: True)
    if control:
        monkeypatch.setattr(reducing, "_is_ours", lambda *_: True)
    allow(max_position_quantity=80, auto_reduce=1)
    look = desk.look()
    breaches = keep_to_limits(account=desk.account, look=look, wall_now=desk.now)
    for _ in range(2):
        reduce_one(account=desk.account, look=look, breaches=breaches, wall_now=desk.now)
    assert len(reductions(desk)) == (2 if control else 1)


@pytest.mark.django_db(transaction=True)
def test_105_two_watchers_that_reduce_at_once_ask_for_one_order():
    desk = Desk().hold(100)
    desk.watch()
    allow(max_position_quantity=80, auto_reduce=1)
    look = desk.look()
    breaches = keep_to_limits(account=desk.account, look=look, wall_now=desk.now)
    barrier = Barrier(4)

    def reduce(_):
        try:
            account = Account.objects.select_related("feed").get(pk=desk.account.pk)
            barrier.wait(30)
            reduce_one(account=account, look=look, breaches=breaches, wall_now=desk.now)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(reduce, range(4)))
    assert [order.quantity for order in reductions(desk)] == [20]
