"""The unit of work behind every change of an order: its locks, its steps, and what it writes."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from execution.errors import IllegalTransition
from execution.models import Account, Order, OrderEvent, Position
from execution.services.journal import Journal
from execution.signals import orders_changed, positions_changed
from execution.states import OrderStatus
from tests.execution.cases import (
    MARKET_AT,
    WALL_NOW,
    D,
    again,
    assert_books_balance,
    make_account,
    make_order,
    position_of,
)
from tests.factories import allow_bursts, make_instrument, make_quote

pytestmark = pytest.mark.django_db
SYSTEM = OrderEvent.Source.SYSTEM


def lock(**fields: Any) -> Journal:
    return Journal.lock(**{"orders": Q(), "market_at": MARKET_AT, "wall_now": WALL_NOW} | fields)


def orders_of_many_names(account: Account, count: int = 4) -> list[Order]:
    allow_bursts()
    for number in range(count):
        make_instrument(f"J{number}")
        make_quote(account.feed, f"J{number}")
    return [make_order(account, symbol=f"J{number}") for number in reversed(range(count))]


def locking_reads(queries: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in queries if "FOR NO KEY UPDATE" in query["sql"]]


def test_locks_are_taken_account_then_orders_then_positions_each_by_key() -> None:
    account = make_account()
    orders_of_many_names(account)
    with CaptureQueriesContext(connection) as queries:
        journal = lock(account_id=account.pk)
    reads = locking_reads(queries)
    assert ['FROM "execution_account"' in reads[0], 'FROM "execution_order"' in reads[1]] == [True, True]
    assert 'FROM "execution_position"' in reads[2]
    assert len(reads) == 3
    assert 'ORDER BY "execution_order"."id" ASC' in reads[1]
    assert 'ORDER BY "execution_position"."id" ASC' in reads[2]
    assert list(journal.orders) == sorted(journal.orders)
    assert journal.account == account


def test_without_an_account_only_orders_and_positions_are_locked() -> None:
    account = make_account()
    make_order(account)
    with CaptureQueriesContext(connection) as queries:
        journal = lock()
    assert len(locking_reads(queries)) == 2
    assert journal.account is None


def test_nothing_that_matches_locks_nothing_more() -> None:
    with CaptureQueriesContext(connection) as queries:
        journal = lock(orders=Q(status="replaced"))
        journal.save()
    assert len(queries) == 1
    assert (journal.orders, journal.positions) == ({}, {})


def test_a_limit_takes_the_oldest() -> None:
    account = make_account()
    orders = orders_of_many_names(account)
    assert list(lock(limit=2).orders) == [order.pk for order in orders[:2]]


def test_a_step_moves_order_event_and_reservation_together() -> None:
    account = make_account()
    order = make_order(account)
    journal = lock()
    journal.step(journal.orders[order.pk], OrderStatus.CANCELED, source=SYSTEM, actor="ann", detail={"why": "a test"})
    journal.save()
    after = again(order)
    assert (after.status, after.closed_at, after.event_count) == ("canceled", WALL_NOW, 2)
    event = order.events.get(sequence=2)
    assert (event.from_status, event.to_status, event.actor, event.detail) == (
        "pending",
        "canceled",
        "ann",
        {"why": "a test"},
    )
    line = position_of(account)
    assert (line.open_buy_quantity, line.open_order_count, line.updated_at) == (0, 0, WALL_NOW)
    assert_books_balance(account)


def test_many_steps_of_one_order_are_written_once_and_told_in_their_order() -> None:
    account = make_account()
    order = make_order(account)
    journal = lock()
    locked = journal.orders[order.pk]
    for status in (OrderStatus.SUBMITTED, OrderStatus.ACCEPTED, OrderStatus.EXPIRED):
        journal.market_at += timedelta(seconds=1)
        journal.step(locked, status, source=SYSTEM)
    with CaptureQueriesContext(connection) as queries:
        journal.save()
    assert len([query for query in queries if "SAVEPOINT" not in query["sql"]]) == 3  # orders, positions, events
    events = order.events.order_by("sequence")
    assert [event.to_status for event in events] == ["pending", "submitted", "accepted", "expired"]
    assert [event.market_at for event in events] == [MARKET_AT + timedelta(seconds=n) for n in range(4)]
    assert_books_balance(account)


def test_a_step_the_table_does_not_know_changes_nothing() -> None:
    account = make_account()
    order = make_order(account)
    journal = lock()
    with pytest.raises(IllegalTransition, match="pending cannot become filled"):
        journal.step(journal.orders[order.pk], OrderStatus.FILLED, source=SYSTEM, filled=D(10))
    journal.save()
    assert (again(order).status, again(order).event_count) == ("pending", 1)
    assert_books_balance(account)


def test_a_late_step_keeps_the_time_of_the_end() -> None:
    account = make_account()
    order = make_order(account)
    journal = lock()
    journal.step(journal.orders[order.pk], OrderStatus.CANCELED, source=SYSTEM)
    journal.save()
    later = Journal.lock(orders=Q(), market_at=MARKET_AT, wall_now=WALL_NOW + timedelta(hours=1))
    later.step(later.orders[order.pk], OrderStatus.CANCELED, source=SYSTEM)
    later.save()
    assert again(order).closed_at == WALL_NOW


def test_what_was_only_touched_is_written_without_an_event() -> None:
    account = make_account()
    order = make_order(account)
    journal = lock()
    journal.orders[order.pk].broker_order_id = "B-1"
    journal.touch(journal.orders[order.pk])
    position = journal.position(journal.orders[order.pk])
    position.current_price = D(7)
    journal.touch_position(position)
    journal.save()
    assert (again(order).broker_order_id, order.events.count()) == ("B-1", 1)
    assert Position.objects.get().current_price == 7


@pytest.mark.django_db(transaction=True)
def test_news_goes_out_by_account_after_the_commit() -> None:
    one, two = make_account(), make_account()
    orders = [make_order(one), make_order(two)]
    heard: list[tuple[str, int, int]] = []

    def of_orders(sender: object, account_id: int, order_ids: list[int], **_: object) -> None:
        heard.append(("orders", account_id, len(order_ids)))

    def of_positions(sender: object, account_id: int, position_ids: list[int], **_: object) -> None:
        heard.append(("positions", account_id, len(position_ids)))

    orders_changed.connect(of_orders)
    positions_changed.connect(of_positions)
    try:
        with transaction.atomic():
            journal = lock()
            for order in orders:
                journal.step(journal.orders[order.pk], OrderStatus.CANCELED, source=SYSTEM)
            journal.save()
            assert heard == []
    finally:
        orders_changed.disconnect(of_orders)
        positions_changed.disconnect(of_positions)
    assert sorted(heard) == sorted((kind, account.pk, 1) for kind in ("orders", "positions") for account in (one, two))
