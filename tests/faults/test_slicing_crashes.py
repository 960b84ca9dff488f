"""A worker that dies anywhere between claiming a slice, sending it and recording it: none is lost, none is sent twice.

A death is an exception that nothing on the way catches; what was committed before it stays. Then another worker comes
when the lease has run out.
"""

from collections.abc import Callable
from contextlib import suppress

import pytest

from execution.models import Order, ParentOrder, Slice
from execution.services.slices import cancel_parent, sending, working
from execution.services.slices.working import LEASE
from tests.execution.slicing.desk import SlicingDesk, next_due, open_children, slices_of

pytestmark = pytest.mark.django_db


class Death(BaseException):
    """The process is gone; a BaseException, so that nothing handles it."""


def die(*_args: object, **_fields: object) -> None:
    raise Death


def before_the_claim_commits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(working, "Look", die)


def between_claim_and_submit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(working, "crashpoint", die)


def in_the_gate(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sending, "submit_order", die)


def between_submit_and_record(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sending, "crashpoint", die)


def before_the_record_commits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sending, "step", die)


PLACES = [
    before_the_claim_commits,
    between_claim_and_submit,
    in_the_gate,
    between_submit_and_record,
    before_the_record_commits,
]
Plan = Callable[[pytest.MonkeyPatch], None]


def dead_worker(place: Plan) -> tuple[SlicingDesk, ParentOrder]:
    """Let a worker die with the first slice."""
    desk = SlicingDesk()
    parent = desk.parent()
    due = next_due(parent)
    assert due is not None
    desk.go(due)
    with pytest.MonkeyPatch.context() as patch:
        place(patch)
        with suppress(Death):
            desk.work()
    return desk, parent


@pytest.mark.parametrize("place", PLACES)
def test_154_a_slice_is_sent_once_wherever_its_worker_dies(place: Plan) -> None:
    desk, parent = dead_worker(place)
    desk.wall += LEASE
    desk.round()
    desk.round()
    assert [order.slice_number for order in Order.objects.all()] == [1]
    assert desk.broker.received == [Order.objects.get().client_order_id]
    assert slices_of(parent)[0].status == "sent"
    desk.fill(open_children(parent)[0])
    desk.play(parent)
    done = desk.checked(parent)
    assert (parent.status, done.filled) == ("completed", 100)
    numbers = list(Order.objects.values_list("slice_number", flat=True))
    assert len(numbers) == len(set(numbers)) == len(desk.broker.received)


@pytest.mark.parametrize("place", [between_claim_and_submit, in_the_gate])
def test_a_slice_that_is_claimed_is_left_alone_until_the_lease_has_run_out(place: Plan) -> None:
    desk, parent = dead_worker(place)
    assert desk.work() == 0
    assert Order.objects.count() == 0
    row = slices_of(parent)[0]
    assert row.claimed_until is not None
    desk.wall = row.claimed_until
    assert desk.work() == 1


@pytest.mark.parametrize("place", PLACES)
def test_a_parent_that_is_canceled_after_the_death_sends_nothing_more(place: Plan) -> None:
    desk, parent = dead_worker(place)
    cancel_parent(parent=parent, operator="ann", wall_now=desk.wall)
    desk.wall += LEASE
    desk.round()
    desk.round()
    parent.refresh_from_db()
    assert parent.status == "canceled"
    assert desk.checked(parent).used == 0
    assert not Slice.objects.filter(status__in=["planned", "claimed", "sent"]).exists()


@pytest.mark.parametrize("slept", [False, True])
def test_154_a_worker_that_slept_through_its_lease_sends_nothing_twice(slept: bool) -> None:
    desk, parent = dead_worker(between_claim_and_submit)
    old = slices_of(parent)[0]
    assert old.claim is not None
    desk.wall += LEASE
    if slept:
        assert desk.work() == 1  # another worker has sent it meanwhile
    sending.send_slice(slice_id=old.pk, claim=old.claim, wall_now=desk.wall)
    desk.round()
    assert Order.objects.count() == 1
    assert slices_of(parent)[0].order == Order.objects.get()
    assert desk.checked(parent).open == 10


def test_154_a_worker_that_wakes_when_its_slice_was_planned_again_is_refused_by_the_database() -> None:
    desk, parent = dead_worker(between_claim_and_submit)
    old = slices_of(parent)[0]
    assert old.claim is not None
    Slice.objects.filter(pk=old.pk).update(status="planned", claim=None, claimed_until=None)
    assert not sending.send_slice(slice_id=old.pk, claim=old.claim, wall_now=desk.wall)
    assert Order.objects.count() == 0
    assert slices_of(parent)[0].status == "planned"
