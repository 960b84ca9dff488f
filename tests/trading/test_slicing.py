"""The clock asks for slices when they are due, once; the worker sends them."""

from datetime import timedelta

import pytest
from django.db import connection
from django_q.models import OrmQ
from pytest_django import DjangoAssertNumQueries

from execution.models import Order, ParentOrder
from tests.execution.slicing.desk import SlicingDesk, next_due
from tests.factories import allow_bursts
from tests.risk.threads import in_another_transaction
from trading import tasks
from trading.services.slicing import ASK_AGAIN_AFTER, ask_for_slices

pytestmark = pytest.mark.django_db


def asked() -> list[str]:
    return [row.task["args"][0] for row in OrmQ.objects.order_by("id")]


def test_the_clock_asks_once_when_a_slice_is_due_and_again_when_nobody_came() -> None:
    desk = SlicingDesk()
    parent = desk.parent()
    ask_for_slices(desk.account, desk.wall)
    assert asked() == []
    due = next_due(parent)
    assert due is not None
    desk.go(due)
    for wait in (timedelta(0), ASK_AGAIN_AFTER - timedelta(milliseconds=1)):
        ask_for_slices(desk.account, desk.wall + wait)
        assert asked() == ["send_slices"]
    ask_for_slices(desk.account, desk.wall + ASK_AGAIN_AFTER)
    assert asked() == ["send_slices"] * 2


def test_the_worker_sends_what_is_due_and_may_be_asked_twice() -> None:
    desk = SlicingDesk()
    parent = desk.parent()
    due = next_due(parent)
    assert due is not None
    desk.go(due)
    ask_for_slices(desk.account, desk.wall)
    assert tasks.send_slices(desk.account.pk) == "1 slices sent"
    assert tasks.send_slices(desk.account.pk) == "0 slices sent"
    parent.refresh_from_db()
    assert (Order.objects.count(), parent.asked_at) == (1, None)
    ask_for_slices(desk.account, desk.wall)
    assert asked() == ["send_slices"]


def test_asking_costs_one_query_when_nothing_is_due(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    desk = SlicingDesk()
    desk.parent()
    with django_assert_num_queries(3):  # its own two savepoints count inside a test
        ask_for_slices(desk.account, desk.wall)


@pytest.mark.django_db(transaction=True)
def test_the_clock_waits_for_no_parent_that_somebody_holds() -> None:
    desk = SlicingDesk()
    allow_bursts()
    held, free = desk.parent(client_order_id="held"), desk.parent(client_order_id="free")
    desk.go(max(due for due in (next_due(held), next_due(free)) if due is not None))
    with in_another_transaction(lambda: ParentOrder.objects.select_for_update(no_key=True).get(pk=held.pk)):
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
        ask_for_slices(desk.account, desk.wall)
        assert asked() == ["send_slices"]
        asked_of = dict(ParentOrder.objects.values_list("client_order_id", "asked_at"))
        assert asked_of == {"held": None, "free": desk.wall}
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = 0")
    ask_for_slices(desk.account, desk.wall)
    assert asked() == ["send_slices"] * 2
