"""What is stored is sent once, unless something stands in the way by then; cancels go before everything."""

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection
from django.db.models.query import QuerySet

from execution.brokers.base import (
    BrokerError,
    BrokerNotConfigured,
    BrokerOutcomeUnknown,
    BrokerRejected,
    BrokerUnavailable,
    OrderRequest,
)
from execution.brokers.dry_run import DryRunBroker
from execution.models import Account, Order
from execution.services.cancels import request_cancel
from execution.services.claims import _Stops, claim_pending
from execution.services.dispatch import dispatch_once
from execution.services.halt import engage_kill_switch
from execution.services.orders import submit_order
from execution.states import OrderStatus
from execution.types import DispatchReport
from marketdata.models import Feed
from risk.services import breaker, kill_switch
from risk.types import Side, TimeInForce
from tests.execution.cases import (
    MARKET_AT,
    WALL_NOW,
    D,
    accepted_order,
    again,
    assert_books_balance,
    desk,
    dispatch,
    filled_order,
    make_order,
    position_of,
    recorded,
    statuses,
)
from tests.execution.fake_broker import FakeBroker
from tests.factories import allow_bursts, make_intent, make_strategy, submit
from tests.risk.threads import in_another_transaction, together

pytestmark = pytest.mark.django_db

REASON = "a test of the second look"


def raising(error: BrokerError) -> Callable[..., None]:
    def fail(*_args: object) -> None:
        raise error

    return fail


def halt(scope: str) -> None:
    engage_kill_switch(scope=scope, operator="ann", reason=REASON, source="console", wall_now=WALL_NOW)


def stop_without_cancels(scope: str) -> None:
    """Engage the kill switch in the moment between the gate and the claim, before its cancels."""
    kill_switch.engage(scope=scope, operator="ann", reason=REASON, source="console", now=WALL_NOW)


def test_a_stored_order_is_sent_and_its_answer_kept() -> None:
    account, broker = desk()
    order = make_order(account)
    report = dispatch(account, broker)
    assert report == DispatchReport(sent=1, accepted=1)
    after = again(order)
    assert (after.status, after.broker_order_id, after.submitted_at) == ("accepted", "B-1", WALL_NOW)
    assert broker.received == [order.client_order_id]
    assert dispatch(account, broker) == DispatchReport()
    assert_books_balance(account)


def test_the_broker_is_told_exactly_what_was_ordered() -> None:
    account, broker = desk()
    seen: list[OrderRequest] = []
    broker.before_submit = seen.append
    order = make_order(account, order_type="limit", limit_price=D("99.5"), time_in_force=TimeInForce.GTC)
    dispatch(account, broker)
    assert seen == [
        OrderRequest(
            client_order_id=order.client_order_id,
            symbol="AAPL",
            side="buy",
            quantity=D(10),
            order_type="limit",
            time_in_force="gtc",
            limit_price=D("99.5"),
        )
    ]


def test_orders_are_sent_in_the_order_they_were_stored_a_batch_at_a_time() -> None:
    account, broker = desk()
    allow_bursts()
    ids = [make_order(account, client_order_id=f"n{number}").client_order_id for number in range(5)]
    assert dispatch(account, broker, limit=3).sent == 3
    assert broker.received == ids[:3]
    dispatch(account, broker, limit=3)
    assert broker.received == ids


def test_a_refused_order_is_final_and_holds_nothing() -> None:
    account, broker = desk()
    order = make_order(account)
    broker.before_submit = raising(BrokerRejected("not enough money", code="insufficient"))
    assert dispatch(account, broker) == DispatchReport(sent=1, rejected=1)
    after = again(order)
    assert (after.status, after.error_code, after.error_message) == ("rejected", "insufficient", "not enough money")
    assert position_of(account).open_order_count == 0
    assert_books_balance(account)


def test_what_was_not_sent_waits_and_is_sent_later() -> None:
    account, broker = desk()
    order = make_order(account)
    broker.before_submit = raising(BrokerUnavailable("the line is down"))
    report = dispatch(account, broker)
    assert report == DispatchReport(sent=1, unsent=1)
    assert again(order).status == OrderStatus.PENDING
    assert again(order).error_code == "BrokerUnavailable"
    broker.before_submit = None
    assert dispatch(account, broker).accepted == 1
    assert (again(order).status, again(order).error_code) == ("accepted", "")
    assert broker.received == [order.client_order_id]
    assert_books_balance(account)


@pytest.mark.parametrize(
    ("error", "status"),
    [(BrokerUnavailable("down"), "pending"), (BrokerOutcomeUnknown("hung up"), "submitted")],
    ids=["unavailable", "unknown"],
)
def test_a_broker_that_is_away_is_no_reason_for_another_round_at_once(error: BrokerError, status: str) -> None:
    account, broker = desk()
    order = make_order(account)
    broker.before_submit = raising(error)
    assert not dispatch(account, broker).did_something
    assert again(order).status == status


def test_a_lost_answer_is_never_sent_again_blindly() -> None:
    account, broker = desk()
    order = make_order(account)
    broker.after_submit = raising(BrokerOutcomeUnknown("the line broke", code="timeout"))
    assert dispatch(account, broker) == DispatchReport(sent=1, unknown=1)
    assert (again(order).status, again(order).error_code) == ("submitted", "timeout")
    dispatch(account, broker)
    assert broker.received == [order.client_order_id]
    assert position_of(account).open_buy_quantity == 10
    assert_books_balance(account)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BrokerOutcomeUnknown("hung up in the middle"), "submitted"),
        (BrokerUnavailable("no line"), "pending"),
        (BrokerNotConfigured("no keys"), "pending"),
    ],
    ids=["unknown", "unavailable", "not configured"],
)
def test_a_batch_that_fails_as_a_whole_is_answered_for_each_member(error: BrokerError, status: str) -> None:
    account, broker = desk()
    allow_bursts()
    orders = [make_order(account, client_order_id=f"n{number}") for number in range(3)]
    broker.before_batch = raising(error)
    dispatch(account, broker)
    assert {again(order).status for order in orders} == {status}
    assert_books_balance(account)


def test_the_failure_of_one_member_leaves_its_neighbours_alone() -> None:
    account, broker = desk()
    allow_bursts()
    orders = [make_order(account, client_order_id=f"n{number}") for number in range(3)]

    def fail_second(request: OrderRequest) -> None:
        if request.client_order_id == "n1":
            raise BrokerRejected("no", code="refused")

    broker.before_submit = fail_second
    assert dispatch(account, broker) == DispatchReport(sent=3, accepted=2, rejected=1)
    assert [again(order).status for order in orders] == ["accepted", "rejected", "accepted"]


def test_a_duplicate_is_adopted() -> None:
    account, broker = desk()
    order = make_order(account)
    broker.submit(_request(order), at=MARKET_AT)
    assert dispatch(account, broker).accepted == 1
    assert again(order).broker_order_id == "B-1"
    assert len(broker.orders) == 1


def _request(order: Order, **changes: object) -> OrderRequest:
    values = {
        "client_order_id": order.client_order_id,
        "symbol": "AAPL",
        "side": "buy",
        "quantity": D(10),
        "order_type": "market",
        "time_in_force": "day",
    }
    return OrderRequest(**values | changes)


@pytest.mark.parametrize("change", [{"symbol": "MSFT"}, {"side": "sell"}, {"quantity": D(11)}], ids=str)
def test_a_duplicate_that_is_another_order_is_not_adopted(change: dict[str, object]) -> None:
    account, broker = desk()
    order = make_order(account)
    broker.submit(_request(order, **change), at=MARKET_AT)
    assert dispatch(account, broker).rejected == 1
    assert (again(order).status, again(order).broker_order_id) == ("rejected", "")


def test_a_duplicate_that_cannot_be_found_stays_unknown() -> None:
    account, broker = desk()
    order = make_order(account)
    broker.submit(_request(order), at=MARKET_AT)
    broker.hidden.add(order.client_order_id)
    assert dispatch(account, broker).unknown == 1
    assert (again(order).status, again(order).error_code) == ("submitted", "duplicate_not_found")


def test_a_duplicate_that_cannot_be_asked_for_stays_unknown() -> None:
    account, broker = desk()
    order = make_order(account)
    broker.submit(_request(order), at=MARKET_AT)
    broker.before_find = raising(BrokerUnavailable("down", code="away"))
    assert dispatch(account, broker).unknown == 1
    assert (again(order).status, again(order).error_code) == ("submitted", "away")


# The second look


@pytest.mark.parametrize("scope", ["global", "account", "strategy"])
def test_a_kill_switch_engaged_after_the_gate_stops_the_order(scope: str) -> None:
    account, broker = desk()
    order = make_order(account)
    name = {"global": "global", "account": account.scope, "strategy": "strategy:manual"}[scope]
    stop_without_cancels(name)
    assert dispatch(account, broker) == DispatchReport(denied=1)
    assert (again(order).status, again(order).error_code) == ("denied", "KILL_SWITCH")
    assert broker.received == []
    assert_books_balance(account)


@pytest.mark.parametrize("scope", ["account:another", "strategy:another"])
def test_a_kill_switch_of_somebody_else_stops_nothing_here(scope: str) -> None:
    account, broker = desk()
    make_order(account)
    stop_without_cancels(scope)
    assert dispatch(account, broker).accepted == 1


def test_a_kill_switch_of_one_strategy_lets_the_others_pass() -> None:
    account, broker = desk()
    make_strategy("momentum")
    stopped, passing = make_order(account), make_order(account, strategy="momentum")
    stop_without_cancels("strategy:manual")
    dispatch(account, broker)
    assert (again(stopped).status, again(passing).status) == ("denied", "accepted")


def test_a_breaker_tripped_after_the_gate_stops_what_adds_and_lets_pass_what_reduces() -> None:
    account, broker = desk()
    allow_bursts()
    filled_order(account, broker, quantity=D(50), client_order_id="held")
    adding = make_order(account, client_order_id="adding")
    reducing = make_order(account, side="sell", quantity=D(50), client_order_id="reducing")
    breaker.trip(scope=account.scope, reason=REASON, operator="ann", now=WALL_NOW)
    assert dispatch(account, broker) == DispatchReport(sent=1, accepted=1, denied=1)
    assert (again(adding).status, again(adding).error_code) == ("denied", "CIRCUIT_BREAKER")
    assert again(reducing).status == OrderStatus.ACCEPTED
    assert_books_balance(account)


def test_orders_that_reduce_one_by_one_but_flip_together_do_not_all_pass_a_tripped_breaker() -> None:
    account, broker = desk()
    allow_bursts()
    filled_order(account, broker, quantity=D(100), client_order_id="held")
    orders = [make_order(account, side="sell", quantity=D(60), client_order_id=f"sale{n}") for n in range(3)]
    breaker.trip(scope=account.scope, reason=REASON, operator="ann", now=WALL_NOW)
    dispatch(account, broker)
    sent = [order for order in orders if again(order).status == OrderStatus.ACCEPTED]
    assert len(sent) == 1
    assert_books_balance(account)


def test_a_quiet_period_stops_what_adds_and_ends_by_itself() -> None:
    account, broker = desk()
    allow_bursts()
    order = make_order(account)
    breaker.trip(scope=account.scope, reason=REASON, operator="ann", now=WALL_NOW)
    breaker.reset(scope=account.scope, reason=REASON, operator="ann", now=WALL_NOW)
    dispatch(account, broker)
    assert again(order).status == OrderStatus.DENIED
    later = WALL_NOW + timedelta(minutes=5)
    submit_order(intent=make_intent(client_order_id="later"), account=account, wall_now=later)
    assert dispatch(account, broker, wall_now=later).accepted == 1


def reducing_orders(account: Account, broker: FakeBroker) -> list[Order]:
    """Make two reduce-only sales that together close a long of 100."""
    allow_bursts()
    filled_order(account, broker, quantity=D(100), client_order_id="held")
    return [
        make_order(account, side="sell", quantity=D(60), reduce_only=True, client_order_id="sixty"),
        make_order(account, side="sell", quantity=D(40), reduce_only=True, client_order_id="forty"),
    ]


def test_reduce_only_orders_that_still_reduce_are_sent() -> None:
    account, broker = desk()
    orders = reducing_orders(account, broker)
    dispatch(account, broker)
    assert [again(order).status for order in orders] == ["accepted", "accepted"]


def test_reduce_only_orders_that_would_flip_a_position_grown_smaller_are_not_all_sent() -> None:
    account, broker = desk()
    first = accepted_order(account, broker, side="sell", quantity=D(30), client_order_id="late")
    broker.end(first.client_order_id, "canceled")
    recorded(account, broker)
    reducing_orders(account, broker)
    broker.fill("late", "30")
    recorded(account, broker)
    dispatch(account, broker)
    line = position_of(account)
    assert line.quantity == 70
    assert line.open_sell_quantity <= 70
    assert sorted(Order.objects.filter(reduce_only=True).values_list("status", flat=True)) == ["accepted", "denied"]
    assert Order.objects.get(status="denied").error_code == "REDUCE_ONLY"
    assert_books_balance(account)


def test_nothing_leaves_an_account_that_is_not_reconciled_whatever_the_callers_copy_says() -> None:
    account, broker = desk()
    order = make_order(account)
    Account.objects.filter(pk=account.pk).update(reconciliation=Account.Reconciliation.BROKEN)
    assert account.reconciliation == Account.Reconciliation.CLEAN
    assert dispatch_once(account=account, broker=broker, wall_now=WALL_NOW) == DispatchReport()
    assert again(order).status == OrderStatus.PENDING
    assert broker.received == []


def test_an_account_that_breaks_between_the_look_and_the_claim_sends_nothing() -> None:
    account, _broker = desk()
    make_order(account)
    Account.objects.filter(pk=account.pk).update(reconciliation=Account.Reconciliation.PENDING)
    claim = claim_pending(account=account, dry_run=False, wall_now=WALL_NOW, market_at=MARKET_AT, limit=10)
    assert claim.orders == []


def test_an_order_whose_session_is_over_is_not_sent_in_the_next() -> None:
    account, broker = desk()
    allow_bursts()
    limit = {"order_type": "limit", "limit_price": D(99)}
    day = make_order(account, client_order_id="day", **limit)
    lasting = make_order(account, client_order_id="gtc", time_in_force=TimeInForce.GTC, **limit)
    Feed.objects.filter(pk=account.feed_id).update(market_at=MARKET_AT + timedelta(days=1))
    report = dispatch(account, broker)
    assert (report.expired, report.accepted) == (1, 1)
    assert (again(day).status, again(day).error_code) == ("expired", "session_over")
    assert again(lasting).status == OrderStatus.ACCEPTED
    assert broker.received == ["gtc"]
    assert_books_balance(account)


def test_market_time_is_the_feeds_and_not_the_callers_copy() -> None:
    account, broker = desk()
    order = make_order(account)
    later = MARKET_AT + timedelta(minutes=7)
    Feed.objects.filter(pk=account.feed_id).update(market_at=later)
    dispatch_once(account=account, broker=broker, wall_now=WALL_NOW)
    assert order.events.get(to_status="submitted").market_at == later


def test_a_dry_run_marks_what_it_would_have_sent_and_sends_nothing() -> None:
    account, _ = desk(mode=Account.Mode.DRY_RUN)
    order = make_order(account)
    broker = DryRunBroker(account.name, starting_cash=account.starting_cash)
    assert dispatch(account, broker) == DispatchReport(dry_run=1)
    assert statuses(order) == ["pending", "dry_run"]
    assert position_of(account).open_order_count == 0
    assert_books_balance(account)


def test_a_dry_run_looks_twice_as_well() -> None:
    account, _ = desk(mode=Account.Mode.DRY_RUN)
    order = make_order(account)
    stop_without_cancels("global")
    dispatch(account, FakeBroker(is_dry_run=True))
    assert again(order).status == OrderStatus.DENIED


# Cancels


def test_a_cancel_reaches_the_broker_once_and_ends_with_its_report() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    request_cancel(order=order, operator="ann", wall_now=WALL_NOW)
    assert dispatch(account, broker) == DispatchReport(cancels_sent=1)
    assert dispatch(account, broker) == DispatchReport()
    assert again(order).cancel_sent_at == WALL_NOW
    recorded(account, broker)
    assert again(order).status == OrderStatus.CANCELED
    assert broker.cancels == [order.client_order_id]
    assert_books_balance(account)


def test_every_cancel_goes_before_any_order() -> None:
    account, broker = desk()
    allow_bursts()
    for order in [accepted_order(account, broker, client_order_id=f"old{number}") for number in range(5)]:
        request_cancel(order=order, operator="ann", wall_now=WALL_NOW)
    make_order(account, client_order_id="new")
    sent_before: list[int] = []
    broker.before_submit = lambda _request: sent_before.append(len(broker.cancels))
    report = dispatch(account, broker, limit=2)
    assert (report.cancels_sent, sent_before) == (5, [5])


@pytest.mark.parametrize("state", ["halted", "not reconciled"])
def test_cancels_pass_when_nothing_else_does(state: str) -> None:
    account, broker = desk()
    accepted_order(account, broker)
    halt("global")
    if state == "not reconciled":
        Account.objects.filter(pk=account.pk).update(reconciliation=Account.Reconciliation.BROKEN)
    assert dispatch(account, broker).cancels_sent == 1


@pytest.mark.parametrize("error", [BrokerUnavailable("down"), BrokerOutcomeUnknown("hung up")], ids=["away", "lost"])
def test_a_cancel_that_may_not_have_arrived_is_sent_again(error: BrokerError) -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    request_cancel(order=order, operator="ann", wall_now=WALL_NOW)
    broker.before_cancel = raising(error)
    assert dispatch(account, broker).cancels_sent == 0
    assert again(order).cancel_sent_at is None
    broker.before_cancel = None
    assert dispatch(account, broker).cancels_sent == 1


def test_a_cancel_of_an_order_that_is_over_at_the_broker_is_asked_for_once() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.fill(order.client_order_id, "10")
    request_cancel(order=order, operator="ann", wall_now=WALL_NOW)
    dispatch(account, broker)
    dispatch(account, broker)
    assert broker.cancels == [order.client_order_id]
    recorded(account, broker)
    assert again(order).status == OrderStatus.FILLED
    assert_books_balance(account)


def test_a_cancel_of_an_order_the_broker_does_not_know_yet_is_tried_again() -> None:
    account, broker = desk()
    order = make_order(account)
    claim_pending(account=account, dry_run=False, wall_now=WALL_NOW, market_at=MARKET_AT, limit=1)
    request_cancel(order=again(order), operator="ann", wall_now=WALL_NOW)
    assert dispatch(account, broker).cancels_sent == 0
    broker.submit(_request(order), at=MARKET_AT)
    assert dispatch(account, broker).cancels_sent == 1
    recorded(account, broker)
    assert again(order).status == OrderStatus.CANCELED
    assert_books_balance(account)


def test_a_new_cancel_is_not_taken_for_the_one_that_was_sent_before_it() -> None:
    """A cancel is refused and asked for again while the first one is on its way back."""
    account, broker = desk()
    order = accepted_order(account, broker)
    request_cancel(order=order, operator="ann", wall_now=WALL_NOW)

    def refused_and_wanted_again(client_order_id: str) -> None:
        broker.before_cancel = None
        broker.tell("cancel_rejected", client_order_id)
        recorded(account, broker)
        request_cancel(order=again(order), operator="ann", wall_now=WALL_NOW + timedelta(seconds=1))

    broker.before_cancel = refused_and_wanted_again
    dispatch(account, broker)
    assert again(order).cancel_sent_at is None


def cancel_in_flight(account: Account, broker: FakeBroker, error: BrokerError | None, *, after: bool = False) -> Order:
    """Cancel an order between its claim and the broker's answer."""
    order = make_order(account)

    def cancel(_request: OrderRequest) -> None:
        request_cancel(order=again(order), operator="ann", wall_now=WALL_NOW)
        if error is not None:
            raise error

    setattr(broker, "after_submit" if after else "before_submit", cancel)
    dispatch(account, broker)
    broker.before_submit = broker.after_submit = None
    return again(order)


def test_an_order_canceled_while_it_is_being_sent_is_canceled_at_the_broker() -> None:
    account, broker = desk()
    order = cancel_in_flight(account, broker, None)
    assert (order.status, order.broker_order_id) == ("pending_cancel", "B-1")
    dispatch(account, broker)
    recorded(account, broker)
    assert statuses(order) == ["pending", "submitted", "pending_cancel", "canceled"]
    assert_books_balance(account)


def test_an_order_canceled_while_the_broker_refuses_it_is_refused() -> None:
    account, broker = desk()
    order = cancel_in_flight(account, broker, BrokerRejected("no", code="refused"))
    assert (order.status, order.error_code) == ("rejected", "refused")
    assert position_of(account).open_order_count == 0
    assert_books_balance(account)


def test_an_order_canceled_while_nothing_was_sent_is_canceled() -> None:
    account, broker = desk()
    order = cancel_in_flight(account, broker, BrokerUnavailable("down"))
    assert statuses(order) == ["pending", "submitted", "pending_cancel", "canceled"]
    assert dispatch(account, broker) == DispatchReport()
    assert_books_balance(account)


def test_an_order_canceled_while_its_answer_is_lost_waits_for_its_cancel() -> None:
    account, broker = desk()
    order = cancel_in_flight(account, broker, BrokerOutcomeUnknown("hung up"), after=True)
    assert (order.status, order.broker_order_id) == ("pending_cancel", "")
    dispatch(account, broker)
    recorded(account, broker)
    assert again(order).status == OrderStatus.CANCELED
    assert_books_balance(account)


def test_a_refusal_that_a_report_contradicts_changes_nothing() -> None:
    account, broker = desk()
    order = make_order(account)

    def report_then_lose(request: OrderRequest) -> None:
        recorded(account, broker)
        raise BrokerRejected("no", code="refused")

    broker.after_submit = report_then_lose
    dispatch(account, broker)
    assert again(order).status == OrderStatus.ACCEPTED


# Two dispatchers


def race(account: Account, broker: FakeBroker, hands: int = 4) -> list[DispatchReport]:
    gate = Barrier(hands)

    def run() -> DispatchReport:
        connection.ensure_connection()
        gate.wait(30)
        return dispatch(account, broker)

    answers = together(*[run] * hands)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


@pytest.mark.django_db(transaction=True)
def test_dispatchers_at_once_send_no_order_twice() -> None:
    account, broker = desk()
    allow_bursts()
    for number in range(40):
        submit(account, client_order_id=f"n{number}", quantity=D(1))
    answers = race(account, broker)
    assert sum(answer.accepted for answer in answers) == 40
    assert sorted(broker.received) == sorted(f"n{number}" for number in range(40))
    assert_books_balance(account)


@pytest.mark.django_db(transaction=True)
def test_control_without_the_row_lock_orders_are_sent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    account, broker = desk()
    allow_bursts()
    for number in range(10):
        submit(account, client_order_id=f"n{number}", quantity=D(1))
    all_have_read = Barrier(4)
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self._chain())
    monkeypatch.setattr("execution.services.claims._stops", lambda *_: (all_have_read.wait(30), _Stops())[1])
    gate = Barrier(4)

    def run() -> DispatchReport:
        connection.ensure_connection()
        gate.wait(30)
        return dispatch(account, broker)

    answers = together(*[run] * 4)
    assert len(broker.received) > 10 or any(isinstance(answer, Exception) for answer in answers)


@pytest.mark.django_db(transaction=True)
def test_orders_another_dispatcher_holds_are_passed_over() -> None:
    account, broker = desk()
    allow_bursts()
    first = make_order(account, client_order_id="first")
    second = make_order(account, client_order_id="second")

    def hold() -> None:
        list(Order.objects.select_for_update().filter(pk=first.pk))

    with in_another_transaction(hold):
        assert dispatch(account, broker).sent == 1
    assert broker.received == [second.client_order_id]
    assert dispatch(account, broker).sent == 1


def test_a_sell_is_sent_as_a_sell() -> None:
    account, broker = desk()
    order = make_order(account, side=Side.SELL)
    dispatch(account, broker)
    assert broker.orders[order.client_order_id].side == "sell"
