"""A parent is stored whole or not at all, once for each wish, and only when it could pass the gate."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError

from execution.errors import OrderConflict, PlanRefused
from execution.models import Order, ParentEvent, ParentOrder, Slice
from execution.services.slices import preview_parent
from risk.models import Decision
from risk.services import kill_switch
from tests.execution.slicing.desk import D, SlicingDesk, next_due, slices_of, wish
from tests.factories import MARKET_AT, WALL_NOW, allow, make_instrument
from tests.risk.threads import together

pytestmark = pytest.mark.django_db


def test_the_parent_and_its_whole_plan_are_stored_before_anything_is_sent() -> None:
    desk = SlicingDesk()
    parent = desk.parent(client_order_id="mine")
    assert (parent.status, parent.plan, parent.client_order_id) == ("active", 1, "mine")
    assert parent.starts_at == MARKET_AT
    assert parent.ends_at == MARKET_AT + timedelta(minutes=60)
    assert [row.quantity for row in slices_of(parent)] == [D(10)] * 10
    assert parent.curve_source.startswith("assumed: U shape")
    assert Order.objects.count() == 0
    event = ParentEvent.objects.get()
    assert (event.step, event.to_status, event.detail["slices"]) == ("created", "active", 10)


def test_the_same_wish_again_is_the_same_parent() -> None:
    desk = SlicingDesk()
    first = desk.ask()
    again = desk.ask()
    assert first.created
    assert not again.created
    assert again.parent == first.parent
    assert desk.ask(quantity=D(101)).created


def test_a_wish_that_ended_without_a_fill_may_be_tried_again() -> None:
    desk = SlicingDesk()
    first = desk.parent()
    ParentOrder.objects.filter(pk=first.pk).update(status="canceled", closed_at=WALL_NOW)
    second = desk.parent()
    assert (second.attempt, second.client_order_id == first.client_order_id) == (2, False)


def test_the_same_key_with_another_body_is_refused() -> None:
    desk = SlicingDesk()
    desk.parent(idempotency_key="k")
    assert not desk.ask(idempotency_key="k").created
    with pytest.raises(OrderConflict, match=r"quantity: .* '100', now '200'"):
        desk.ask(idempotency_key="k", quantity=D(200))
    desk.parent(client_order_id="c", quantity=D(50))
    with pytest.raises(OrderConflict, match="two different orders"):
        desk.ask(idempotency_key="k", client_order_id="c")


def test_the_same_id_makes_the_same_plan() -> None:
    desk, other = SlicingDesk(), SlicingDesk()
    first, second = desk.parent(client_order_id="x", slices=7), other.parent(client_order_id="x", slices=7)
    assert [(s.due_at, s.quantity) for s in slices_of(first)] == [(s.due_at, s.quantity) for s in slices_of(second)]


def test_a_preview_stores_nothing() -> None:
    desk = SlicingDesk()
    seen = preview_parent(wish=wish(), account=desk.account, wall_now=WALL_NOW)
    assert (len(seen.slices), seen.denials, seen.existing) == (10, [], None)
    assert not ParentOrder.objects.exists()
    assert not Decision.objects.exists()


@pytest.mark.parametrize(("most", "passes"), [(101, True), (100, True), (99, False)])
def test_152_a_parent_whose_whole_could_never_pass_is_refused_with_the_denials(most: int, passes: bool) -> None:
    desk = SlicingDesk()
    allow(max_position_quantity=most)
    result = desk.ask()
    assert result.created is passes
    assert [denial.code for denial in result.denials] == ([] if passes else ["POSITION_LIMIT"])
    assert Slice.objects.count() == (10 if passes else 0)


@pytest.mark.parametrize(("most", "passes"), [(11, True), (10, True), (9, False)])
def test_152_the_largest_slice_is_judged_as_an_order_and_the_whole_is_not(most: int, passes: bool) -> None:
    desk = SlicingDesk()
    allow(max_order_quantity=most)
    result = desk.ask()
    assert result.created is passes
    assert [denial.code for denial in result.denials] == ([] if passes else ["FAT_FINGER_QUANTITY"])


def test_nothing_is_stored_while_the_kill_switch_is_engaged() -> None:
    desk = SlicingDesk()
    kill_switch.engage(scope="global", operator="ann", reason="something is wrong", source="test", now=WALL_NOW)
    result = desk.ask()
    assert [denial.code for denial in result.denials] == ["KILL_SWITCH"]
    assert not ParentOrder.objects.exists()


def test_a_failure_half_way_stores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = SlicingDesk()

    def fail(*args: Any, **kwargs: Any) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(ParentEvent.objects, "create", fail)
    with pytest.raises(DatabaseError):
        desk.ask()
    assert not ParentOrder.objects.exists()
    assert not Slice.objects.exists()


@pytest.mark.parametrize(
    ("fields", "name", "message"),
    [
        ({"duration_minutes": 0}, "duration_minutes", "from 1 to 390"),
        ({"duration_minutes": 391}, "duration_minutes", "from 1 to 390"),
        ({"slices": 121}, "slices", "from 1 to 120"),
        ({"quantity": D(0)}, "quantity", "above 0"),
        ({"quantity": D("NaN")}, "quantity", "above 0"),
        ({"max_participation": D("1.01")}, "max_participation", "up to 1"),
        ({"max_participation": D(0)}, "max_participation", "above 0"),
        ({"symbol": "NOPE"}, "symbol", "not known"),
        ({"strategy": "nope"}, "strategy", "not known"),
    ],
)
def test_numbers_and_names_that_make_no_plan_are_refused_by_name(
    fields: dict[str, Any], name: str, message: str
) -> None:
    with pytest.raises(PlanRefused, match=message) as refused:
        SlicingDesk().ask(**fields)
    assert refused.value.field == name


def test_151_after_the_close_nothing_is_planned_over_night() -> None:
    desk = SlicingDesk()
    desk.go(MARKET_AT + timedelta(hours=6))
    with pytest.raises(PlanRefused, match="closed until 2012-06-15 13:30"):
        desk.ask()


def test_151_a_market_order_before_the_open_begins_after_the_quiet_minutes() -> None:
    desk = SlicingDesk()
    morning = MARKET_AT + timedelta(hours=22)  # 09:00 New York
    desk.go(morning)
    parent = desk.parent()
    assert parent.starts_at == morning + timedelta(minutes=35)
    limited = desk.parent(limit_price=D(99))
    assert limited.starts_at == morning + timedelta(minutes=30)


def test_the_volume_of_the_feed_counts_before_the_instruments() -> None:
    desk = SlicingDesk()
    make_instrument(average_daily_volume=D(900))
    with pytest.raises(PlanRefused, match=r"100 shares.* expected to trade 900"):
        desk.ask()
    desk.account.feed.quotes.update(average_daily_volume=D(10_000_000))
    assert desk.ask().created


def test_without_a_count_there_is_a_slice_for_five_minutes() -> None:
    parent = SlicingDesk().parent(slices=None)
    assert parent.slices.count() == 12
    assert next_due(parent) is not None


@pytest.mark.django_db(transaction=True)
def test_the_same_wish_from_many_clients_at_once_is_one_parent() -> None:
    desk = SlicingDesk()
    results = together(*[lambda: desk.ask(idempotency_key="k") for _ in range(8)])
    assert sum(result.created for result in results) == 1
    assert {result.parent.pk for result in results} == {ParentOrder.objects.get().pk}
    assert Slice.objects.count() == 10


def test_a_stored_plan_keeps_the_numbers_it_was_made_of() -> None:
    parent = SlicingDesk().parent(limit_offset_bps=D("12.5"), max_participation=D("0.05"))
    parent.refresh_from_db()
    assert (parent.limit_offset_bps, parent.max_participation) == (D("12.5"), D("0.05"))
    assert parent.average_daily_volume == 10_000_000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_participation", "0.00001"),
        ("max_participation", "0.12345"),
        ("max_participation", "NaN"),
        ("limit_offset_bps", "1.23456"),
        ("limit_offset_bps", "1000.1"),
        ("limit_offset_bps", "-1"),
    ],
)
def test_a_number_that_could_not_be_stored_as_it_is_is_refused(field: str, value: str) -> None:
    desk = SlicingDesk()
    with pytest.raises(PlanRefused, match="4 decimal places is allowed") as refusal:
        desk.ask(**{field: D(value)}, client_order_id="once")
    assert refusal.value.field == field
    assert not ParentOrder.objects.exists()


def test_the_finest_numbers_that_are_allowed_are_the_same_wish_again() -> None:
    desk = SlicingDesk()
    fine = {"max_participation": D("0.1234"), "limit_offset_bps": D("1.2345"), "client_order_id": "once"}
    assert desk.ask(**fine).created
    assert not desk.ask(**fine).created
