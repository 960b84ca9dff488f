"""What was never sent is canceled at once; what the broker may hold is asked for, once."""

from threading import Barrier

import pytest
from django.db import IntegrityError, connection
from django.db.models import Q
from django.db.models.query import QuerySet

from execution.errors import OrderNotOpen
from execution.models import Order, OrderEvent
from execution.services.cancels import cancel_open_orders, request_cancel
from execution.services.claims import claim_pending
from execution.services.journal import Journal
from execution.states import TERMINAL, OrderStatus
from tests.execution.cases import (
    MARKET_AT,
    WALL_NOW,
    D,
    accepted_order,
    again,
    assert_books_balance,
    desk,
    dispatch,
    make_order,
    position_of,
    recorded,
    statuses,
)
from tests.factories import allow_bursts
from tests.risk.threads import together

pytestmark = pytest.mark.django_db


def cancel(order: Order, **fields: str) -> Order:
    return request_cancel(order=again(order), operator="ann", wall_now=WALL_NOW, **fields)


def test_what_was_never_sent_is_canceled_here_and_now() -> None:
    account, broker = desk()
    order = make_order(account)
    canceled = cancel(order, reason="changed my mind")
    assert (canceled.status, canceled.closed_at, canceled.cancel_requested_at) == ("canceled", WALL_NOW, WALL_NOW)
    event = order.events.order_by("-sequence")[0]
    assert (event.actor, event.source, event.detail) == ("ann", "operator", {"reason": "changed my mind"})
    assert position_of(account).open_order_count == 0
    dispatch(account, broker)
    assert (broker.received, broker.cancels) == ([], [])
    assert_books_balance(account)


@pytest.mark.parametrize("status", ["submitted", "accepted", "partially_filled"])
def test_what_the_broker_may_hold_is_asked_for_and_stays_reserved(status: str) -> None:
    account, _ = desk()
    order = make_order(account)
    filled = {"filled_quantity": 4, "average_fill_price": 100} if status == "partially_filled" else {}
    Order.objects.filter(pk=order.pk).update(status=status, **filled)
    after = cancel(order)
    assert (after.status, after.cancel_requested_at, after.cancel_sent_at) == ("pending_cancel", WALL_NOW, None)
    assert position_of(account).open_buy_quantity == 10


def test_asking_again_changes_nothing() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    cancel(order)
    dispatch(account, broker)
    events = OrderEvent.objects.count()
    after = cancel(order)
    assert (after.status, after.cancel_sent_at) == ("pending_cancel", WALL_NOW)
    assert OrderEvent.objects.count() == events
    dispatch(account, broker)
    assert broker.cancels == [order.client_order_id]


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_what_is_over_cannot_be_canceled(status: OrderStatus) -> None:
    account, _ = desk()
    order = make_order(account)
    filled = {"filled_quantity": 10, "average_fill_price": 100} if status == OrderStatus.FILLED else {}
    Order.objects.filter(pk=order.pk).update(status=status, closed_at=WALL_NOW, **filled)
    with pytest.raises(OrderNotOpen, match=str(status)):
        cancel(order)


def test_all_that_matches_is_canceled_and_nothing_else() -> None:
    account, broker = desk()
    other, _ = desk()
    allow_bursts()
    sent = accepted_order(account, broker, client_order_id="sent")
    under_way = accepted_order(account, broker, client_order_id="under way")
    cancel(under_way)
    unsent = make_order(account, client_order_id="unsent")
    sale = make_order(account, side="sell", client_order_id="sale")
    elsewhere = make_order(other)
    unsent_count, asked, ids = cancel_open_orders(
        orders=Q(side="buy"), account=account, operator="ann", wall_now=WALL_NOW, reason="all of them"
    )
    assert (unsent_count, asked, set(ids)) == (1, 2, {sent.pk, under_way.pk, unsent.pk})
    assert (again(sale).status, again(elsewhere).status) == ("pending", "pending")
    assert len(statuses(under_way)) == 4
    assert_books_balance(account)


def test_nothing_to_cancel_is_no_failure() -> None:
    account, _ = desk()
    assert cancel_open_orders(orders=Q(), account=account, operator="ann", wall_now=WALL_NOW) == (0, 0, ())


@pytest.mark.django_db(transaction=True)
def test_the_dispatcher_is_woken_for_a_cancel() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    with connection.cursor() as cursor:
        cursor.execute("LISTEN portcullis_dispatch")
        cancel(order)
        heard = [note.payload for note in connection.connection.notifies(timeout=1, stop_after=1)]
        cursor.execute("UNLISTEN *")
    assert heard == [str(account.pk)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("shares", ["4", "10"], ids=["in part", "whole"])
def test_a_cancel_that_races_a_fill_loses_neither(shares: str) -> None:
    for number in range(5):
        account, broker = desk()
        order = accepted_order(account, broker, client_order_id=f"n{number}")
        broker.fill(order.client_order_id, shares)
        gate = Barrier(2)

        def ask(order: Order = order, gate: Barrier = gate) -> None:
            connection.ensure_connection()
            gate.wait(30)
            cancel(order)

        def book(account: object = account, broker: object = broker, gate: Barrier = gate) -> None:
            connection.ensure_connection()
            gate.wait(30)
            recorded(account, broker)

        asked, booked = together(ask, book)
        assert booked is None
        assert asked is None or isinstance(asked, OrderNotOpen)
        dispatch(account, broker)
        recorded(account, broker)
        after = again(order)
        assert after.filled_quantity == D(shares)
        assert after.status == ("filled" if shares == "10" else "canceled")
        assert_books_balance(account)


@pytest.mark.django_db(transaction=True)
def test_control_without_the_row_lock_a_cancel_and_a_fill_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.fill(order.client_order_id, "4")
    both_have_read, save = Barrier(2), Journal.save
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self._chain())
    monkeypatch.setattr(Journal, "save", lambda self: (both_have_read.wait(30), save(self))[1])
    answers = together(lambda: cancel(order), lambda: recorded(account, broker))
    assert sum(isinstance(answer, IntegrityError) for answer in answers) == 1  # both wrote event 4


@pytest.mark.django_db(transaction=True)
def test_a_cancel_that_races_the_claim_is_never_lost() -> None:
    for number in range(5):
        account, broker = desk()
        order = make_order(account, client_order_id=f"n{number}")
        gate = Barrier(2)

        def ask(order: Order = order, gate: Barrier = gate) -> None:
            connection.ensure_connection()
            gate.wait(30)
            cancel(order)

        def send(account: object = account, broker: object = broker, gate: Barrier = gate) -> None:
            connection.ensure_connection()
            gate.wait(30)
            dispatch(account, broker)

        assert together(ask, send) == [None, None]
        dispatch(account, broker)
        recorded(account, broker)
        assert again(order).status == "canceled"
        assert broker.open_orders() == []
        assert_books_balance(account)


def test_an_order_that_is_just_claimed_can_be_canceled() -> None:
    account, _ = desk()
    order = make_order(account)
    claim_pending(account=account, dry_run=False, wall_now=WALL_NOW, market_at=MARKET_AT, limit=1)
    assert cancel(order).status == "pending_cancel"
