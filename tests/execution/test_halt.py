"""Engaging the kill switch stops what comes and cancels what is open, in its scope and nowhere else."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from execution.models import Account, Order
from execution.services import halt
from execution.services.cancels import cancel_open_orders
from execution.services.halt import engage_kill_switch
from execution.types import HaltReport
from risk.errors import InvalidReason, InvalidScope
from risk.models import KillSwitchEvent
from risk.services import kill_switch
from tests.execution.cases import (
    WALL_NOW,
    D,
    accepted_order,
    again,
    assert_books_balance,
    desk,
    dispatch,
    make_order,
    recorded,
    submit_order,
)
from tests.factories import allow_bursts, make_intent, make_strategy
from tests.risk.threads import in_another_transaction

pytestmark = pytest.mark.django_db


def engage(scope: str = "global", reason: str = "a test of the halt") -> HaltReport:
    return engage_kill_switch(scope=scope, operator="ann", reason=reason, source="console", wall_now=WALL_NOW)


def test_what_was_not_sent_is_canceled_and_what_was_is_asked_for() -> None:
    account, broker = desk()
    allow_bursts()
    sent = accepted_order(account, broker, client_order_id="sent")
    unsent = make_order(account, client_order_id="unsent")
    report = engage()
    assert (report.already_engaged, report.canceled_unsent, report.cancel_requested) == (False, 1, 1)
    assert set(report.orders) == {sent.pk, unsent.pk}
    assert [again(order).status for order in (sent, unsent)] == ["pending_cancel", "canceled"]
    assert sent.events.get(to_status="pending_cancel").detail == {"reason": "kill switch global"}
    dispatch(account, broker)
    recorded(account, broker)
    assert again(sent).status == "canceled"
    assert_books_balance(account)


def test_the_next_order_is_denied() -> None:
    account, _ = desk()
    engage()
    result = submit_order(intent=make_intent(), account=account, wall_now=WALL_NOW)
    assert [denial.code for denial in result.denials] == ["KILL_SWITCH"]


@pytest.mark.parametrize(
    ("scope", "stopped"),
    [
        ("global", {"one manual", "one momentum", "two manual"}),
        ("strategy:manual", {"one manual", "two manual"}),
        ("account:ONE", {"one manual", "one momentum"}),
        ("account:nobody", set()),
        ("strategy:nobody", set()),
    ],
)
def test_a_scope_is_stopped_and_nothing_else(scope: str, stopped: set[str]) -> None:
    (one, _), (two, _) = desk(name="ONE"), desk(name="TWO")
    make_strategy("momentum")
    make_order(one, client_order_id="one manual")
    make_order(one, strategy="momentum", client_order_id="one momentum")
    make_order(two, client_order_id="two manual")
    engage(scope)
    assert set(Order.objects.filter(status="canceled").values_list("client_order_id", flat=True)) == stopped


def test_engaging_again_cancels_again_what_is_open() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    engage()
    broker.tell("cancel_rejected", order.client_order_id)
    recorded(account, broker)
    report = engage()
    assert (report.already_engaged, report.cancel_requested) == (True, 1)
    assert again(order).status == "pending_cancel"


def test_a_second_click_stores_nothing_new() -> None:
    desk()
    assert engage().event_id == engage().event_id


@pytest.mark.parametrize(
    ("fields", "error"),
    [({"scope": "everything"}, InvalidScope), ({"reason": "short"}, InvalidReason)],
)
def test_what_is_no_order_to_stop_stops_nothing(fields: dict[str, str], error: type[Exception]) -> None:
    account, _ = desk()
    order = make_order(account)
    before = KillSwitchEvent.objects.count()
    with pytest.raises(error):
        engage(**fields)
    assert KillSwitchEvent.objects.count() == before
    assert again(order).status == "pending"


def test_cancels_that_fail_for_one_account_do_not_spare_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    (one, _), (two, _) = desk(name="ONE"), desk(name="TWO")
    orders = [make_order(one), make_order(two)]

    def fails_for_one(*, account: Account, **fields: object) -> object:
        if account == one:
            raise OperationalError("canceling statement due to lock timeout")
        return cancel_open_orders(account=account, **fields)

    monkeypatch.setattr(halt, "cancel_open_orders", fails_for_one)
    report = engage()
    assert report.failed_accounts == ("ONE",)
    assert [again(order).status for order in orders] == ["pending", "canceled"]
    assert KillSwitchEvent.objects.order_by("-id")[0].engaged


def test_accounts_without_open_orders_cost_nothing(django_assert_max_num_queries) -> None:
    for _ in range(10):
        desk()
    with django_assert_max_num_queries(16):
        engage()


@pytest.mark.django_db(transaction=True)
def test_the_switch_is_on_before_the_cancels_get_their_locks() -> None:
    account, _ = desk()
    allow_bursts()
    order = make_order(account)

    def hold() -> None:
        list(Order.objects.select_for_update().filter(pk=order.pk))

    def press() -> HaltReport:
        try:
            return engage()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with in_another_transaction(hold):
            pressed = pool.submit(press)
            while not KillSwitchEvent.objects.filter(scope="global", engaged=True).exists():
                assert not pressed.done()
            late = submit_order(intent=make_intent(quantity=D(1)), account=account, wall_now=WALL_NOW)
        assert [denial.code for denial in late.denials] == ["KILL_SWITCH"]
        assert pressed.result(timeout=30).canceled_unsent == 1
    assert again(order).status == "canceled"


def test_a_release_lets_the_next_order_pass() -> None:
    account, _ = desk()
    engage()
    later = WALL_NOW + timedelta(minutes=2)
    kill_switch.disengage(
        scope="global", operator="ann", second_operator="bob", reason="the test is over", source="console", now=later
    )
    assert submit_order(intent=make_intent(), account=account, wall_now=later).accepted
