"""Between two orders of a batch that leave one by one: what stops the next one, and what becomes of those held back."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from execution.brokers.base import BrokerError, BrokerOutcomeUnknown, BrokerRejected, BrokerUnavailable, OrderRequest
from execution.models import Account, BrokerLink, Order
from execution.services import last_look
from execution.services.cancels import request_cancel
from execution.services.halt import engage_kill_switch
from risk.models import BrokerFault, KillSwitchEvent
from risk.services import breaker, kill_switch
from tests.execution.cases import WALL_NOW, again, assert_books_balance, desk, dispatch, make_order, recorded, statuses
from tests.execution.fake_broker import FakeBroker
from tests.factories import allow_bursts

pytestmark = pytest.mark.django_db
REASON = "a test of the last look"
Between = Callable[[Account], object]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a batch take as long as it likes, whatever else this machine does."""
    monkeypatch.setattr(last_look, "SENDING_AT_MOST", timedelta(minutes=5))


def batch(count: int = 3) -> tuple[Account, FakeBroker, list[Order]]:
    account, broker = desk(mode="alpaca_paper")
    account.reconciliation = Account.Reconciliation.CLEAN
    account.save(update_fields=["reconciliation"])
    allow_bursts()
    return account, broker, [make_order(account, client_order_id=f"n{number}") for number in range(count)]


def after_the_first(broker: FakeBroker, do: Callable[[], object]) -> None:
    """Do something while the first order is at the broker and its answer under way."""

    def once(request: OrderRequest) -> None:
        broker.after_submit = None
        do()

    broker.after_submit = once


def refused(broker: FakeBroker, error: BrokerError) -> None:
    """Answer the first order with an error."""

    def once(request: OrderRequest) -> None:
        broker.before_submit = None
        raise error

    broker.before_submit = once


def stop(account: Account) -> None:
    engage_kill_switch(scope="global", operator="ann", reason=REASON, source="console", wall_now=WALL_NOW)


def stop_without_cancels(account: Account) -> None:
    kill_switch.engage(scope="global", operator="ann", reason=REASON, source="console", now=WALL_NOW)


def trip(account: Account) -> None:
    breaker.trip(scope=account.scope, reason=REASON, operator="ann", now=WALL_NOW)


@pytest.mark.parametrize("between", [stop, stop_without_cancels, trip])
def test_a_stop_in_the_middle_of_a_batch_ends_it(between: Between) -> None:
    account, broker, orders = batch()
    after_the_first(broker, lambda: between(account))
    report = dispatch(account, broker)
    assert (broker.received, report.sent, report.held_back) == (["n0"], 1, 2)
    while dispatch(account, broker).did_something:
        recorded(account, broker)
    assert broker.received == ["n0"]
    assert {again(order).status for order in orders[1:]} == {"canceled"}
    assert not BrokerFault.objects.exists()
    assert_books_balance(account)


@pytest.mark.parametrize("between", [stop, stop_without_cancels, trip])
def test_control_without_the_last_look_the_whole_batch_leaves(
    between: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_look.LastLook, "may_send", lambda *_: True)
    account, broker, _orders = batch()
    after_the_first(broker, lambda: between(account))
    dispatch(account, broker)
    assert broker.received == ["n0", "n1", "n2"]


def is_broken(account: Account) -> None:
    Account.objects.filter(pk=account.pk).update(reconciliation=Account.Reconciliation.BROKEN)


def is_blocked(account: Account) -> None:
    BrokerLink.objects.update_or_create(account=account, defaults={"trading_blocked": True})


@pytest.mark.parametrize("between", [is_broken, is_blocked])
def test_an_account_that_may_trade_no_more_ends_the_batch(between: Between) -> None:
    account, broker, orders = batch()
    after_the_first(broker, lambda: between(account))
    dispatch(account, broker)
    assert broker.received == ["n0"]
    assert [again(order).status for order in orders] == ["accepted", "pending", "pending"]


def test_an_order_that_somebody_cancels_meanwhile_does_not_leave_and_the_next_one_does() -> None:
    account, broker, orders = batch()
    after_the_first(broker, lambda: request_cancel(order=again(orders[1]), operator="ann", wall_now=WALL_NOW))
    dispatch(account, broker)
    assert broker.received == ["n0", "n2"]
    assert [again(order).status for order in orders] == ["accepted", "canceled", "accepted"]
    assert_books_balance(account)


def test_a_batch_that_takes_long_ends_and_the_next_one_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_look, "SENDING_AT_MOST", timedelta(microseconds=1))
    account, broker, orders = batch()
    first = dispatch(account, broker)
    assert (broker.received, first.held_back, first.did_something) == (["n0"], 2, True)
    assert statuses(again(orders[2])) == ["pending", "submitted", "pending"]
    dispatch(account, broker)
    dispatch(account, broker)
    assert broker.received == ["n0", "n1", "n2"]
    assert {again(order).status for order in orders} == {"accepted"}


@pytest.mark.parametrize(
    ("error", "first", "faults"),
    [
        (BrokerOutcomeUnknown("no answer", code="no_answer"), "submitted", 1),
        (BrokerUnavailable("away", code="unreachable"), "pending", 1),
        (BrokerRejected("too many", code="refused"), "rejected", 1),
    ],
)
def test_after_trouble_with_one_the_rest_waits_again_and_is_no_fault_of_the_broker(
    error: BrokerError, first: str, faults: int
) -> None:
    account, broker, orders = batch()
    refused(broker, error)
    dispatch(account, broker)
    assert broker.received == []
    assert [again(order).status for order in orders] == [first, "pending", "pending"]
    assert [again(order).error_code for order in orders[1:]] == ["", ""]
    assert BrokerFault.objects.count() == faults
    dispatch(account, broker)
    assert broker.received[-2:] == ["n1", "n2"]


def test_a_switch_event_that_commits_after_a_younger_one_is_seen() -> None:
    account, _broker, _orders = batch()
    stop_without_cancels(account)
    newest = KillSwitchEvent.objects.latest("id")
    KillSwitchEvent.objects.bulk_create([copy_of(newest, newest.pk + 10, "strategy:elsewhere")])
    look = last_look.LastLook(account)
    KillSwitchEvent.objects.bulk_create([copy_of(newest, newest.pk + 5, "strategy:anywhere")])
    assert not look.may_send("n0")


def copy_of(event: KillSwitchEvent, pk: int, scope: str) -> KillSwitchEvent:
    kept = {field.attname: getattr(event, field.attname) for field in event._meta.concrete_fields}
    return KillSwitchEvent(**kept | {"id": pk, "scope": scope})


def test_where_a_batch_is_one_round_trip_nothing_looks_in_between() -> None:
    account, broker = desk()
    allow_bursts()
    for number in range(3):
        make_order(account, client_order_id=f"n{number}")
    after_the_first(broker, lambda: trip(account))
    dispatch(account, broker)
    assert broker.received == ["n0", "n1", "n2"]
