"""What an order is on the wire: one for each wish, under an id of its own, with its numbers to the last digit."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from execution.alpaca_wire.orders import read_order
from execution.emulator import rest
from execution.emulator.faults import FaultKind
from execution.errors import OrderConflict
from execution.models import Order
from execution.services.cancels import request_cancel
from marketdata.services.feeds import set_market_time
from risk.types import Side, TimeInForce
from tests.execution.cases import assert_books_balance, position_of, statuses
from tests.execution.updates.line_cases import Desk, until
from tests.factories import (
    D,
    allow_bursts,
    make_instrument,
    make_order,
    make_quote,
    submit,
)
from tests.faults.line import POST, RESTING, Line, named

pytestmark = pytest.mark.django_db
K = FaultKind
CLIENTS = 8


@pytest.mark.django_db(transaction=True)
def test_a_wish_of_many_clients_at_once_sent_by_many_senders_at_once_is_one_order(line: Line) -> None:
    """Case 11: two workers submit the same intent at once."""
    barrier = Barrier(CLIENTS)

    def wish(_: int) -> int:
        connection.ensure_connection()
        barrier.wait(30)
        result = submit(line.account)
        assert result.order is not None
        return result.order.pk

    def send(_: int) -> None:
        connection.ensure_connection()
        barrier.wait(30)
        line.dispatch()

    def hanging_up(work: Callable[[int], Any]) -> Callable[[int], Any]:
        def done(number: int) -> Any:
            try:
                return work(number)
            finally:
                connection.close()

        return done

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert len(set(pool.map(hanging_up(wish), range(CLIENTS)))) == 1
        list(pool.map(hanging_up(send), range(CLIENTS)))
    assert (line.posts(), len(line.submitted())) == (1, 1)
    assert line.order().status == "accepted"


def test_the_same_id_with_other_terms_is_refused_before_the_broker_hears_of_it(line: Line) -> None:
    """Case 12: the same id with another payload."""
    make_order(line.account, client_order_id="one")
    line.dispatch()
    for change in ({"quantity": D(11)}, {"side": Side.SELL}, RESTING):
        with pytest.raises(OrderConflict, match="this id or idempotency key was used"):
            submit(line.account, client_order_id="one", **change)
    line.dispatch()
    assert (line.posts(), line.submitted()) == (1, ["one"])


def test_a_wish_that_was_canceled_may_be_wished_again_under_a_new_id(line: Line) -> None:
    """Case 13: brokers never free an id."""
    allow_bursts()
    first = make_order(line.account, **RESTING)
    line.dispatch()
    request_cancel(order=first, operator="ann", wall_now=line.wall)
    line.dispatch()
    line.hear()
    second = make_order(line.account, **RESTING)
    line.dispatch()
    assert (second.attempt, second.intent_key) == (2, first.intent_key)
    assert line.submitted() == [first.client_order_id, second.client_order_id]
    assert len(set(line.submitted())) == 2
    assert named(second.client_order_id).status == "accepted"
    assert line.refusals() == []


def test_the_same_wish_on_both_sides_of_midnight_utc_is_one_order(line: Line) -> None:
    """Case 14: the date in an id is the session's in New York, not the machine's or UTC's."""
    results = []
    for at in (datetime(2012, 6, 14, 23, 59, tzinfo=UTC), datetime(2012, 6, 15, 0, 1, tzinfo=UTC)):
        line.account.feed = set_market_time(feed=line.account.feed, at=at)
        make_quote(line.account.feed, at=at)
        line.emulator.advance(int((at - line.emulator.surface.clock.now()).total_seconds()))
        results.append(submit(line.account, **RESTING))
        line.dispatch()
    assert [result.created for result in results] == [True, False]
    assert Order.objects.get().trading_date.isoformat() == "2012-06-15"
    assert (line.posts(), len(line.submitted())) == (1, 1)


@pytest.mark.parametrize(
    ("market", "price", "leaves"),
    [
        ("100", "100.01", True),
        ("100", "100.005", False),
        ("1", "1.0001", False),
        ("0.50", "0.4999", True),
        ("0.50", "0.49995", False),
    ],
)
def test_a_price_off_the_tick_never_leaves(line: Line, market: str, price: str, leaves: bool) -> None:
    """Case 15: two decimals from a dollar up, four below it; nothing is rounded silently."""
    make_quote(line.account.feed, last=market)
    line.emulator.tick("AAPL", last=D(market))
    result = submit(line.account, order_type="limit", limit_price=D(price))
    assert [denial.code.value for denial in result.denials] == ([] if leaves else ["INVALID_PRICE"])
    line.dispatch()
    told = [entry.data["limit_price"] for entry in line.emulator.log.entries(kind="submitted")]
    assert (told, line.refusals()) == ([D(price)] if leaves else [], [])


def test_a_tick_that_only_we_believe_in_ends_in_a_refusal_that_holds_nothing(line: Line) -> None:
    """Case 15: the broker refuses a sub-penny price with 42210000."""
    make_instrument(tick_size=D("0.001"))
    make_order(line.account, client_order_id="one", order_type="limit", limit_price=D("100.005"))
    line.dispatch()
    assert (named("one").status, named("one").error_code) == ("rejected", "42210000")
    assert position_of(line.account).open_buy_quantity == 0
    line.round()
    assert line.posts() == 1


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    """Return the bodies of all submits as the broker reads them."""
    seen: list[Mapping[str, Any]] = []

    def spy(body: Mapping[str, Any]) -> Any:
        seen.append(body)
        return read_order(body)

    monkeypatch.setattr(rest, "read_order", spy)
    return seen


@pytest.mark.parametrize(("price", "sent"), [("100.1", "100.1"), ("100.07", "100.07"), ("1E+2", "100")])
def test_numbers_leave_as_text_digit_by_digit(
    line: Line, bodies: list[Mapping[str, Any]], price: str, sent: str
) -> None:
    """Case 16: a binary fraction would turn a price into another one."""
    make_order(line.account, order_type="limit", limit_price=D(price), quantity=D("1E+1"))
    line.dispatch()
    assert [(body["limit_price"], body["qty"]) for body in bodies] == [(sent, "10")]
    entry = line.emulator.log.entries(kind="submitted")[0]
    assert (entry.data["limit_price"], entry.data["quantity"]) == (Decimal(price), 10)


def test_a_part_of_a_share_is_sent_as_it_is_and_booked_as_it_is(line: Line, bodies: list[Mapping[str, Any]]) -> None:
    """Case 17: nothing is cut down to whole shares."""
    make_instrument(fractionable=True)
    make_order(line.account, client_order_id="one", quantity=D("1.5"))
    line.dispatch()
    line.emulator.tick("AAPL", last=D(100))
    line.hear()
    assert bodies[0]["qty"] == "1.5"
    assert (named("one").status, position_of(line.account).quantity) == ("filled", D("1.5"))
    assert line.emulator.log.positions() == {"AAPL": D("1.5")}


@pytest.mark.parametrize(
    ("terms", "fractionable"),
    [({}, False), ({"time_in_force": TimeInForce.OPG}, True), (RESTING | {"time_in_force": TimeInForce.GTC}, True)],
)
def test_a_part_of_a_share_that_the_broker_would_not_take_never_leaves(
    line: Line, terms: dict[str, Any], fractionable: bool
) -> None:
    """Case 17: a stock in whole shares, or an order that is not for the day."""
    make_instrument(fractionable=fractionable)
    result = submit(line.account, quantity=D("1.5"), **terms)
    assert "INVALID_QUANTITY" in [denial.code.value for denial in result.denials]
    line.dispatch()
    assert line.posts() == 0


@pytest.mark.parametrize("answered", [True, False])
def test_an_accepted_order_that_is_rejected_later_holds_nothing_and_frees_its_wish(line: Line, answered: bool) -> None:
    """Case 18: accepted, then rejected, with and without an answer in between."""
    allow_bursts()
    order = make_order(line.account, **RESTING)
    line.goes_wrong(K.REJECT_LATER, match={})
    if not answered:
        line.goes_wrong(K.ACCEPT_THEN_DROP)
    line.dispatch()
    line.emulator.pump()
    line.round()
    name = order.client_order_id
    assert named(name).status == "rejected"
    assert statuses(named(name))[-1] == "rejected"
    assert position_of(line.account).open_buy_quantity == 0
    assert submit(line.account, **RESTING).accepted
    line.dispatch()
    assert len(line.submitted()) == 2
    assert_books_balance(line.account)


@pytest.mark.django_db(transaction=True)
def test_a_rejection_that_only_rest_can_tell_ends_an_order_without_an_answer(desk: Desk) -> None:
    """Case 18: the answer is lost, the stream tells nothing, and the order is rejected meanwhile."""
    with desk.listening():
        until(lambda: desk.link().stream == "live", say=desk.link)
        desk.fault(K.ACCEPT_THEN_DROP, match=POST)
        desk.fault(K.DROP_EVENT, times=None)
        desk.fault(K.REJECT_LATER)
        order = desk.order(**RESTING)
        desk.pump()
        until(lambda: desk.agrees() and named(order.client_order_id).status == "rejected", say=desk.sides)
    assert position_of(desk.account).open_buy_quantity == 0
    assert_books_balance(desk.account)
