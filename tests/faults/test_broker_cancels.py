"""Cancels over the real line: a request is no cancel, and whatever becomes of it the book says what is still there."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Q

from execution.alpaca_wire.orders import read_order
from execution.emulator.faults import FaultKind
from execution.models import Order
from execution.selectors import late_cancels
from execution.services.cancels import cancel_open_orders, request_cancel
from execution.services.groups import submit_group
from execution.services.halt import engage_kill_switch
from execution.services.journal import Journal
from execution.services.replaces import request_replace
from execution.services.sweep import sweep
from execution.states import OPEN, OrderStatus
from execution.types import HaltReport
from risk.types import Origin, Side
from tests.execution.cases import assert_books_balance, position_of
from tests.factories import D, allow_bursts, make_intent, make_order, make_strategy
from tests.faults.line import Line

pytestmark = pytest.mark.django_db
K = FaultKind
NAMED = {"client_order_id": "one"}
ORDER = "/v2/orders/{id}"


@pytest.fixture(autouse=True)
def _bursts(db: None) -> None:
    allow_bursts()


def working(line: Line, name: str = "one", **fields: Any) -> Order:
    """Make a limit order that rests below the market."""
    make_strategy(fields.get("strategy", "manual"))
    make_order(line.account, **{"client_order_id": name, "order_type": "limit", "limit_price": D(99)} | fields)
    line.dispatch()
    line.round()
    assert named(name).status == "accepted"
    return named(name)


def named(name: str = "one") -> Order:
    return Order.objects.select_related("account__feed", "instrument", "strategy").get(client_order_id=name)


def ends() -> dict[str, str]:
    return dict(Order.objects.order_by("pk").values_list("client_order_id", "status"))


def cancel(line: Line, name: str = "one") -> None:
    request_cancel(order=named(name), operator="ann", wall_now=line.wall)


def deletes(line: Line) -> int:
    return line.emulator.surface.requests["DELETE", ORDER]


def wrong(line: Line, kind: FaultKind, *, name: str = "one", **parameters: Any) -> None:
    line.goes_wrong(kind, match={"client_order_id": name}, parameters=parameters)


def theirs(line: Line) -> list[str]:
    """Return what is open at the broker, by its own list."""
    return sorted(order.client_order_id for order in line.broker.open_orders())


def test_a_cancel_is_a_request_and_the_order_holds_its_shares_until_it_is_done(line: Line) -> None:
    """Case 65: 204 moves the order to `pending_cancel` and releases nothing."""
    working(line)
    wrong(line, K.STUCK_PENDING_CANCEL, seconds=300)
    cancel(line)
    line.round()
    assert named().status == "pending_cancel"
    assert named().cancel_sent_at is not None
    assert position_of(line.account).open_buy_quantity == 10
    line.emulator.advance(301)
    line.round()
    assert named().status == "canceled"
    assert position_of(line.account).open_buy_quantity == 0


def test_a_cancel_that_is_stuck_is_told_to_people_and_asked_for_once(line: Line) -> None:
    """Case 66: no end comes; the order stays open in the book, is shown as late, and its shares stay held."""
    working(line)
    wrong(line, K.STUCK_PENDING_CANCEL)
    cancel(line)
    for _ in range(5):
        line.round()
    assert named().status == "pending_cancel"
    assert deletes(line) == 1
    late = late_cancels(line.account, wall_now=line.wall, older_than=timedelta(seconds=30))
    assert [order.client_order_id for order in late] == ["one"]
    assert position_of(line.account).open_buy_quantity == 10
    assert_books_balance(line.account)


def test_the_cancel_of_an_order_that_has_filled_is_no_error(line: Line) -> None:
    """Case 67: 422, the order is asked for, and its fill is booked."""
    working(line)
    line.emulator.tick("AAPL", last=D(98), bid=D("97.99"), ask=D("98.01"))
    line.emulator.pump()
    cancel(line)
    line.dispatch()
    assert named().cancel_sent_at is not None
    line.round()
    assert (named().status, named().filled_quantity) == ("filled", 10)
    assert_books_balance(line.account)


def test_the_cancel_of_an_order_that_fills_meanwhile_is_no_error(line: Line) -> None:
    """Case 67: taken with 204, and then the market was faster."""
    working(line)
    wrong(line, K.FILL_WHILE_CANCELING)
    cancel(line)
    line.round()
    line.round()
    assert (named().status, named().filled_quantity) == ("filled", 10)


def test_a_refused_cancel_lets_the_order_work_on_and_it_can_be_canceled_again(line: Line) -> None:
    """Case 68: the refusal comes later; the order is alive again, holds what it held, and is told as such."""
    working(line)
    wrong(line, K.CANCEL_REJECTED)
    cancel(line)
    line.round()
    line.round()
    assert named().status == "accepted"
    assert (named().cancel_requested_at, named().cancel_sent_at) == (None, None)
    assert position_of(line.account).open_buy_quantity == 10
    cancel(line)
    line.round()
    line.round()
    assert named().status == "canceled"
    assert deletes(line) == 2


def test_a_cancel_without_the_brokers_id_asks_by_ours_first(line: Line) -> None:
    """Case 69: the submit was never answered; the cancel finds the order by its client id."""
    make_order(line.account, order_type="limit", limit_price=D(99), **NAMED)
    line.goes_wrong(K.ACCEPT_THEN_DROP)
    line.dispatch()
    assert (named().status, named().broker_order_id) == ("submitted", "")
    cancel(line)
    line.dispatch()
    assert deletes(line) == 1
    line.round()
    line.round()
    assert named().status == "canceled"
    assert theirs(line) == []


def test_a_cancel_of_what_the_broker_never_got_ends_here(line: Line) -> None:
    """Case 69: nobody there knows the id, and after the grace the order is canceled without having been sent again."""
    make_order(line.account, order_type="limit", limit_price=D(99), **NAMED)
    line.goes_wrong(K.REFUSE_500)
    line.dispatch()
    assert named().status == "submitted"
    cancel(line)
    line.dispatch()
    assert deletes(line) == 0
    for _ in range(2):
        line.round()
    assert named().status == "canceled"
    assert (line.posts(), line.submitted()) == (1, [])
    assert position_of(line.account).open_buy_quantity == 0


def test_a_cancel_asked_for_while_the_submit_is_under_way_goes_out_after_the_answer(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 70: wanted meanwhile, sent as soon as there is something to cancel."""
    make_order(line.account, order_type="limit", limit_price=D(99), **NAMED)
    submit = line.broker.submit

    def meanwhile(*args: Any, **fields: Any) -> Any:
        cancel(line)
        return submit(*args, **fields)

    monkeypatch.setattr(line.broker, "submit", meanwhile)
    line.dispatch()
    assert (named().status, deletes(line)) == ("pending_cancel", 0)
    line.round()
    line.round()
    assert (named().status, deletes(line), line.submitted()) == ("canceled", 1, ["one"])


def test_asking_again_sends_one_cancel(line: Line) -> None:
    """Case 71: who presses ten times while the cancel is under way sends one DELETE."""
    working(line)
    wrong(line, K.STUCK_PENDING_CANCEL, seconds=300)
    for _ in range(5):
        cancel(line)
    line.dispatch()
    for _ in range(5):
        cancel(line)
        line.dispatch()
    assert deletes(line) == 1
    line.emulator.advance(301)
    line.round()
    assert named().status == "canceled"


def engage(line: Line) -> HaltReport:
    return engage_kill_switch(
        scope="global", operator="ann", reason="a test case", source="console", wall_now=line.wall
    )


def rounds(line: Line, count: int = 3) -> None:
    """Do what the dispatcher does, its sweeps included."""
    for _ in range(count):
        line.round()
        sweep(account=line.account, broker=line.broker, wall_now=line.wall)


def foreign_order(line: Line, name: str = "theirs") -> None:
    """Let somebody else enter an order in the same account."""
    body = {
        "symbol": "AAPL",
        "side": "buy",
        "type": "limit",
        "limit_price": "90",
        "qty": "3",
        "time_in_force": "day",
        "client_order_id": name,
    }
    line.emulator.call(lambda: line.emulator.venue.external_order(read_order(body)))


def test_canceling_all_leaves_the_orders_of_others_alone(line: Line) -> None:
    """Case 80: cancels go order by order, never `DELETE /v2/orders`."""
    working(line, "one")
    working(line, "two")
    foreign_order(line)
    cancel_open_orders(orders=Q(), account=line.account, operator="ann", wall_now=line.wall)
    rounds(line)
    engage(line)
    rounds(line)
    assert ends() == {"one": "canceled", "two": "canceled", "theirs": "accepted"}  # which the book has adopted
    assert theirs(line) == ["theirs"]
    assert line.emulator.surface.requests["DELETE", "/v2/orders"] == 0


def test_canceling_all_can_be_for_one_strategy_or_symbol(line: Line) -> None:
    """Case 80: by what it is asked for, and nothing else."""
    working(line, "one")
    working(line, "two", strategy="momentum")
    cancel_open_orders(orders=Q(strategy__name="momentum"), account=line.account, operator="ann", wall_now=line.wall)
    rounds(line)
    assert ends() == {"one": "accepted", "two": "canceled"}
    assert theirs(line) == ["one"]


@pytest.mark.parametrize("kind", [K.REFUSE_500, K.REFUSE_503, K.REFUSE_DROP, K.ACCEPT_THEN_DROP, K.RATE_LIMITED])
def test_of_many_cancels_those_that_fail_are_sent_again(line: Line, kind: FaultKind) -> None:
    """Case 81: some are answered with an error; asked again until nothing is open there."""
    for name in ("one", "two", "three"):
        working(line, name)
    line.goes_wrong(kind, match={"method": "DELETE"}, after=1, times=2, parameters={"seconds": 1})
    cancel_open_orders(orders=Q(), account=line.account, operator="ann", wall_now=line.wall)
    line.dispatch()
    assert set(ends().values()) == {"pending_cancel"}
    rounds(line)
    assert set(ends().values()) == {"canceled"}
    assert theirs(line) == []


def test_a_refused_cancel_is_sent_again_while_the_kill_switch_is_engaged(line: Line) -> None:
    """Case 82: what comes alive again under the switch is canceled again, until nothing of ours is open."""
    working(line, "one")
    working(line, "two")
    wrong(line, K.CANCEL_REJECTED)
    engage(line)
    line.round()
    line.round()
    assert ends() == {"one": "accepted", "two": "canceled"}
    rounds(line)
    assert ends() == {"one": "canceled", "two": "canceled"}
    assert theirs(line) == []
    assert_books_balance(line.account)


def test_without_a_kill_switch_a_refused_cancel_is_left_to_people(line: Line) -> None:
    """Case 82: the sweep cancels nothing that may work."""
    working(line)
    wrong(line, K.CANCEL_REJECTED)
    cancel(line)
    rounds(line)
    assert ends() == {"one": "accepted"}
    assert theirs(line) == ["one"]


def test_the_switch_of_one_strategy_sweeps_no_other(line: Line) -> None:
    """Case 82: by scope."""
    working(line, "one")
    working(line, "two", strategy="momentum")
    wrong(line, K.CANCEL_REJECTED, name="two")
    engage_kill_switch(
        scope="strategy:momentum", operator="ann", reason="a test case", source="console", wall_now=line.wall
    )
    rounds(line, 5)
    assert ends() == {"one": "accepted", "two": "canceled"}


def test_an_order_stored_while_all_are_canceled_is_stopped_before_it_is_sent(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 82: blocked first, canceled second; what the gate had let pass just before is denied at the last look."""
    working(line)
    make_order(line.account, client_order_id="two", order_type="limit", limit_price=D(99))

    def before_its_commit(*, orders: Q, **fields: Any) -> Any:
        return cancel_open_orders(orders=orders & ~Q(client_order_id="two"), **fields)

    monkeypatch.setattr("execution.services.halt.cancel_open_orders", before_its_commit)
    engage(line)
    assert ends() == {"one": "pending_cancel", "two": "pending"}
    line.dispatch()
    assert named("two").error_code == "KILL_SWITCH"
    rounds(line)
    assert ends() == {"one": "canceled", "two": "denied"}
    assert (line.submitted(), theirs(line)) == (["one"], [])


def bracket(line: Line, **fields: Any) -> list[Order]:
    """Store an entry with exits at 120 and 95."""
    values = {"client_order_id": "in", "order_type": "limit", "limit_price": D(99), "order_class": "bracket"}
    entry = make_intent(**values | fields)
    exits = [
        make_intent(side=Side.SELL, order_type="limit", limit_price=D(120), leg_role="take_profit"),
        make_intent(side=Side.SELL, order_type="stop", stop_price=D(95), leg_role="stop_loss"),
    ]
    results = submit_group(entry=entry, legs=exits, account=line.account, wall_now=line.wall)
    assert all(result.accepted for result in results), [result.denials for result in results]
    return [result.order for result in results if result.order is not None]


def test_held_legs_are_seen_and_go_with_their_entry(line: Line) -> None:
    """Case 83: they are in no list of their own, but nested in their entry's."""
    bracket(line)
    line.dispatch()
    line.round()
    assert list(ends().values()) == ["accepted", "held", "held"]
    shown = line.broker.open_orders()
    assert [len(order.legs) for order in shown] == [2]
    cancel_open_orders(orders=Q(), account=line.account, operator="ann", wall_now=line.wall)
    rounds(line)
    assert set(ends().values()) == {"canceled"}
    assert line.broker.open_orders() == []
    assert_books_balance(line.account)


def test_legs_that_begin_to_work_while_all_are_canceled_are_canceled_too(line: Line) -> None:
    """Cases 82 and 83: the entry fills instead of being canceled, its legs wake up under the switch and go."""
    bracket(line)
    line.dispatch()
    line.round()
    wrong(line, K.FILL_WHILE_CANCELING, name="in")
    engage(line)
    rounds(line, 4)
    assert list(ends().values()) == ["filled", "canceled", "canceled"]
    assert line.broker.open_orders() == []
    assert position_of(line.account).quantity == 10
    assert_books_balance(line.account)


def test_an_order_that_is_over_in_the_book_and_works_at_the_broker_is_canceled_there(line: Line) -> None:
    """Case 82: the broker once said that it was canceled; found by its list while the desk runs."""
    order = working(line)
    with transaction.atomic():
        journal = Journal.lock(orders=Q(pk=order.pk), market_at=order.market_at, wall_now=line.wall)
        journal.step(journal.orders[order.pk], OrderStatus.CANCELED, source="broker")
        journal.save()
    foreign_order(line)
    assert theirs(line) == ["one", "theirs"]
    assert sweep(account=line.account, broker=line.broker, wall_now=line.wall) == 1
    rounds(line)
    assert theirs(line) == ["theirs"]


def test_the_kill_switch_over_a_full_desk_leaves_exactly_what_it_says(line: Line) -> None:
    """Cases 65 to 84 at once: an order that works, one being replaced, live legs, one that is stuck."""
    working(line, "works")
    bracket(line, client_order_id="in", order_type="market", limit_price=None)
    line.dispatch()
    rounds(line, 2)
    stuck = working(line, "stuck")
    replaced = working(line, "old")
    line.goes_wrong(K.STUCK_PENDING_REPLACE, match={"client_order_id": "old"}, parameters={"seconds": 600})
    wrong(line, K.STUCK_PENDING_CANCEL, name="stuck")
    request_cancel(order=stuck, operator="ann", wall_now=line.wall)
    request_replace(
        order=replaced,
        limit_price=D(98),
        client_order_id="new",
        operator="ann",
        origin=Origin.CONSOLE,
        wall_now=line.wall,
    )
    line.dispatch()
    make_order(line.account, client_order_id="unsent", order_type="limit", limit_price=D(99))
    before = ends()
    assert before["in"] == "filled"
    assert [before[name] for name in ("works", "stuck", "old", "new", "unsent")] == [
        "accepted",
        "pending_cancel",
        "pending_replace",
        "accepted",
        "pending",
    ]
    report = engage(line)
    assert report.canceled_unsent == 1
    rounds(line, 4)
    still = {name for name, status in ends().items() if status in OPEN}
    assert still == {"stuck", "old", "new"}
    assert set(theirs(line)) == still
    assert position_of(line.account).open_buy_quantity == 30  # each of them may still trade
    line.emulator.advance(601)
    rounds(line, 4)
    assert {name for name, status in ends().items() if status in OPEN} == {"stuck"} == set(theirs(line))
    assert ends()["unsent"] == "canceled"
    assert "unsent" not in line.submitted()
    assert_books_balance(line.account)
