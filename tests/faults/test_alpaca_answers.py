"""Whatever becomes of a request on the way to the broker: the order is there once, or never, and the book knows."""

from contextlib import suppress
from random import Random
from typing import Any

import pytest

from execution.brokers.base import BrokerError
from execution.emulator.faults import FaultKind
from execution.models import Order
from execution.services.cancels import request_cancel
from execution.services.groups import submit_group
from execution.services.halt import engage_kill_switch
from execution.services.recovery import recover_account
from execution.services.replaces import request_replace
from execution.services.reports import apply_reports
from risk.types import Origin, Side
from tests.execution.cases import assert_books_balance
from tests.factories import WALL_NOW, D, allow_bursts, make_intent, make_order
from tests.faults.line import NOT_TAKEN, TAKEN, Line

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("kind", TAKEN)
def test_an_order_whose_answer_was_lost_is_found_and_never_sent_again(line: Line, kind: FaultKind) -> None:
    order = make_order(line.account)
    line.goes_wrong(kind, parameters={"seconds": "0.4"})
    line.dispatch()
    assert line.order().status == "submitted"
    line.dispatch()
    assert line.posts() == 1
    line.round()
    assert line.submitted() == [order.client_order_id]
    assert line.posts() == 1
    assert line.order().status in {"accepted", "partially_filled", "filled"}
    assert line.order().broker_order_id
    assert_books_balance(line.account)


@pytest.mark.parametrize("kind", NOT_TAKEN)
def test_an_order_that_was_not_taken_is_sent_again_and_is_there_once(line: Line, kind: FaultKind) -> None:
    order = make_order(line.account)
    line.goes_wrong(kind, parameters={"seconds": 1})
    line.dispatch()
    assert line.order().status in {"submitted", "pending"}
    assert line.submitted() == []
    for _ in range(2):
        line.round()
    assert line.submitted() == [order.client_order_id]
    assert line.order().status in {"accepted", "partially_filled", "filled"}
    assert_books_balance(line.account)


@pytest.mark.parametrize("kind", [FaultKind.ACCEPT_THEN_DROP, FaultKind.ACCEPT_THEN_500])
def test_an_order_that_the_broker_does_not_show_at_first_is_there_once(line: Line, kind: FaultKind) -> None:
    order = make_order(line.account)
    line.goes_wrong(kind)
    line.goes_wrong(FaultKind.HIDE_ORDER, match={"client_order_id": order.client_order_id}, parameters={"seconds": 60})
    line.dispatch()
    line.settle()  # not found after the grace: sent again under the same id, refused, still not shown
    assert (line.order().status, line.posts()) == ("submitted", 2)
    line.emulator.call(lambda: line.emulator.surface.clock.advance(D(61)))
    line.round()
    assert line.submitted() == [order.client_order_id]
    assert line.order().status in {"accepted", "partially_filled", "filled"}
    assert_books_balance(line.account)


def test_a_crash_between_the_brokers_yes_and_ours_is_recovered(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    order = make_order(line.account)

    def die(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("execution.services.dispatch.record_answers", die)
    with pytest.raises(KeyboardInterrupt):
        line.dispatch()
    monkeypatch.undo()
    assert line.order().status == "submitted"
    recover_account(account=line.account, broker=line.broker, wall_now=WALL_NOW)
    assert line.submitted() == [order.client_order_id]
    assert line.order().broker_order_id
    assert line.posts() == 1


def test_a_refusal_of_the_broker_is_final_and_holds_nothing(line: Line) -> None:
    line.emulator.call(lambda: line.emulator.venue.block(trading_blocked=True))
    make_order(line.account)
    line.dispatch()
    assert line.order().status == "rejected"
    assert line.order().error_code == "40310000"
    assert_books_balance(line.account)


def test_a_storm_of_failures_is_slowed_down(line: Line) -> None:
    allow_bursts()
    for number in range(4):
        make_order(line.account, client_order_id=f"n{number}")
    line.goes_wrong(FaultKind.REFUSE_503, times=None)
    for _ in range(10):
        line.dispatch()
    assert line.posts() == 1  # a second's pause after the first failure
    line.ticker.pass_seconds(1)
    for _ in range(10):
        line.dispatch()
    assert line.posts() == 2
    line.ticker.pass_seconds(1)
    line.dispatch()
    assert line.posts() == 2  # now it is two seconds


def test_a_kill_switch_between_two_sends_stops_the_second(line: Line) -> None:
    allow_bursts()
    for number in range(3):
        make_order(line.account, client_order_id=f"n{number}", order_type="limit", limit_price=D(99))
    line.dispatch()
    assert line.submitted() == ["n0"]
    engage_kill_switch(
        scope="global", operator="ann", reason="a test of the last look", source="console", wall_now=WALL_NOW
    )
    line.dispatch()
    assert line.submitted() == ["n0"]
    apply_reports(account=line.account, broker=line.broker, wall_now=WALL_NOW)
    assert set(Order.objects.values_list("status", flat=True)) == {"canceled"}


def test_a_cancel_of_an_order_that_is_not_shown_yet_is_sent_again(line: Line) -> None:
    order = make_order(line.account, order_type="limit", limit_price=D(99))
    line.dispatch()
    line.goes_wrong(FaultKind.HIDE_ORDER, match={"client_order_id": order.client_order_id}, parameters={"seconds": 5})
    line.broker.find(order.client_order_id)  # from now on it is hidden
    request_cancel(order=line.order(), operator="ann", wall_now=WALL_NOW)
    line.dispatch()
    if line.order().cancel_sent_at is None:
        line.emulator.call(lambda: line.emulator.surface.clock.advance(D(6)))
        line.dispatch()
    apply_reports(account=line.account, broker=line.broker, wall_now=WALL_NOW)
    assert line.order().status == "canceled"


def test_cancels_go_while_new_orders_wait(line: Line) -> None:
    allow_bursts()
    make_order(line.account, client_order_id="first", order_type="limit", limit_price=D(99))
    line.dispatch()
    make_order(line.account, client_order_id="second", order_type="limit", limit_price=D(99))
    line.goes_wrong(FaultKind.RATE_LIMITED, parameters={"seconds": 60})
    line.dispatch()
    assert line.broker.pause_seconds > 0
    request_cancel(order=Order.objects.get(client_order_id="first"), operator="ann", wall_now=WALL_NOW)
    line.dispatch()
    apply_reports(account=line.account, broker=line.broker, wall_now=WALL_NOW)
    assert Order.objects.get(client_order_id="first").status == "canceled"
    assert Order.objects.get(client_order_id="second").status == "pending"


def working_order(line: Line, **fields: Any) -> Order:
    """Make a limit order that the broker has and that rests."""
    values = {"client_order_id": "one", "order_type": "limit", "limit_price": D(99), "quantity": D(10), **fields}
    make_order(line.account, **values)
    line.dispatch()
    apply_reports(account=line.account, broker=line.broker, wall_now=WALL_NOW)
    return Order.objects.get(client_order_id=values["client_order_id"])


def ask_for_new_terms(line: Line, order: Order, **terms: Any) -> Order:
    fresh = Order.objects.select_related("account__feed", "instrument", "strategy").get(pk=order.pk)
    result = request_replace(order=fresh, operator="ann", origin=Origin.CONSOLE, wall_now=line.wall, **terms)
    assert result.order is not None, result.denials
    return result.order


def patches(line: Line) -> int:
    return line.emulator.surface.requests["PATCH", "/v2/orders/{id}"]


@pytest.mark.parametrize("kind", TAKEN)
def test_new_terms_whose_answer_was_lost_are_found_and_never_sent_again(line: Line, kind: FaultKind) -> None:
    allow_bursts()
    order = working_order(line)
    ask_for_new_terms(line, order, limit_price=D(98), client_order_id="two")
    line.goes_wrong(kind, match={"method": "PATCH"}, parameters={"seconds": "0.4"})
    line.dispatch()
    assert Order.objects.get(client_order_id="two").status == "submitted"
    for _ in range(2):
        line.round()
    assert patches(line) == 1
    assert dict(Order.objects.values_list("client_order_id", "status")) == {"one": "replaced", "two": "accepted"}
    assert [each.client_order_id for each in line.broker.open_orders()] == ["two"]
    assert_books_balance(line.account)


@pytest.mark.parametrize("kind", NOT_TAKEN)
def test_new_terms_that_were_not_taken_are_sent_again(line: Line, kind: FaultKind) -> None:
    allow_bursts()
    order = working_order(line)
    ask_for_new_terms(line, order, limit_price=D(98), client_order_id="two")
    line.goes_wrong(kind, match={"method": "PATCH"}, parameters={"seconds": 1})
    line.dispatch()
    for _ in range(3):
        line.round()
    assert dict(Order.objects.values_list("client_order_id", "status")) == {"one": "replaced", "two": "accepted"}
    assert [each.client_order_id for each in line.broker.open_orders()] == ["two"]
    assert_books_balance(line.account)


def test_an_error_for_new_terms_that_were_taken_is_recovered(line: Line) -> None:
    allow_bursts()
    order = working_order(line)
    ask_for_new_terms(line, order, limit_price=D(98), client_order_id="two")
    line.goes_wrong(FaultKind.REPLACE_THEN_ERROR, match={})
    line.dispatch()
    for _ in range(2):
        line.round()
    assert patches(line) == 1
    assert dict(Order.objects.values_list("client_order_id", "status")) == {"one": "replaced", "two": "accepted"}


def bracket(line: Line) -> list[Order]:
    """Store an entry at 99 with exits at 120 and 95."""
    entry = make_intent(client_order_id="in", order_type="limit", limit_price=D(99), order_class="bracket")
    exits = [
        make_intent(side=Side.SELL, order_type="limit", limit_price=D(120), leg_role="take_profit"),
        make_intent(side=Side.SELL, order_type="stop", stop_price=D(95), leg_role="stop_loss"),
    ]
    results = submit_group(entry=entry, legs=exits, account=line.account, wall_now=line.wall)
    assert all(result.accepted for result in results), [result.denials for result in results]
    return [result.order for result in results if result.order is not None]


@pytest.mark.parametrize("kind", [*TAKEN, *NOT_TAKEN])
def test_a_group_is_there_once_and_its_legs_are_known(line: Line, kind: FaultKind) -> None:
    allow_bursts()
    bracket(line)
    line.goes_wrong(kind, parameters={"seconds": "0.4"})
    line.dispatch()
    for _ in range(3):
        line.round()
    assert len([name for name in line.submitted() if name == "in"]) == 1
    stored = Order.objects.order_by("pk")
    assert [order.status for order in stored] == ["accepted", "held", "held"]
    assert all(order.broker_order_id for order in stored)
    found = line.broker.find("in")
    assert found is not None
    assert {leg.broker_order_id for leg in found.legs} == {order.broker_order_id for order in stored[1:]}
    assert_books_balance(line.account)


@pytest.mark.parametrize("seed", range(10))
def test_no_mixture_of_failures_sends_an_order_twice_or_loses_one(line: Line, seed: int) -> None:
    """Five orders, twelve failures in any order: what the broker took is what the book has, each once."""
    allow_bursts()
    chance = Random(seed)
    names = [f"n{number}" for number in range(5)]
    for name in names:
        make_order(line.account, client_order_id=name, order_type="limit", limit_price=D(99), quantity=D(1))
    for kind in chance.choices([*TAKEN, *NOT_TAKEN], k=12):
        after = chance.randrange(3)
        parameters = {"seconds": "0.4" if kind == FaultKind.ACCEPT_THEN_TIMEOUT else "1"}
        line.goes_wrong(kind, match={"method": chance.choice(["POST", "GET"])}, after=after, parameters=parameters)
    for _ in range(40):
        # A look that fails is a look later: the process goes on.
        with suppress(BrokerError):
            line.round()
        if not Order.objects.filter(status__in=["pending", "submitted"]).exists():
            break
    line.emulator.faults.clear()
    assert sorted(line.submitted()) == names
    assert set(Order.objects.values_list("status", flat=True)) == {"accepted"}
    theirs = {order.client_order_id: order.broker_order_id for order in line.broker.open_orders()}
    assert theirs == dict(Order.objects.values_list("client_order_id", "broker_order_id"))
    assert_books_balance(line.account)
