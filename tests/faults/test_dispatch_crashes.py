"""A process that dies anywhere on the way of an order leaves one broker order for each intent, none lost, none twice.

A death is an exception that nothing on the way catches. What was committed before it stays, the rest is undone, as with
a killed process; then a new process starts with recovery, as every start does.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import connection

from execution.brokers.base import BrokerOutcomeUnknown, OrderRequest
from execution.models import Account, Order, OrderEvent
from execution.services import answers, recovery, reports
from execution.services import dispatch as dispatch_module
from execution.services.cancels import request_cancel
from execution.services.dispatch import dispatch_once
from execution.services.journal import Journal
from execution.services.recovery import begin_recovery, recover_account
from execution.states import OrderStatus
from tests.execution.cases import WALL_NOW, again, assert_books_balance, desk, recorded
from tests.execution.fake_broker import FakeBroker
from tests.factories import allow_bursts, make_order

pytestmark = pytest.mark.django_db

ORDERS = 3
LATER = WALL_NOW + timedelta(seconds=60)


class Death(BaseException):
    """The process is gone; a BaseException, so that nothing handles it."""


Plan = Callable[[FakeBroker, pytest.MonkeyPatch], None]


def die(*_args: object, **_fields: object) -> None:
    raise Death


def before_claim_commits(_broker: FakeBroker, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Journal, "save", die)


def between_claim_and_broker(broker: FakeBroker, _patch: pytest.MonkeyPatch) -> None:
    broker.before_batch = die


def in_the_middle_of_the_batch(broker: FakeBroker, _patch: pytest.MonkeyPatch) -> None:
    def second(request: OrderRequest) -> None:
        if request.client_order_id == "n1":
            raise Death

    broker.before_submit = second


def after_the_broker_took_one(broker: FakeBroker, _patch: pytest.MonkeyPatch) -> None:
    broker.after_submit = die


def after_the_broker_took_all(broker: FakeBroker, _patch: pytest.MonkeyPatch) -> None:
    broker.after_batch = die


def before_the_answers_are_recorded(_broker: FakeBroker, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(dispatch_module, "record_answers", die)


def while_the_answers_are_recorded(_broker: FakeBroker, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(answers, "record_answer", die)


def before_the_answers_commit(_broker: FakeBroker, patch: pytest.MonkeyPatch) -> None:
    saves = iter((Journal.save, die))
    patch.setattr(Journal, "save", lambda journal: next(saves)(journal))


DEATHS: tuple[Plan, ...] = (
    before_claim_commits,
    between_claim_and_broker,
    in_the_middle_of_the_batch,
    after_the_broker_took_one,
    after_the_broker_took_all,
    before_the_answers_are_recorded,
    while_the_answers_are_recorded,
    before_the_answers_commit,
)


def stored_orders(account: Account) -> list[Order]:
    allow_bursts()
    return [make_order(account, client_order_id=f"n{number}") for number in range(ORDERS)]


def send(account: Account, broker: FakeBroker) -> None:
    dispatch_once(account=account, broker=broker, wall_now=WALL_NOW)


def die_while_sending(account: Account, broker: FakeBroker, plan: Plan) -> None:
    with pytest.MonkeyPatch.context() as patch:
        plan(broker, patch)
        with pytest.raises(Death):
            send(account, broker)
    broker.before_batch = broker.after_batch = None
    broker.before_submit = broker.after_submit = None


def start_anew(account: Account, broker: FakeBroker) -> None:
    """Do what every start does: recovery, then rounds until nothing is left to do."""
    fresh = Account.objects.select_related("feed").get(pk=account.pk)
    begin_recovery(account=fresh)
    recover_account(account=fresh, broker=broker, wall_now=LATER)
    while dispatch_once(account=fresh, broker=broker, wall_now=LATER).did_something:
        recorded(fresh, broker)


def assert_one_broker_order_for_each(orders: list[Order], broker: FakeBroker) -> None:
    assert sorted(broker.orders) == sorted(order.client_order_id for order in orders)
    assert sorted(broker.received) == sorted(broker.orders)  # nothing was ever sent twice
    for order in orders:
        after = again(order)
        assert (after.status, after.broker_order_id) == (
            OrderStatus.ACCEPTED,
            broker.orders[order.client_order_id].broker_order_id,
        )


@pytest.mark.parametrize("mode", [Account.Mode.PAPER, Account.Mode.ALPACA_PAPER])
@pytest.mark.parametrize("plan", DEATHS, ids=lambda plan: plan.__name__)
def test_one_broker_order_for_each_intent(plan: Plan, mode: str) -> None:
    account, broker = desk(mode=mode)
    Account.objects.filter(pk=account.pk).update(reconciliation=Account.Reconciliation.CLEAN)
    orders = stored_orders(account)
    die_while_sending(account, broker, plan)
    assert_books_balance(account)
    start_anew(account, broker)
    assert_one_broker_order_for_each(orders, broker)
    assert_books_balance(account)
    for order in orders:
        broker.fill(order.client_order_id, "10")
    recorded(account, broker)
    assert {again(order).status for order in orders} == {OrderStatus.FILLED}
    assert_books_balance(account)


@pytest.mark.parametrize("second", DEATHS, ids=lambda plan: plan.__name__)
@pytest.mark.parametrize("first", DEATHS[1::3], ids=lambda plan: plan.__name__)
def test_dying_again_after_the_first_recovery_changes_nothing(first: Plan, second: Plan) -> None:
    account, broker = desk()
    orders = stored_orders(account)
    die_while_sending(account, broker, first)
    fresh = Account.objects.select_related("feed").get(pk=account.pk)
    recover_account(account=fresh, broker=broker, wall_now=LATER)
    if Order.objects.filter(account=account, status=OrderStatus.PENDING).exists():
        with suppress(pytest.fail.Exception):  # the second plan may aim at an order that waits no more
            die_while_sending(account, broker, second)
    start_anew(account, broker)
    assert_one_broker_order_for_each(orders, broker)
    assert_books_balance(account)


@pytest.mark.parametrize("place", ["find", "record", "save", "positions"])
def test_dying_during_recovery_is_only_another_start(place: str) -> None:
    account, broker = desk()
    orders = stored_orders(account)
    die_while_sending(account, broker, after_the_broker_took_one)
    with pytest.MonkeyPatch.context() as patch:
        if place == "find":
            broker.before_find = die
        elif place == "positions":
            broker.before_positions = die
        elif place == "record":
            patch.setattr(recovery, "record_answer", die)
            patch.setattr(recovery, "apply_reports", lambda **_: 0)
        else:
            patch.setattr(Journal, "save", die)
        with pytest.raises(Death):
            start_anew(account, broker)
    broker.before_find = broker.before_positions = None
    assert Account.objects.get(pk=account.pk).reconciliation == Account.Reconciliation.PENDING
    start_anew(account, broker)
    assert_one_broker_order_for_each(orders, broker)
    assert_books_balance(account)


def test_control_without_recovery_an_order_is_lost() -> None:
    account, broker = desk()
    orders = stored_orders(account)
    die_while_sending(account, broker, between_claim_and_broker)
    while dispatch_once(account=account, broker=broker, wall_now=LATER).did_something:
        recorded(account, broker)
    assert broker.orders == {}
    assert {again(order).status for order in orders} == {OrderStatus.SUBMITTED}


def test_control_a_recovery_that_sends_again_without_asking_asks_for_every_order_twice() -> None:
    """Only the broker's own memory of ids would stand between this and two orders."""
    account, broker = desk()
    stored_orders(account)
    die_while_sending(account, broker, after_the_broker_took_all)
    Order.objects.filter(account=account).update(status=OrderStatus.PENDING)
    send(account, broker)
    assert len(broker.received) == 2 * ORDERS
    assert len(broker.orders) == ORDERS


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "not taken"])
def test_an_answer_that_never_comes_is_asked_for(taken: bool) -> None:
    account, broker = desk()
    orders = stored_orders(account)

    def hang_up(_request: OrderRequest) -> None:
        raise BrokerOutcomeUnknown("the line broke")

    setattr(broker, "after_submit" if taken else "before_submit", hang_up)
    send(account, broker)
    assert {again(order).status for order in orders} == {OrderStatus.SUBMITTED}
    broker.before_submit = broker.after_submit = None
    start_anew(account, broker)
    assert_one_broker_order_for_each(orders, broker)
    back = OrderEvent.objects.filter(order__in=orders, from_status="submitted", to_status="pending")
    assert back.count() == (0 if taken else ORDERS)  # put back exactly once, and only when it was not there
    assert_books_balance(account)


@pytest.mark.parametrize("place", ["before the commit", "cursor", "half the batch"])
def test_dying_between_a_report_and_the_cursor_books_it_once(place: str) -> None:
    account, broker = desk()
    orders = stored_orders(account)
    send(account, broker)
    for order in orders:
        broker.fill(order.client_order_id, "4")
        broker.fill(order.client_order_id, "6")
    with pytest.MonkeyPatch.context() as patch:
        if place == "before the commit":
            patch.setattr(Journal, "save", die)
        elif place == "cursor":
            patch.setattr(Account, "save", die)
        else:
            patch.setattr(reports, "BATCH", 4)
            calls = iter((reports.book_reports, die))
            patch.setattr(reports, "book_reports", lambda **fields: next(calls)(**fields))
        with pytest.raises(Death):
            recorded(account, broker)
    assert_books_balance(account)
    start_anew(account, broker)
    assert {again(order).status for order in orders} == {OrderStatus.FILLED}
    assert Account.objects.get(pk=account.pk).report_cursor == len(broker.reports)
    assert_books_balance(account)


@pytest.mark.parametrize("reached", [True, False], ids=["the broker has it", "it never left"])
def test_dying_between_a_cancel_and_its_mark_cancels_once(reached: bool) -> None:
    account, broker = desk()
    orders = stored_orders(account)
    send(account, broker)
    request_cancel(order=again(orders[0]), operator="ann", wall_now=WALL_NOW)
    with pytest.MonkeyPatch.context() as patch:
        if reached:
            plain = broker.cancel
            patch.setattr(broker, "cancel", lambda **fields: die(plain(**fields)))
        else:
            broker.before_cancel = die
        with pytest.raises(Death):
            send(account, broker)
    broker.before_cancel = None
    start_anew(account, broker)
    recorded(account, broker)
    assert [again(order).status for order in orders] == ["canceled", "accepted", "accepted"]
    assert sum(report.kind == "canceled" for report in broker.reports) == 1
    assert_books_balance(account)


def test_dying_with_a_cancel_wanted_for_an_order_on_its_way_leaves_no_order_alive() -> None:
    for plan in (between_claim_and_broker, after_the_broker_took_all):
        account, broker = desk()
        orders = stored_orders(account)
        die_while_sending(account, broker, plan)
        for order in orders:
            request_cancel(order=again(order), operator="ann", wall_now=WALL_NOW)
        start_anew(account, broker)
        recorded(account, broker)
        assert {again(order).status for order in orders} == {OrderStatus.CANCELED}
        assert broker.open_orders() == []
        assert_books_balance(account)


@pytest.mark.django_db(transaction=True)
def test_the_broker_is_never_called_inside_a_transaction() -> None:
    account, broker = desk()
    orders = stored_orders(account)
    calls: list[str] = []

    def outside(name: str) -> Callable[..., None]:
        def look(*_args: object) -> None:
            calls.append(name)
            assert not connection.in_atomic_block, name

        return look

    for name in ("before_submit", "after_submit", "before_cancel", "before_find", "before_positions"):
        setattr(broker, name, outside(name))
    send(account, broker)
    request_cancel(order=again(orders[0]), operator="ann", wall_now=WALL_NOW)
    send(account, broker)
    lost = make_order(account, client_order_id="lost")
    Order.objects.filter(pk=lost.pk).update(status=OrderStatus.SUBMITTED, submitted_at=WALL_NOW)
    account.refresh_from_db()
    recover_account(account=account, broker=broker, wall_now=LATER)
    assert set(calls) == {"before_submit", "after_submit", "before_cancel", "before_find", "before_positions"}
