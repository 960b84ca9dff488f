"""Two schedulers at once, and whoever steers while they send: one order for a slice, never more than the parent.

Each guard has its control: without it the same race does what must not be.
"""

import uuid
from typing import Any

import pytest
from django.db import connection
from django.db.models.query import QuerySet

from execution.models import Account, Order, ParentOrder, Position, Slice
from execution.parent_orders import progress
from execution.services.orders import submit_order
from execution.services.slices import cancel_parent, create_parent, pause_parent, pause_parents, sending, working
from execution.services.slices.working import LEASE, work_parent
from execution.states import OPEN
from risk.types import Origin
from tests.execution.slicing.desk import D, SlicingDesk, next_due, overlook_parents, wish
from tests.factories import allow_bursts, make_intent
from tests.faults.proofs import RecordProperty, proving, trials
from tests.risk.threads import in_another_transaction, together

pytestmark = pytest.mark.django_db(transaction=True)

WORKERS = 6
ROUNDS, FULL = 5, 1_000


def due_parent(desk: SlicingDesk, **fields: Any) -> ParentOrder:
    parent = desk.parent(**fields)
    due = next_due(parent)
    assert due is not None
    desk.go(due)
    return parent


def race(desk: SlicingDesk, parent: ParentOrder, workers: int = WORKERS) -> list[Any]:
    return together(*[lambda: work_parent(parent_id=parent.pk, wall_now=desk.wall) for _ in range(workers)])


def test_154_of_many_workers_one_sends_the_slice(record_property: RecordProperty) -> None:
    desk = SlicingDesk()
    allow_bursts()
    with proving("a slice that is due is sent by one of six workers", record_property) as proof:
        for number in range(trials(ROUNDS, full=FULL)):
            proof.n += 1
            parent = due_parent(desk, client_order_id=f"p{number}")
            sent = race(desk, parent)
            proof.require([each for each in sent if each is not False] == [True], f"workers said {sent}")
            proof.require(parent.children.count() == 1, f"{parent.children.count()} orders of one slice")
            stands = list(parent.slices.exclude(status="planned").values_list("status", flat=True))
            proof.require(stands == ["sent"], f"slices are {stands}")
            pause_parent(parent=parent, operator="ann", wall_now=desk.wall)


def test_154_control_without_lock_and_claim_more_than_one_would_send(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent is not locked and the claim is believed to be free: the database alone keeps it to one order."""
    original = QuerySet.select_for_update

    def unlocked(self: Any, *args: Any, **fields: Any) -> Any:
        return self if self.model is ParentOrder else original(self, *args, **fields)

    monkeypatch.setattr(QuerySet, "select_for_update", unlocked)
    submitted: list[str] = []

    def submit(**fields: Any) -> Any:
        submitted.append(fields["intent"].client_order_id)
        return submit_order(**fields)

    monkeypatch.setattr(sending, "submit_order", submit)
    allow_bursts()
    desk = SlicingDesk()
    doubled = False
    for number in range(20):
        parent = due_parent(desk, client_order_id=f"p{number}")
        outcomes = race(desk, parent)
        assert parent.children.count() == 1
        several = submitted.count(f"p{number}-S1") > 1 or any(isinstance(found, Exception) for found in outcomes)
        doubled = doubled or several
    assert doubled, "the race never had two senders"


def test_154_a_parent_that_another_worker_looks_at_is_passed_over() -> None:
    desk = SlicingDesk()
    parent = due_parent(desk)
    with in_another_transaction(lambda: ParentOrder.objects.select_for_update(no_key=True).get(pk=parent.pk)):
        assert race(desk, parent, 2) == [False, False]
    assert race(desk, parent, 1) == [True]


def test_148_a_pause_waits_for_the_child_that_is_being_stored_and_cancels_it() -> None:
    desk = SlicingDesk()
    parent = due_parent(desk)
    look = working.look_at(parent.pk, wall_now=desk.wall)
    row = Slice.objects.get(pk=look.claimed)
    intent = make_intent(parent_id=parent.pk, slice_number=row.number, quantity=row.quantity, client_order_id="child")
    with in_another_transaction(lambda: submit_order(intent=intent, account=desk.account, wall_now=desk.wall)):
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
        with pytest.raises(Exception, match="lock timeout"):
            pause_parent(parent=parent, operator="ann", wall_now=desk.wall)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = 0")
    pause_parent(parent=parent, operator="ann", wall_now=desk.wall)
    assert Order.objects.get().status == "canceled"


def test_who_holds_a_parent_waits_for_no_account_order_or_position() -> None:
    """The gate holds the account while the trigger takes the parent: the other way round would be a deadlock."""
    allow_bursts()
    desk = SlicingDesk()
    parent = due_parent(desk)
    assert work_parent(parent_id=parent.pk, wall_now=desk.wall)
    desk.send()
    desk.broker.end(parent.children.get().client_order_id, "rejected")
    desk.send()
    due = next_due(parent)
    assert due is not None
    desk.go(due)

    def hold_everything() -> None:
        for model in (Account, Order, Position):
            assert list(model.objects.select_for_update(no_key=True).order_by("pk"))

    with in_another_transaction(hold_everything):
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '3s'")
        look = working.look_at(parent.pk, wall_now=desk.wall)  # notes the end, plans anew, claims
        assert look.claimed is not None
        pause_parents(scope="global", operator="ann", reason="halt", wall_now=desk.wall)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = 0")
    assert list(parent.slices.filter(number__lte=2).values_list("status", flat=True)) == ["returned", "claimed"]
    parent.refresh_from_db()
    assert parent.status == "paused"


@pytest.mark.parametrize("steer", [pause_parent, cancel_parent])
def test_148_whoever_stops_it_while_a_slice_is_sent_leaves_nothing_open(
    steer: Any, record_property: RecordProperty
) -> None:
    allow_bursts()
    desk = SlicingDesk()
    with proving(f"nothing is open after {steer.__name__} met a sender", record_property) as proof:
        for number in range(trials(ROUNDS, full=FULL)):
            proof.n += 1
            parent = due_parent(desk, client_order_id=f"p{number}")
            together(
                lambda parent=parent: work_parent(parent_id=parent.pk, wall_now=desk.wall),
                lambda parent=parent: steer(parent=parent, operator="ann", wall_now=desk.wall),
            )
            working_orders = parent.children.filter(status__in=sorted(OPEN))
            proof.require(not working_orders.exists(), "an order works after it was stopped")
            parent.refresh_from_db()
            proof.require(parent.status in ("paused", "canceled"), f"the parent is {parent.status}")
            desk.wall += LEASE
            work_parent(parent_id=parent.pk, wall_now=desk.wall)
            proof.require(not working_orders.exists(), "an order works after the lease")


def children_at_once(desk: SlicingDesk, parent: ParentOrder) -> int:
    """Store two children of ten shares at the same moment, past claim and gate; returns how many were stored."""
    account = desk.account
    made = [
        make_intent(
            parent_id=parent.pk,
            slice_number=number,
            quantity=D(10),
            client_order_id=f"{parent.pk}-{number}",
            origin=Origin.SLICE,
        )
        for number in (1, 2)
    ]
    together(
        *[lambda intent=intent: submit_order(intent=intent, account=account, wall_now=desk.wall) for intent in made]
    )
    return parent.children.exclude(status="denied").count()


def prepared(desk: SlicingDesk) -> ParentOrder:
    """Make a parent with room for one of two slices that are both being sent."""
    parent = create_parent(wish=wish(client_order_id=uuid.uuid4().hex), account=desk.account, wall_now=desk.wall).parent
    assert parent is not None
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX IF EXISTS slice_one_claim")
    claimed = {"status": "claimed", "claim": uuid.uuid4(), "claimed_until": desk.wall + LEASE}
    Slice.objects.filter(parent=parent, number__in=(1, 2)).update(**claimed)
    ParentOrder.objects.filter(pk=parent.pk).update(quantity=15)
    return parent


@pytest.fixture
def one_claim_restored(transactional_db: None) -> Any:
    yield
    Slice.objects.filter(status="claimed").update(status="skipped", claim=None, claimed_until=None)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE execution_order ENABLE TRIGGER execution_order_child_fits")
        cursor.execute(
            "CREATE UNIQUE INDEX IF NOT EXISTS slice_one_claim ON execution_slice (parent_id) WHERE status = 'claimed'"
        )


@pytest.mark.usefixtures("one_claim_restored")
def test_children_stored_at_the_same_moment_never_exceed_their_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    overlook_parents(monkeypatch)
    allow_bursts()
    desk = SlicingDesk()
    for _ in range(5):
        parent = prepared(desk)
        assert children_at_once(desk, parent) == 1
        assert progress(parent).open == 10


@pytest.mark.usefixtures("one_claim_restored")
def test_control_without_the_trigger_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    overlook_parents(monkeypatch)
    allow_bursts()
    desk = SlicingDesk()
    parent = prepared(desk)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE execution_order DISABLE TRIGGER execution_order_child_fits")
    assert children_at_once(desk, parent) == 2
    assert progress(parent).open == 20 > 15
