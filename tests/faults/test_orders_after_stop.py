"""Nothing leaves that should not: after the switch, after a refusal, while the rate is used up, in a loop."""

from datetime import timedelta
from typing import Any

import pytest

from execution.emulator.faults import FaultKind
from execution.emulator.rate import RateLimit
from execution.emulator.venue.life import force_fill
from execution.models import Order
from execution.services import claims
from execution.services import orders as orders_module
from execution.services.cancels import request_cancel
from execution.services.halt import engage_kill_switch
from execution.services.orders import submit_order
from execution.services.reports import apply_reports
from marketdata.models import Feed
from risk.models import GLOBAL_SCOPE
from risk.services import kill_switch
from risk.types import Side
from tests.execution.cases import assert_books_balance, position_of
from tests.factories import MARKET_AT, WALL_NOW, D, allow, allow_bursts, make_intent, make_order, make_quote, submit
from tests.faults.line import Line
from tests.risk.threads import in_another_transaction

pytestmark = pytest.mark.django_db
RESTING: dict[str, Any] = {"order_type": "limit", "limit_price": D(99)}
REASON = "a test of what is left"


def stop(line: Line) -> None:
    engage_kill_switch(scope=GLOBAL_SCOPE, operator="ann", reason=REASON, source="console", wall_now=line.wall)


def release(line: Line) -> None:
    kill_switch.disengage(
        scope=GLOBAL_SCOPE,
        operator="ann",
        second_operator="bob",
        reason=REASON,
        source="console",
        now=line.wall,
    )


def statuses() -> set[str]:
    return set(Order.objects.values_list("status", flat=True))


def live(line: Line) -> list[str]:
    return [order.client_order_id for order in line.broker.open_orders()]


def many(line: Line, count: int) -> None:
    allow_bursts()
    for number in range(count):
        make_order(line.account, client_order_id=f"n{number:02}", quantity=D(1), **RESTING)


def test_a_storm_of_entries_leaves_requests_for_the_cancels(line: Line) -> None:
    """Case 32: of 10 requests a minute entries get 7; the switch's cancels find the rest, and go on in the next."""
    many(line, 12)
    line.emulator.surface.rate = RateLimit(10)
    for _ in range(14):
        line.dispatch()
    sent = line.posts()
    assert 5 <= sent <= 7
    stop(line)
    assert Order.objects.filter(status="canceled").count() == 12 - sent
    line.dispatch()
    deletes = line.emulator.surface.requests["DELETE", "/v2/orders/{id}"]
    assert deletes >= 3
    for _ in range(3):
        line.emulator.surface.rate = RateLimit(10)  # the next minute of the broker
        line.round()
    assert (statuses(), live(line), line.posts()) == ({"canceled"}, [], sent)
    assert_books_balance(line.account)


def test_a_429_is_no_order_and_is_not_asked_again_before_its_minute_is_over(line: Line) -> None:
    """Case 32: the order waits as it was, and is there once."""
    many(line, 1)
    line.goes_wrong(FaultKind.RATE_LIMITED, parameters={"seconds": 60})
    for _ in range(20):
        line.dispatch()
    assert (line.posts(), statuses(), line.submitted()) == (1, {"pending"}, [])
    line.round()
    assert (line.posts(), line.submitted()) == (2, ["n00"])


def test_what_waited_for_the_rate_does_not_go_out_after_the_switch_was_released(line: Line) -> None:
    """Case 33: our only queue are the pending orders, and the switch empties it."""
    many(line, 3)
    line.goes_wrong(FaultKind.RATE_LIMITED, parameters={"seconds": 60})
    line.dispatch()
    assert line.broker.pause_seconds > 0
    stop(line)
    assert statuses() == {"canceled"}
    release(line)
    for _ in range(3):
        line.round()
    assert (line.posts(), line.submitted()) == (1, [])
    assert position_of(line.account).open_order_count == 0


@pytest.mark.parametrize("kind", [FaultKind.REFUSE_DROP, FaultKind.REFUSE_500, FaultKind.REFUSE_503])
def test_what_had_no_answer_at_the_switch_is_not_sent_again_after_its_release(line: Line, kind: FaultKind) -> None:
    """Case 33: an open question that turns out as never sent ends as canceled, not as waiting."""
    many(line, 1)
    line.goes_wrong(kind)
    line.dispatch()
    assert statuses() == {"submitted"}
    stop(line)
    release(line)
    for _ in range(3):
        line.round()
    assert (statuses(), line.posts(), line.submitted()) == ({"canceled"}, 1, [])
    assert_books_balance(line.account)


@pytest.mark.parametrize("kind", [FaultKind.ACCEPT_THEN_DROP, FaultKind.ACCEPT_THEN_500])
def test_what_had_no_answer_at_the_switch_and_is_there_is_canceled_there(line: Line, kind: FaultKind) -> None:
    """Case 33: an open question that turns out as taken is canceled at the broker."""
    many(line, 1)
    line.goes_wrong(kind)
    line.dispatch()
    stop(line)
    for _ in range(3):
        line.round()
    assert (statuses(), live(line), line.submitted()) == ({"canceled"}, [], ["n00"])


def test_an_exit_that_would_open_a_position_by_now_is_not_sent(line: Line) -> None:
    """Case 35: reduce-only is asked again at the claim, on the position of then, and the broker knows no such word."""
    allow_bursts()
    make_order(line.account, client_order_id="hold")
    line.round()
    make_order(line.account, client_order_id="first", side=Side.SELL, order_type="limit", limit_price=D(105))
    line.round()
    request_cancel(order=Order.objects.get(client_order_id="first"), operator="ann", wall_now=line.wall)
    line.round()
    make_order(line.account, client_order_id="exit", side=Side.SELL, reduce_only=True)
    sell_late(line, "first")
    apply_reports(account=line.account, broker=line.broker, wall_now=line.wall)
    assert position_of(line.account).quantity == 0
    line.round()
    refused = Order.objects.get(client_order_id="exit")
    assert (refused.status, refused.error_code) == ("denied", "REDUCE_ONLY")
    assert line.submitted() == ["hold", "first"]
    assert line.emulator.log.positions().get("AAPL", D(0)) == 0
    assert_books_balance(line.account)


def sell_late(line: Line, name: str) -> None:
    """Let an order that was canceled fill after all."""
    state = line.emulator.venue.state
    line.emulator.call(lambda: force_fill(state, state.orders.by_client_id(name), D(10), state.moment(), D(105)))


def test_a_loop_that_says_the_same_again_and_again_is_one_order(line: Line) -> None:
    """Case 40: without an id of its own the same wish of a session is the first order."""
    allow_bursts()
    for _ in range(10):
        submit(line.account)
        line.dispatch()
    line.round()
    assert (Order.objects.count(), line.posts()) == (1, 1)


def test_a_loop_with_new_ids_meets_the_interval_between_orders(line: Line) -> None:
    """Case 40: one order of a name and strategy in 30 market seconds, with the limits as they are installed."""
    codes = set()
    for number in range(10):
        codes |= {str(each.code) for each in submit(line.account, client_order_id=f"n{number}").denials}
        line.dispatch()
    assert (codes, line.posts()) == ({"ORDER_INTERVAL"}, 1)


def test_a_loop_that_is_refused_by_the_broker_does_not_hammer_it(line: Line) -> None:
    """Case 40: a refused order counts for the interval as any other."""
    line.emulator.call(lambda: line.emulator.venue.block(trading_blocked=True))
    for number in range(10):
        submit(line.account, client_order_id=f"n{number}")
        line.dispatch()
    assert (line.posts(), line.submitted()) == (1, [])


@pytest.mark.parametrize("named", [True, False])
def test_a_loop_of_exits_that_the_broker_refuses_is_held_up_for_a_minute(line: Line, named: bool) -> None:
    """Case 40: exits pass the limits on pace, so the fifth refusal within a minute is the last that is asked for."""
    make_order(line.account, client_order_id="hold")
    line.round()
    line.emulator.call(lambda: line.emulator.venue.block(trading_blocked=True))
    before = line.posts()
    for number in range(10):
        submit(line.account, client_order_id=f"n{number}" if named else "", side=Side.SELL, reduce_only=True)
        line.dispatch()
    assert line.posts() == before + 5
    newest = Order.objects.latest("pk")
    assert (newest.status, newest.error_code) == ("denied", "REFUSED_TOO_OFTEN")
    assert position_of(line.account).open_order_count == 0
    line.emulator.call(lambda: line.emulator.venue.block(trading_blocked=False))
    line.wall += timedelta(minutes=1)
    submit(line.account, client_order_id="later", side=Side.SELL, reduce_only=True)
    line.round()
    assert Order.objects.get(client_order_id="later").status == "filled"


def test_a_loop_that_is_rejected_after_it_was_taken_is_held_up_as_well(line: Line) -> None:
    """Case 40: what counts is that the broker has refused, not when it said so."""
    allow_bursts()
    line.goes_wrong(FaultKind.REJECT_LATER, match={}, times=None)
    for number in range(10):
        submit(line.account, client_order_id=f"n{number}")
        line.dispatch()
        apply_reports(account=line.account, broker=line.broker, wall_now=line.wall)
    assert (line.posts(), statuses()) == (5, {"rejected", "denied"})


def test_a_slow_loop_ends_at_the_position_limit(line: Line) -> None:
    """Case 40: a minute apart each order passes the interval, and 1,000 shares are the most."""
    codes = set()
    for minute in range(6):
        at = MARKET_AT.replace(minute=minute)
        Feed.objects.filter(pk=line.account.feed_id).update(market_at=at)
        make_quote(line.account.feed, at=at)
        denials = submit(line.account, client_order_id=f"n{minute}", quantity=D(300)).denials
        codes |= {str(each.code) for each in denials}
        line.round()
    assert (line.posts(), position_of(line.account).quantity) == (3, 900)
    assert "POSITION_LIMIT" in codes


def test_a_loop_over_many_names_meets_the_rate_of_the_account(line: Line) -> None:
    """Case 40: names and strategies of their own share the account's orders in a minute."""
    allow(min_order_interval_seconds=0, max_orders_per_minute=5)
    codes = [
        str(each.code)
        for number in range(10)
        for each in submit(line.account, client_order_id=f"n{number}", quantity=D(1), **RESTING).denials
    ]
    for _ in range(10):
        line.dispatch()
    assert (codes, line.posts()) == (["ORDER_RATE"] * 5, 5)


@pytest.mark.django_db(transaction=True)
def test_an_order_that_was_on_its_way_into_the_book_when_the_switch_fell_is_not_sent(line: Line) -> None:
    """Case 41: the gate had passed it, the cancels did not see it yet; the claim looks at the switch again."""
    late_order(line)
    assert (statuses(), line.posts(), live(line)) == ({"denied"}, 0, [])


@pytest.mark.django_db(transaction=True)
def test_control_without_the_second_look_an_order_leaves_after_the_stop(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 41: this is what the claim's look at the switch is for."""
    monkeypatch.setattr(claims._Stops, "refusal", lambda *_: None)
    late_order(line)
    assert line.posts() == 1


def late_order(line: Line) -> None:
    """Engage the switch while an order has passed the gate and is not committed, then send what there is."""
    with in_another_transaction(lambda: submit(line.account, client_order_id="late", **RESTING)):
        stop(line)
        assert not Order.objects.exists()
    line.round()


def test_after_the_stop_nothing_that_is_asked_for_leaves(line: Line) -> None:
    """Case 41: whoever goes on asking is denied, reductions as well, and the broker hears nothing."""
    allow_bursts()
    make_order(line.account, client_order_id="hold")
    line.round()
    stop(line)
    for number, side in enumerate((Side.BUY, Side.SELL) * 5):
        denials = submit(line.account, client_order_id=f"n{number}", side=side).denials
        assert "KILL_SWITCH" in [str(each.code) for each in denials]
        line.dispatch()
    line.round()
    assert line.submitted() == ["hold"]


def test_a_gate_that_fails_lets_nothing_through(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 42: there is no queue of approvals; what cannot be judged is not stored, and only what is stored goes."""

    def fail(*_: object) -> None:
        raise RuntimeError("a check is broken")

    monkeypatch.setattr(orders_module, "evaluate", fail)
    with pytest.raises(RuntimeError):
        submit_order(intent=make_intent(), account=line.account, wall_now=WALL_NOW)
    line.round()
    assert (Order.objects.count(), line.posts()) == (0, 0)


def test_a_second_look_that_fails_lets_nothing_through(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 42: when the switch cannot be read at the claim, nothing is claimed."""

    def fail(*_: object) -> None:
        raise RuntimeError("the state cannot be read")

    many(line, 1)
    monkeypatch.setattr(claims, "_stops", fail)
    with pytest.raises(RuntimeError):
        line.dispatch()
    assert (statuses(), line.posts()) == ({"pending"}, 0)
