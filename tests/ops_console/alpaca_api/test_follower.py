"""Following by number: nothing is lost, whatever order transactions commit in."""

from datetime import timedelta
from threading import Event, Thread

import pytest
from django.db import connections, transaction
from hypothesis import given
from hypothesis import strategies as st

from execution.models import Account, OrderEvent
from execution.services.cancels import request_cancel
from execution.states import OrderStatus
from ops_console.alpaca_api.follower import MOST_MISSING, PATIENCE, EventFollower, Numbers
from ops_console.alpaca_api.updates import EVENTS, updates_told
from tests.execution.cases import D, accepted_order, again, desk, recorded
from tests.factories import WALL_NOW, allow_bursts, make_account, make_instrument, make_order, make_quote, submit

SECOND = timedelta(seconds=1)


@given(st.permutations(list(range(1, 13))), st.integers(1, 12))
def test_numbers_in_any_order_leave_nothing_missing(order: list[int], size: int):
    numbers = Numbers()
    for start in range(0, len(order), size):
        numbers.take(order[start : start + size], WALL_NOW)
    assert (numbers.newest, numbers.missing) == (12, {})


@given(st.lists(st.sets(st.integers(1, 40), max_size=10), max_size=6))
def test_everything_up_to_the_newest_is_seen_or_missing(looks: list[set[int]]):
    numbers, seen = Numbers(), set()
    for look in looks:
        numbers.take(look, WALL_NOW)
        seen |= look
        assert set(numbers.missing) == set(range(1, numbers.newest + 1)) - seen


def test_number_that_never_comes_is_given_up():
    numbers = Numbers()
    numbers.take([1, 3], WALL_NOW)
    numbers.take([], WALL_NOW + PATIENCE)
    assert set(numbers.missing) == {2}
    numbers.take([], WALL_NOW + PATIENCE + SECOND)
    assert numbers.missing == {}


def test_a_large_gap_is_bounded():
    numbers = Numbers()
    numbers.take([1, 10 * MOST_MISSING], WALL_NOW)
    assert len(numbers.missing) == MOST_MISSING
    assert min(numbers.missing) > 2


def two_names() -> Account:
    account = make_account()
    make_instrument("IBM")
    make_quote(account.feed, "IBM")
    allow_bursts()
    return account


@pytest.mark.django_db(transaction=True)
def test_event_that_commits_late_is_not_lost():
    account = two_names()
    slow, fast = make_order(account), make_order(account, symbol="IBM")
    follower = EventFollower()
    follower.start(WALL_NOW)
    written, go_on = Event(), Event()

    def cancel_slowly() -> None:
        try:
            with transaction.atomic():
                request_cancel(order=slow, operator="test", wall_now=WALL_NOW)
                written.set()
                go_on.wait(10)
        finally:
            connections.close_all()

    thread = Thread(target=cancel_slowly)
    thread.start()
    assert written.wait(10)
    request_cancel(order=fast, operator="test", wall_now=WALL_NOW)
    [first] = follower.news(WALL_NOW)
    go_on.set()
    thread.join()
    [late] = follower.news(WALL_NOW)
    assert (first.order_id, late.order_id) == (fast.pk, slow.pk)
    assert late.pk < first.pk
    assert follower.news(WALL_NOW) == []


@pytest.mark.django_db(transaction=True)
def test_event_under_way_at_the_start_is_not_lost():
    account = two_names()
    slow = make_order(account)
    written, go_on = Event(), Event()

    def cancel_slowly() -> None:
        try:
            with transaction.atomic():
                request_cancel(order=slow, operator="test", wall_now=WALL_NOW)
                written.set()
                go_on.wait(10)
        finally:
            connections.close_all()

    thread = Thread(target=cancel_slowly)
    thread.start()
    assert written.wait(10)
    make_order(account, symbol="IBM")
    follower = EventFollower()
    follower.start(WALL_NOW)
    go_on.set()
    thread.join()
    assert [event.order_id for event in follower.news(WALL_NOW)] == [slow.pk]


def told(account: Account) -> list[str]:
    events = OrderEvent.objects.select_related("order__instrument").order_by("pk")
    return [message["data"]["event"] for message in updates_told(account, list(events))]


@pytest.mark.django_db
def test_late_fill_after_a_cancel_is_told_as_a_fill():
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.end(order.client_order_id, "canceled")
    broker.fill(order.client_order_id, 4, "100")
    recorded(account, broker)
    assert told(account)[-2:] == ["canceled", "partial_fill"]
    events = OrderEvent.objects.select_related("order__instrument").filter(order=order).order_by("-pk")
    last = updates_told(account, list(events[:1]))[0]["data"]
    assert (last["order"]["status"], last["order"]["filled_qty"], last["qty"]) == ("canceled", "4", "4")


@pytest.mark.django_db
def test_refused_cancel_has_its_own_word():
    account, broker = desk()
    order = accepted_order(account, broker)
    request_cancel(order=again(order), operator="test", wall_now=WALL_NOW)
    broker.tell("cancel_rejected", order.client_order_id)
    recorded(account, broker)
    assert told(account) == ["accepted", "pending_new", "new", "pending_cancel", "order_cancel_rejected"]


@pytest.mark.django_db
def test_other_accounts_and_denied_orders_are_not_told():
    account, broker = desk()
    make_order(make_account())
    accepted_order(account, broker)
    assert submit(account, quantity=D(10**6)).denials
    assert told(account) == ["accepted", "pending_new", "new"]


@pytest.mark.django_db
def test_message_shows_the_order_as_it_was():
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.fill(order.client_order_id, 10, "100")
    recorded(account, broker)
    events = list(OrderEvent.objects.select_related("order__instrument").order_by("pk"))
    orders = [message["data"]["order"] for message in updates_told(account, events)]
    assert [each["status"] for each in orders] == ["accepted", "pending_new", "new", "filled"]
    assert [each["filled_qty"] for each in orders] == ["0", "0", "0", "10"]
    assert [each["filled_at"] is not None for each in orders] == [False, False, False, True]
    assert [each["filled_avg_price"] for each in orders] == [None, None, None, "100"]


def test_every_status_has_an_event():
    assert set(EVENTS) == set(OrderStatus)
