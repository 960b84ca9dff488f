"""Every pair of statuses: the table, the journal and the database say the same."""

from itertools import product

import pytest
from django.db import IntegrityError, transaction
from django.db.models import Q

from execution.errors import IllegalTransition
from execution.models import Order, OrderEvent
from execution.services.journal import Journal
from execution.states import INITIAL, OPEN, RETRYABLE, TERMINAL, TRANSITIONS, OrderStatus, may_follow
from tests.factories import MARKET_AT, WALL_NOW, make_order

STATUSES = list(OrderStatus)
PAIRS = list(product(STATUSES, STATUSES))


def test_every_status_has_a_line_in_the_table() -> None:
    assert TRANSITIONS.keys() == set(STATUSES)


def test_open_and_terminal_are_all_statuses_and_disjoint() -> None:
    assert sorted(STATUSES) == sorted([*OPEN, *TERMINAL])
    assert RETRYABLE.issubset(TERMINAL)


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_what_is_over_never_opens_again(status: OrderStatus) -> None:
    assert TRANSITIONS[status] & OPEN == set()


@pytest.mark.parametrize("status", sorted(TERMINAL - {OrderStatus.DENIED, OrderStatus.DRY_RUN, OrderStatus.FILLED}))
def test_what_ended_at_the_broker_can_still_be_filled_late(status: OrderStatus) -> None:
    assert TRANSITIONS[status] == {status, OrderStatus.FILLED}


@pytest.mark.parametrize("status", sorted(OPEN))
def test_every_open_status_leads_to_an_end(status: OrderStatus) -> None:
    assert TRANSITIONS[status] & TERMINAL


def test_every_status_can_be_reached() -> None:
    reached: set[OrderStatus] = set(INITIAL)
    while more := {after for before in reached for after in TRANSITIONS[before]} - reached:
        reached |= more
    assert reached == set(STATUSES)


def database_allows(order: Order, before: str, after: str, sequence: int) -> bool:
    """Insert the event as it stands and take it back."""
    try:
        with transaction.atomic():
            OrderEvent.objects.create(
                order=order,
                sequence=sequence,
                from_status=before,
                to_status=after,
                source="system",
                market_at=MARKET_AT,
            )
            transaction.set_rollback(True)
    except IntegrityError:
        return False
    return True


@pytest.mark.django_db
def test_table_and_database_agree_on_every_pair() -> None:
    order = make_order()
    wrong = [
        (before.value, after.value)
        for before, after in PAIRS
        if database_allows(order, before, after, 100) != may_follow(before, after)
    ]
    assert wrong == []


@pytest.mark.django_db
def test_table_and_database_agree_on_how_an_order_begins() -> None:
    order = make_order()
    other = Order.objects.get(pk=order.pk)
    other.pk, other.client_order_id, other.attempt = None, "another", 2
    other.decision_id = _another_decision(order)
    other.save(force_insert=True)
    for status in STATUSES:
        assert database_allows(other, "", status, 1) == may_follow(None, status), status


def _another_decision(order: Order) -> int:
    decision = order.decision
    decision.pk = None
    decision.save(force_insert=True)
    return int(decision.pk)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("before", "sequence"), [("", 2), ("pending", 1)], ids=["a later event creates", "the first follows something"]
)
def test_only_the_first_event_creates(before: str, sequence: int) -> None:
    assert not database_allows(make_order(), before, "submitted", sequence)


@pytest.mark.django_db
def test_the_journal_agrees_with_the_table_on_every_pair() -> None:
    pk = make_order().pk
    wrong = []
    for before, after in PAIRS:
        with transaction.atomic():
            closed_at = None if before in OPEN else WALL_NOW
            Order.objects.filter(pk=pk).update(status=before, closed_at=closed_at, **_filled(before))
            journal = Journal.lock(orders=Q(pk=pk), market_at=MARKET_AT, wall_now=WALL_NOW)
            order = journal.orders[pk]
            try:
                journal.step(order, after, source=OrderEvent.Source.SYSTEM)
                allowed = True
            except IllegalTransition:
                allowed = False
                assert order.status == before
                assert journal.events == []
            transaction.set_rollback(True)
        if allowed != may_follow(before, after):
            wrong.append((before.value, after.value))
    assert wrong == []


def _filled(status: OrderStatus) -> dict[str, object]:
    return {"filled_quantity": 10, "average_fill_price": 100} if status == OrderStatus.FILLED else {}


def order_may_be(pk: int, **fields: object) -> bool:
    """Write an order row past every service and take it back."""
    try:
        with transaction.atomic():
            Order.objects.filter(pk=pk).update(**fields)
            transaction.set_rollback(True)
    except IntegrityError:
        return False
    return True


@pytest.mark.django_db
@pytest.mark.parametrize("status", STATUSES)
def test_an_order_has_an_end_when_its_status_is_one(status: OrderStatus) -> None:
    pk = make_order().pk
    assert order_may_be(pk, status=status, closed_at=None, **_filled(status)) == (status in OPEN)
    assert order_may_be(pk, status=status, closed_at=WALL_NOW, **_filled(status)) == (status in TERMINAL)


@pytest.mark.django_db
@pytest.mark.parametrize("word", ["", "open", "PENDING", "pending ", "pending\n", "xpending", "pending|denied"])
def test_a_word_that_is_no_status_is_refused_everywhere(word: str) -> None:
    order = make_order()
    assert not order_may_be(order.pk, status=word, closed_at=None)
    assert not order_may_be(order.pk, status=word, closed_at=WALL_NOW)
    assert not database_allows(order, "pending", word, 100)
    if word:
        assert not database_allows(order, word, "submitted", 100)
