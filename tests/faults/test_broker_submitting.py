"""On the way to the broker and back: whatever is lost, late or strange, a wish becomes one order or none, never two."""

from dataclasses import replace
from datetime import timedelta

import pytest

from execution.brokers.alpaca import AlpacaBroker
from execution.brokers.alpaca.budget import Budget
from execution.brokers.alpaca.line import Line as RestLine
from execution.emulator.faults import FaultKind
from execution.models import OrderEvent
from execution.services.cancels import request_cancel
from execution.services.dispatch import request_of
from execution.services.halt import engage_kill_switch
from execution.services.recovery import begin_recovery, recover_account, resolve_unanswered
from execution.services.sweep import sweep
from marketdata.clock import wall_now
from tests.execution.brokers.alpaca.emulated import Inbox, Ticker, broker_at, configuration_at, emulator_at
from tests.execution.cases import assert_books_balance, position_of
from tests.factories import (
    MARKET_AT,
    WALL_NOW,
    D,
    allow,
    allow_bursts,
    make_account,
    make_order,
    submit,
)
from tests.faults.line import RESTING, Line, named

pytestmark = pytest.mark.django_db
K = FaultKind


class Death(BaseException):
    """The process is gone; a BaseException, so that nothing handles it."""


def pass_seconds(line: Line, seconds: int) -> None:
    """Let time pass for everybody, and ask about what is open."""
    line.wall += timedelta(seconds=seconds)
    line.ticker.pass_seconds(seconds)
    line.emulator.advance(seconds)
    resolve_unanswered(account=line.account, broker=line.broker, wall_now=line.wall)


def in_a_new_process(line: Line) -> Line:
    """Return the desk as a new process finds it: a new line to the broker, nothing remembered, recovery first."""
    rest_line = RestLine(line.broker.line.configuration, budget=Budget(nanoseconds=line.ticker))
    again = Line(line.account, line.emulator, AlpacaBroker(rest_line, reports=line.broker._reports), line.ticker)
    again.wall = line.wall + timedelta(seconds=30)
    begin_recovery(account=again.account)
    recover_account(account=again.account, broker=again.broker, wall_now=again.wall)
    line.broker.line.close()
    return again


def test_an_order_without_an_answer_keeps_its_room_until_it_is_found(line: Line) -> None:
    """Case 1: the submit times out and the order is live."""
    allow_bursts()
    allow(max_position_quantity=15)
    make_order(line.account, client_order_id="first")
    line.goes_wrong(K.ACCEPT_THEN_TIMEOUT, parameters={"seconds": "0.5"})
    line.dispatch()
    assert (named("first").status, named("first").error_code) == ("submitted", "no_answer")
    assert position_of(line.account).open_buy_quantity == 10
    second = submit(line.account, client_order_id="second")
    assert [denial.code.value for denial in second.denials] == ["POSITION_LIMIT"]
    line.round()
    line.emulator.tick("AAPL", last=D(100))
    line.hear()
    assert (named("first").status, named("first").error_code) == ("filled", "")
    assert (line.posts(), line.submitted()) == (1, ["first"])
    assert_books_balance(line.account)


@pytest.mark.parametrize("kind", [K.ACCEPT_THEN_500, K.ACCEPT_THEN_504])
def test_a_kill_switch_reaches_an_order_whose_answer_was_an_error_of_the_server(line: Line, kind: FaultKind) -> None:
    """Case 2: HTTP 5xx after the order was accepted."""
    make_order(line.account, client_order_id="one", **RESTING)
    line.goes_wrong(kind)
    line.dispatch()
    assert named("one").status == "submitted"
    engage_kill_switch(
        scope="global", operator="ann", reason="while an answer is missing", source="console", wall_now=line.wall
    )
    line.dispatch()
    line.hear()
    assert named("one").status == "canceled"
    assert line.emulator.log.orders()[named("one").broker_order_id] == "canceled"
    assert line.posts() == 1
    assert_books_balance(line.account)


def test_a_kill_switch_while_an_answer_is_missing_ends_an_order_that_was_not_taken(line: Line) -> None:
    """Case 2: HTTP 500, and the order was not accepted."""
    make_order(line.account, client_order_id="one", **RESTING)
    line.goes_wrong(K.REFUSE_500)
    line.dispatch()
    engage_kill_switch(
        scope="global", operator="ann", reason="while an answer is missing", source="console", wall_now=line.wall
    )
    line.dispatch()
    assert named("one").status == "pending_cancel"
    line.round()
    assert (named("one").status, line.submitted(), line.posts()) == ("canceled", [], 1)
    assert_books_balance(line.account)


def test_an_id_that_the_broker_knows_already_is_fetched_and_adopted(line: Line) -> None:
    """Case 3: something repeats the submit, and the second one is refused as a duplicate."""
    order = make_order(line.account, client_order_id="one")
    line.broker.submit(request_of(order), at=MARKET_AT)
    line.dispatch()
    assert line.refusals() == ["client_order_id must be unique"]
    assert named("one").status == "accepted"
    assert line.submitted() == ["one"]
    line.emulator.tick("AAPL", last=D(100))
    line.hear()
    assert named("one").filled_quantity == 10
    assert_books_balance(line.account)


@pytest.mark.parametrize("kind", [K.ACCEPT_THEN_504, K.RATE_LIMITED])
def test_the_library_repeats_no_submit(line: Line, kind: FaultKind) -> None:
    """Case 3: alpaca-py would send a POST again after a 504 or a 429."""
    make_order(line.account)
    line.goes_wrong(kind, times=None, parameters={"seconds": "60"})
    line.dispatch()
    line.dispatch()
    assert line.posts() == 1


def test_the_wish_of_somebody_else_under_our_id_is_not_adopted(line: Line) -> None:
    """Case 3: the id is taken by another order, which is not ours."""
    order = make_order(line.account, client_order_id="one", quantity=D(3))
    line.broker.submit(replace(request_of(order), quantity=D(7)), at=MARKET_AT)
    line.dispatch()
    assert (named("one").status, named("one").broker_order_id) == ("rejected", "")
    assert position_of(line.account).open_buy_quantity == 0


@pytest.mark.parametrize(
    ("kind", "status"), [(K.ACCEPT_THEN_HTML, 200), (K.ACCEPT_THEN_HTML, 422), (K.ACCEPT_THEN_TORN, 0)]
)
def test_an_answer_that_cannot_be_read_is_no_refusal(line: Line, kind: FaultKind, status: int) -> None:
    """Case 4: a proxy's page, also one that calls itself a refusal, or half of the JSON."""
    make_order(line.account, client_order_id="one", **RESTING)
    line.goes_wrong(kind, parameters={"status": status})
    line.dispatch()
    assert named("one").status == "submitted"
    line.round()
    assert (named("one").status, line.posts()) == ("accepted", 1)


def test_a_status_that_nobody_knows_is_an_accepted_order(line: Line) -> None:
    """Case 5: the library's model would refuse the word, and the order would be lost."""
    make_order(line.account, client_order_id="one")
    line.goes_wrong(K.UNKNOWN_STATUS, parameters={"status": "on_holiday"})
    line.goes_wrong(K.UNKNOWN_STATUS, match={"method": "GET"}, times=None, parameters={"status": "on_holiday"})
    line.dispatch()
    assert named("one").status == "accepted"
    found = line.broker.find("one")
    assert found is not None
    assert "on_holiday" in found.reason
    line.emulator.tick("AAPL", last=D(100))
    line.hear()
    assert (named("one").status, line.posts()) == ("filled", 1)


def test_an_order_waits_for_a_broker_that_is_down_and_is_sent_once() -> None:
    """Case 6: the connection is refused, which the library raises as an exception of its own kind."""
    account, ticker = make_account(mode="alpaca_paper"), Ticker()
    with emulator_at(MARKET_AT) as before:
        port = int(before.url.rpartition(":")[2])
        configuration = configuration_at(before)
        with broker_at(before, account_id=account.pk) as broker:
            recover_account(account=account, broker=broker, wall_now=WALL_NOW)
    rest_line = RestLine(configuration, budget=Budget(nanoseconds=ticker))
    make_order(account, client_order_id="one")
    away = Line(account, before, AlpacaBroker(rest_line, reports=lambda cursor, limit: []), ticker)
    for _ in range(3):
        away.dispatch()
        assert (named("one").status, named("one").error_code) == ("pending", "unreachable")
        ticker.pass_seconds(61)
    with emulator_at(MARKET_AT, port=port, keys=before.keys) as back:
        back_again = Line(account, back, AlpacaBroker(rest_line, reports=Inbox(back, account.pk).reports), ticker)
        back_again.dispatch()
        assert (back_again.submitted(), named("one").status) == (["one"], "accepted")
        assert named("one").error_code == ""
    rest_line.close()


def test_a_submit_that_hangs_ends_and_cancels_go_on(line: Line) -> None:
    """Case 7: the library itself waits for ever."""
    allow_bursts()
    make_order(line.account, client_order_id="resting", **RESTING)
    line.dispatch()
    make_order(line.account, client_order_id="hanging")
    line.goes_wrong(K.ACCEPT_THEN_TIMEOUT, parameters={"seconds": 60})
    request_cancel(order=named("resting"), operator="ann", wall_now=line.wall)
    began = wall_now()
    line.dispatch()
    assert wall_now() - began < timedelta(seconds=5)
    assert named("hanging").status == "submitted"
    line.hear()
    assert named("resting").status == "canceled"


def test_what_the_broker_did_while_we_were_dead_is_in_the_book_after_the_start(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 8: the process dies between the broker's yes and ours; the order fills meanwhile."""
    make_order(line.account, client_order_id="one")

    def die(**_: object) -> None:
        raise Death

    monkeypatch.setattr("execution.services.dispatch.record_answers", die)
    with pytest.raises(Death):
        line.dispatch()
    monkeypatch.undo()
    line.emulator.tick("AAPL", last=D(101))
    again = in_a_new_process(line)
    again.account.refresh_from_db()
    assert again.account.reconciliation == "clean"
    assert (named("one").status, named("one").filled_quantity) == ("filled", 10)
    again.dispatch()
    assert (line.posts(), line.submitted()) == (1, ["one"])
    assert_books_balance(line.account)


def test_what_was_claimed_and_never_left_is_sent_after_the_start(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 9: the process dies between the commit and the call; the broker has no such order."""
    order = make_order(line.account, client_order_id="one")

    def die(*_: object, **__: object) -> None:
        raise Death

    monkeypatch.setattr(AlpacaBroker, "submit", die)
    with pytest.raises(Death):
        line.dispatch()
    monkeypatch.undo()
    assert (named("one").status, line.posts()) == ("submitted", 0)
    again = in_a_new_process(line)
    assert named("one").status == "pending"
    again.dispatch()
    assert (line.posts(), line.submitted(), named("one").status) == (1, ["one"], "accepted")
    assert OrderEvent.objects.filter(order=order, from_status="submitted", to_status="pending").count() == 1


def test_an_order_that_is_not_shown_for_some_seconds_is_not_sent_again(line: Line) -> None:
    """Case 10: 404 right after the order was taken."""
    make_order(line.account, client_order_id="one", **RESTING)
    line.goes_wrong(K.ACCEPT_THEN_DROP)
    line.goes_wrong(K.HIDE_ORDER, match={"client_order_id": "one"}, parameters={"seconds": 8})
    line.dispatch()
    for _ in range(3):
        pass_seconds(line, 2)
        line.dispatch()
        assert (named("one").status, line.posts()) == ("submitted", 1)
    pass_seconds(line, 3)
    assert (named("one").status, line.posts()) == ("accepted", 1)


@pytest.mark.parametrize("heard", [True, False])
def test_an_order_that_shows_up_after_it_was_given_up_is_canceled_at_the_broker(line: Line, heard: bool) -> None:
    """Case 10: 404 for longer than any grace, while somebody wants the order to go."""
    make_order(line.account, client_order_id="one", **RESTING)
    line.goes_wrong(K.ACCEPT_THEN_DROP)
    line.goes_wrong(K.HIDE_ORDER, match={"client_order_id": "one"}, parameters={"seconds": 60})
    line.dispatch()
    request_cancel(order=named("one"), operator="ann", wall_now=line.wall)
    line.dispatch()
    line.settle()
    assert (named("one").status, list(line.emulator.log.orders().values())) == ("canceled", ["new"])
    line.emulator.advance(61)
    if heard:
        line.hear()
    sweep(account=line.account, broker=line.broker, wall_now=line.wall)
    line.hear()
    assert (named("one").status, list(line.emulator.log.orders().values())) == ("canceled", ["canceled"])
    assert_books_balance(line.account)
