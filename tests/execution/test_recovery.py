"""What became of orders without an answer is asked, not guessed; then the account may trade again."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from threading import Event

import pytest
from django.db import connection

from execution.brokers.base import BrokerOutcomeUnknown, BrokerUnavailable, OrderRequest
from execution.brokers.dry_run import DryRunBroker
from execution.models import Account, Order, RefusedReport
from execution.services.cancels import request_cancel
from execution.services.claims import claim_pending
from execution.services.dispatch import request_of
from execution.services.recovery import begin_recovery, position_differences, recover_account, resolve_unanswered
from execution.states import OrderStatus
from risk.services import breaker, kill_switch
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
from tests.factories import allow_bursts
from tests.risk.threads import together

pytestmark = pytest.mark.django_db


def claimed_order(account: Account, **fields: object) -> Order:
    """Make an order whose sender died right after the claim."""
    order = make_order(account, **fields)
    claim_pending(account=account, dry_run=False, wall_now=WALL_NOW, market_at=MARKET_AT, limit=10)
    return again(order)


def resolve(account: Account, broker: FakeBroker, seconds: int = 60) -> int:
    return resolve_unanswered(account=account, broker=broker, wall_now=WALL_NOW + timedelta(seconds=seconds))


def recover(account: Account, broker: FakeBroker, seconds: int = 60) -> int:
    return recover_account(account=account, broker=broker, wall_now=WALL_NOW + timedelta(seconds=seconds))


def test_an_order_the_broker_knows_is_adopted() -> None:
    account, broker = desk()
    order = claimed_order(account)
    broker.submit(request_of(order), at=MARKET_AT)
    assert resolve(account, broker) == 1
    assert (again(order).status, again(order).broker_order_id) == ("accepted", "B-1")
    assert broker.received == [order.client_order_id]


def test_another_order_under_the_same_id_is_not_adopted() -> None:
    account, broker = desk()
    order = claimed_order(account)
    broker.submit(replace(request_of(order), quantity=D(11)), at=MARKET_AT)
    assert resolve(account, broker) == 1
    assert (again(order).status, again(order).error_code) == ("rejected", "duplicate_client_order_id")
    assert_books_balance(account)


def test_an_order_the_broker_does_not_know_goes_back_once_and_is_sent_once() -> None:
    account, broker = desk()
    order = claimed_order(account)
    assert resolve(account, broker) == 1
    assert resolve(account, broker) == 0
    assert statuses(order) == ["pending", "submitted", "pending"]
    dispatch(account, broker)
    assert (again(order).status, broker.received) == ("accepted", [order.client_order_id])
    assert_books_balance(account)


def test_a_missing_order_proves_nothing_before_the_brokers_grace_is_over() -> None:
    account, broker = desk()
    broker.not_found_grace_seconds = 30
    order = claimed_order(account)
    assert resolve(account, broker, seconds=29) == 0
    assert again(order).status == OrderStatus.SUBMITTED
    assert resolve(account, broker, seconds=30) == 1
    assert again(order).status == OrderStatus.PENDING


def test_an_order_wanted_no_longer_and_never_sent_is_canceled() -> None:
    account, broker = desk()
    order = claimed_order(account)
    request_cancel(order=order, operator="ann", wall_now=WALL_NOW)
    assert resolve(account, broker) == 1
    assert again(order).status == OrderStatus.CANCELED
    assert_books_balance(account)


def test_an_order_wanted_no_longer_that_the_broker_knows_is_canceled_there() -> None:
    account, broker = desk()
    order = claimed_order(account)
    broker.submit(request_of(order), at=MARKET_AT)
    request_cancel(order=order, operator="ann", wall_now=WALL_NOW)
    assert resolve(account, broker) == 1
    assert (again(order).status, again(order).broker_order_id) == ("pending_cancel", "B-1")
    assert dispatch(account, broker).cancels_sent == 1
    recorded(account, broker)
    assert again(order).status == OrderStatus.CANCELED


def test_an_order_that_goes_back_passes_the_second_look_again() -> None:
    account, broker = desk()
    order = claimed_order(account)
    resolve(account, broker)
    breaker.trip(scope=account.scope, reason="a test of recovery", operator="ann", now=WALL_NOW)
    dispatch(account, broker)
    assert (again(order).status, again(order).error_code, broker.received) == ("canceled", "CIRCUIT_BREAKER", [])


def test_an_order_that_was_taken_for_lost_and_is_stopped_then_keeps_what_it_fills_after_all() -> None:
    account, broker = desk()
    order = claimed_order(account)
    resolve(account, broker)
    kill_switch.engage(scope="global", operator="ann", reason="a test of recovery", source="console", now=WALL_NOW)
    dispatch(account, broker)
    broker.submit(request_of(order), at=MARKET_AT)  # it had been on its way for longer than anybody believed
    broker.fill(order.client_order_id, order.quantity)
    recorded(account, broker)
    assert again(order).status == "filled"
    assert position_of(account).quantity == order.quantity
    assert not RefusedReport.objects.exists()
    assert_books_balance(account)


def test_a_broker_that_cannot_be_asked_resolves_nothing() -> None:
    account, broker = desk()
    order = claimed_order(account)
    broker.before_find = _raising
    with pytest.raises(BrokerUnavailable):
        resolve(account, broker)
    assert again(order).status == OrderStatus.SUBMITTED


def _raising(_client_order_id: str) -> None:
    raise BrokerUnavailable("down")


def test_an_order_that_got_its_answer_meanwhile_is_left_alone() -> None:
    account, broker = desk()
    order = claimed_order(account)

    def answered(_client_order_id: str) -> None:
        broker.before_find = None
        broker.submit(request_of(order), at=MARKET_AT)
        recorded(account, broker)
        broker.hidden.add(order.client_order_id)

    broker.before_find = answered
    assert resolve(account, broker) == 0
    assert again(order).status == OrderStatus.ACCEPTED


def test_only_unanswered_orders_are_asked_about() -> None:
    account, broker = desk()
    allow_bursts()
    accepted_order(account, broker, client_order_id="accepted")
    make_order(account, client_order_id="waiting")
    asked: list[str] = []
    broker.before_find = asked.append
    assert resolve(account, broker) == 0
    assert asked == []


# Recovery as a whole


def test_an_account_is_closed_until_it_has_recovered() -> None:
    account, broker = desk()
    begin_recovery(account=account)
    order_in_the_way = Order.objects.filter(account=account)
    assert not order_in_the_way.exists()
    assert Account.objects.get(pk=account.pk).reconciliation == Account.Reconciliation.PENDING
    recover(account, broker)
    after = Account.objects.get(pk=account.pk)
    assert after.reconciliation == Account.Reconciliation.CLEAN
    assert after.reconciled_at == WALL_NOW + timedelta(seconds=60)


def test_recovery_books_what_was_missed() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.fill(order.client_order_id, "10")
    recover(account, broker)
    assert again(order).status == OrderStatus.FILLED
    assert_books_balance(account)


def test_an_account_stays_closed_while_the_broker_cannot_be_asked() -> None:
    account, broker = desk()
    claimed_order(account)
    begin_recovery(account=account)
    broker.before_find = _raising
    with pytest.raises(BrokerUnavailable):
        recover(account, broker)
    assert Account.objects.get(pk=account.pk).reconciliation == Account.Reconciliation.PENDING


def test_positions_that_differ_close_the_account() -> None:
    account, broker = desk()
    filled_order(account, broker)
    broker.held["AAPL"] = D(11)
    broker.held["MSFT"] = D(-2)
    assert position_differences(account=account, broker=broker) == [("AAPL", D(10), D(11)), ("MSFT", 0, D(-2))]
    recover(account, broker)
    assert Account.objects.get(pk=account.pk).reconciliation == Account.Reconciliation.BROKEN


def test_a_position_missing_at_the_broker_is_a_difference() -> None:
    account, broker = desk()
    filled_order(account, broker)
    broker.held.clear()
    assert position_differences(account=account, broker=broker) == [("AAPL", D(10), 0)]


def test_a_fill_between_the_reports_and_the_positions_is_no_difference() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.before_positions = lambda: _once(broker, lambda: broker.fill(order.client_order_id, "4"))
    recover(account, broker)
    assert Account.objects.get(pk=account.pk).reconciliation == Account.Reconciliation.CLEAN
    assert again(order).filled_quantity == 4


def test_positions_that_keep_differing_close_the_account_in_the_end() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.before_positions = lambda: broker.fill(order.client_order_id, "1")
    recover(account, broker)
    assert Account.objects.get(pk=account.pk).reconciliation == Account.Reconciliation.BROKEN


def test_a_report_that_somebody_else_could_not_book_meanwhile_keeps_the_account_closed() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)

    def refuse_a_fill() -> None:
        numbers = {"quantity": D(1), "price": D(100), "fee": D(0), "broker_execution_id": "X-1"}
        told = broker.tell("fill", order.client_order_id, **numbers)
        broker.reports[-1] = replace(told, client_order_id="of a stranger")
        recorded(account, broker)

    broker.before_positions = lambda: _once(broker, refuse_a_fill)
    with pytest.raises(BrokerUnavailable, match="while positions were compared"):
        recover(account, broker)
    assert Account.objects.get(pk=account.pk).reconciliation == Account.Reconciliation.BROKEN
    recover(account, broker)  # looked at anew, the positions agree
    assert Account.objects.get(pk=account.pk).reconciliation == Account.Reconciliation.CLEAN


def _once(broker: FakeBroker, work: Callable[[], object]) -> None:
    broker.before_positions = None
    work()


def test_what_is_open_at_the_broker_and_over_here_is_canceled_there() -> None:
    """A broker that hid an order, took it for lost and canceled here, finds it again."""
    account, broker = desk()
    order = claimed_order(account)
    broker.submit(request_of(order), at=MARKET_AT)
    broker.hidden.add(order.client_order_id)
    request_cancel(order=order, operator="ann", wall_now=WALL_NOW)
    resolve(account, broker)
    assert again(order).status == OrderStatus.CANCELED
    broker.hidden.clear()
    recover(account, broker)
    assert broker.cancels == [order.client_order_id]
    assert broker.open_orders() == []
    recover(account, broker)
    assert broker.cancels == [order.client_order_id]
    assert_books_balance(account)


def test_a_stray_that_ends_by_itself_meanwhile_is_no_failure() -> None:
    account, broker = desk()
    order = claimed_order(account)
    broker.submit(request_of(order), at=MARKET_AT)
    broker.hidden.add(order.client_order_id)
    request_cancel(order=order, operator="ann", wall_now=WALL_NOW)
    resolve(account, broker)
    broker.before_cancel = lambda client_order_id: broker.end(client_order_id, "expired")
    recover(account, broker)
    assert Account.objects.get(pk=account.pk).reconciliation == Account.Reconciliation.CLEAN


def test_what_is_open_at_the_broker_and_not_ours_is_left_alone() -> None:
    account, broker = desk()
    allow_bursts()
    ours = accepted_order(account, broker, client_order_id="ours")
    request = request_of(ours)
    broker.submit(
        OrderRequest(
            client_order_id="a person's",
            symbol="AAPL",
            side="buy",
            quantity=D(1),
            order_type=request.order_type,
            time_in_force=request.time_in_force,
        ),
        at=MARKET_AT,
    )
    recover(account, broker)
    assert broker.cancels == []
    assert len(broker.open_orders()) == 2


def test_a_dry_run_has_nothing_to_recover() -> None:
    account, _ = desk(mode=Account.Mode.DRY_RUN)
    begin_recovery(account=account)
    broker = DryRunBroker(account.name, starting_cash=account.starting_cash)
    assert recover_account(account=account, broker=broker, wall_now=WALL_NOW) == 0
    assert Account.objects.get(pk=account.pk).reconciliation == Account.Reconciliation.CLEAN


# While somebody is sending


def send_while_recovering(account: Account, broker: FakeBroker) -> list[object]:
    """Run a recovery between the claim and the broker call of a live dispatcher."""
    claimed, recovering = Event(), Event()

    def hold() -> None:
        claimed.set()
        recovering.wait(0.3)  # the recovery cannot get through, so this is the time it is given to try

    def recover_now() -> int:
        claimed.wait(30)
        try:
            return resolve(account, broker)
        finally:
            recovering.set()

    broker.before_batch = hold
    connection.close()
    return together(lambda: dispatch(account, broker), recover_now)


@pytest.mark.django_db(transaction=True)
def test_recovery_waits_for_an_order_that_is_on_its_way() -> None:
    account, broker = desk()
    order = make_order(account)
    report, resolved = send_while_recovering(account, broker)
    assert (report.accepted, resolved) == (1, 0)
    assert statuses(order) == ["pending", "submitted", "accepted"]


@pytest.mark.django_db(transaction=True)
def test_control_without_the_wait_an_order_on_its_way_is_taken_for_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execution.services.recovery.nothing_in_flight", lambda _account_id: nullcontext())
    account, broker = desk()
    order = make_order(account)
    _report, resolved = send_while_recovering(account, broker)
    assert resolved == 1
    assert statuses(order)[:3] == ["pending", "submitted", "pending"]


@pytest.mark.django_db(transaction=True)
def test_recoveries_at_once_put_an_order_back_once() -> None:
    account, broker = desk()
    order = claimed_order(account)
    answers = together(*[lambda: resolve(account, broker)] * 4)
    assert sorted(answers) == [0, 0, 0, 1]
    assert statuses(order) == ["pending", "submitted", "pending"]
    assert_books_balance(account)


def test_an_unknown_outcome_is_resolved_while_running() -> None:
    account, broker = desk()
    order = make_order(account)

    def lose(_request: OrderRequest) -> None:
        raise BrokerOutcomeUnknown("hung up")

    broker.after_submit = lose
    dispatch(account, broker)
    assert again(order).status == OrderStatus.SUBMITTED
    resolve(account, broker)
    assert again(order).status == OrderStatus.ACCEPTED
    assert (again(order).error_code, position_of(account).open_order_count) == ("", 1)
