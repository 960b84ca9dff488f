"""What is open or filled of all children never exceeds their parent; what a broker does beyond it is kept and told."""

import pytest
from django.db import IntegrityError, connection, transaction

from execution.models import Order
from execution.services.cancels import request_cancel
from risk.models import Alert
from risk.types import Origin
from tests.execution.slicing.desk import (
    D,
    SlicingDesk,
    first_sent,
    next_due,
    open_children,
    overlook_parents,
    slices_of,
)
from tests.factories import allow, submit

pytestmark = pytest.mark.django_db


def test_a_late_fill_beyond_the_whole_is_kept_and_told() -> None:
    desk = SlicingDesk()
    parent = first_sent(desk, slices=2)
    first = open_children(parent)[0]
    request_cancel(order=first, operator="ann", wall_now=desk.wall)
    desk.send()
    due = next_due(parent)
    assert due is not None
    desk.go(due)
    desk.round()
    desk.fill(open_children(parent)[0])
    desk.fill(first, 50)  # the broker had confirmed its cancel
    desk.work()
    parent.refresh_from_db()
    assert parent.status == "completed"
    assert Alert.objects.get(code="parent_overfilled").message == "150 shares have filled of an order for 100"


def test_a_late_fill_after_the_parent_is_over_is_told_as_well() -> None:
    desk = SlicingDesk()
    parent = first_sent(desk, slices=2)
    first = open_children(parent)[0]
    request_cancel(order=first, operator="ann", wall_now=desk.wall)
    desk.send()
    desk.play(parent)
    parent.refresh_from_db()
    assert not parent.is_live
    assert not Alert.objects.filter(code="parent_overfilled").exists()
    filled = desk.checked(parent).filled
    desk.fill(first, 50)  # the broker had confirmed its cancel
    told = Alert.objects.get(code="parent_overfilled")
    assert told.message == f"{(filled + 50).normalize():f} shares have filled of an order for 100"
    assert told.subject == f"{desk.account.scope} order:{parent.client_order_id}"


@pytest.fixture
def without_the_gates_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the parent's size to the database alone."""
    overlook_parents(monkeypatch)


@pytest.mark.usefixtures("without_the_gates_rule")
def test_the_database_refuses_a_child_that_nobody_claimed_one_too_many_and_one_of_a_paused_parent() -> None:
    desk = SlicingDesk()
    parent = first_sent(desk)
    row = slices_of(parent)[1]

    def child() -> None:
        with transaction.atomic():
            submit(
                desk.account, parent_id=parent.pk, slice_number=row.number, quantity=row.quantity, origin=Origin.SLICE
            )

    allow(min_order_interval_seconds=0)
    with pytest.raises(IntegrityError, match="is not being sent"):
        child()
    parent.slices.filter(pk=row.pk).update(
        status="claimed", claim="00000000-0000-0000-0000-000000000001", claimed_until=desk.wall
    )
    parent.__class__.objects.filter(pk=parent.pk).update(quantity=19)
    with pytest.raises(IntegrityError, match="more do not fit"):
        child()
    parent.__class__.objects.filter(pk=parent.pk).update(quantity=20, status="paused")
    with pytest.raises(IntegrityError, match="it takes no child"):
        child()
    parent.__class__.objects.filter(pk=parent.pk).update(status="active")
    child()
    assert Order.objects.count() == 2


def test_the_gate_denies_a_child_that_is_one_too_many() -> None:
    desk = SlicingDesk()
    parent = first_sent(desk)
    allow(min_order_interval_seconds=0)
    parent.__class__.objects.filter(pk=parent.pk).update(quantity=19)
    result = submit(desk.account, parent_id=parent.pk, slice_number=2, quantity=D(10), origin=Origin.SLICE)
    assert [(denial.code, denial.limit) for denial in result.denials] == [("PARENT_EXCEEDED", "9")]


@pytest.mark.usefixtures("without_the_gates_rule")
def test_control_without_the_trigger_the_children_exceed_the_parent() -> None:
    desk = SlicingDesk()
    parent = first_sent(desk)
    allow(min_order_interval_seconds=0)
    parent.__class__.objects.filter(pk=parent.pk).update(quantity=19)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE execution_order DISABLE TRIGGER execution_order_child_fits")
    submit(desk.account, parent_id=parent.pk, slice_number=2, quantity=D(10), origin=Origin.SLICE)
    assert sum(order.quantity for order in parent.children.all()) == 20
