"""New terms of an order: judged as if the original were not there, held for both, refused clearly."""

from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Q

from execution.errors import OrderConflict, ReplaceRefused
from execution.models import Order
from execution.services.cancels import request_cancel
from execution.services.halt import engage_kill_switch
from execution.services.orders import submit_order
from risk.models import Decision
from risk.types import OrderType, Side, TimeInForce
from tests.execution.cases import (
    WALL_NOW,
    D,
    accepted_order,
    again,
    assert_books_balance,
    desk,
    dispatch,
    filled_order,
    make_order,
    position_of,
    recorded,
    statuses,
)
from tests.execution.replace_cases import change, held, resting, successor_of
from tests.factories import allow, make_intent

pytestmark = pytest.mark.django_db


def test_the_successor_waits_to_be_sent_and_holds_for_both() -> None:
    account, broker = desk()
    order = resting(account, broker)
    successor = successor_of(order, quantity=D(60), limit_price=D(99))
    assert (successor.status, successor.client_order_id, successor.replaces_id) == ("pending", "one-R1", order.pk)
    assert (successor.quantity, successor.total_quantity, successor.cover_quantity) == (60, 60, 100)
    assert (successor.limit_price, successor.origin, successor.source_ref) == (99, "api", "ann")
    assert again(order).status == "pending_replace"
    assert held(account) == (100, 10_000, 1)
    assert_books_balance(account)


def test_the_original_says_which_order_is_to_take_its_place() -> None:
    account, broker = desk()
    order = resting(account, broker, filled=40)
    successor_of(order, quantity=D(70))
    event = order.events.order_by("-sequence")[0]
    assert event.detail == {"successor": "one-R1", "quantity": "30", "total": "70"}
    assert (event.source, event.actor) == ("operator", "ann")


def test_a_larger_successor_holds_what_it_may_buy() -> None:
    account, broker = desk()
    order = resting(account, broker, filled=40)
    successor = successor_of(order, quantity=D(150), limit_price=D(101))
    assert (successor.quantity, successor.total_quantity, successor.cover_quantity) == (110, 150, None)
    assert held(account) == (110, 11_110, 1)
    assert_books_balance(account)


def test_what_is_filled_counts_against_the_new_total() -> None:
    account, broker = desk()
    order = resting(account, broker, filled=40)
    successor = successor_of(order, quantity=D(70))
    assert (successor.quantity, successor.total_quantity, successor.cover_quantity) == (30, 70, 60)
    assert held(account)[0] == 60


def test_terms_that_are_not_given_stay() -> None:
    account, broker = desk()
    order = resting(account, broker, time_in_force=TimeInForce.GTC, reduce_only=False)
    successor = successor_of(order, limit_price=D("99.50"))
    kept = ("side", "quantity", "order_type", "time_in_force", "extended_hours", "reduce_only", "strategy_id")
    assert [getattr(successor, name) for name in kept] == [getattr(order, name) for name in kept]


def test_a_time_in_force_can_change_alone() -> None:
    account, broker = desk()
    order = resting(account, broker)
    assert successor_of(order, time_in_force=TimeInForce.GTC).time_in_force == "gtc"


def test_both_reserve_at_the_worse_price_until_the_original_is_over() -> None:
    account, broker = desk()
    order = resting(account, broker, limit_price=D(102))
    successor = successor_of(order, limit_price=D(99))
    assert (successor.reserve_price, successor.loss_per_share) == (102, 2)
    case = Decision.objects.get(pk=successor.decision_id).case
    assert (case["reserve_price"], case["loss_per_share"]) == ("99", "0")


@pytest.mark.parametrize("quantity", ["40", "39.5", "0", "-5"])
def test_a_total_that_is_filled_already_is_refused_with_the_numbers(quantity: str) -> None:
    account, broker = desk()
    order = resting(account, broker, filled=40)
    with pytest.raises(ReplaceRefused, match=r"40 are filled.*cancel the order"):
        change(order, quantity=D(quantity))
    assert again(order).status == "partially_filled"
    assert_books_balance(account)


def test_terms_that_change_nothing_are_refused() -> None:
    account, broker = desk()
    order = resting(account, broker)
    for terms in ({}, {"quantity": D("100.0")}, {"limit_price": D("100.00")}):
        with pytest.raises(ReplaceRefused, match="nothing would change"):
            change(order, **terms)


def test_an_order_without_an_answer_takes_no_new_terms() -> None:
    account, _broker = desk()
    order = make_order(account)
    Order.objects.filter(pk=order.pk).update(status="submitted")
    with pytest.raises(ReplaceRefused, match="has not answered yet"):
        change(order, quantity=D(5))


def test_an_order_that_is_being_canceled_or_replaced_takes_no_new_terms() -> None:
    account, broker = desk()
    order = resting(account, broker)
    successor = successor_of(order, quantity=D(60))
    with pytest.raises(ReplaceRefused, match="being replaced already"):
        change(order, quantity=D(70))
    with pytest.raises(ReplaceRefused, match="not sent yet"):
        change(successor, quantity=D(70))
    request_cancel(order=again(order), operator="ann", wall_now=WALL_NOW)
    with pytest.raises(ReplaceRefused, match="being canceled"):
        change(order, quantity=D(70))


def test_a_successor_takes_new_terms_when_it_has_taken_the_place() -> None:
    account, broker = desk()
    broker.concludes = False
    order = resting(account, broker)
    successor = successor_of(order, quantity=D(60))
    dispatch(account, broker)
    with pytest.raises(ReplaceRefused, match="has not taken the place"):
        change(successor, quantity=D(70))


def test_an_order_that_is_over_takes_no_new_terms() -> None:
    account, broker = desk()
    order = filled_order(account, broker)
    with pytest.raises(ReplaceRefused, match="is filled: it is over"):
        change(order, quantity=D(50))


def test_an_order_of_a_group_takes_no_new_terms() -> None:
    account, broker = desk()
    order = resting(account, broker)
    Order.objects.filter(pk=order.pk).update(order_class="bracket")
    with pytest.raises(ReplaceRefused, match="part of a group"):
        change(order, quantity=D(50))


def test_an_order_that_was_never_sent_gives_way_at_once_to_a_plain_order() -> None:
    account, broker = desk()
    order = make_order(account, client_order_id="one")
    successor = successor_of(order, quantity=D(30))
    assert (successor.total_quantity, successor.cover_quantity, successor.replaces_id) == (None, None, order.pk)
    assert statuses(order) == ["pending", "replaced"]
    assert held(account)[0] == 30
    dispatch(account, broker)
    assert (broker.received, broker.replacements) == (["one-R1"], [])
    assert again(successor).status == "accepted"
    assert_books_balance(account)


def test_a_denied_successor_is_stored_and_the_original_stays_as_it_is() -> None:
    account, broker = desk()
    order = resting(account, broker)
    allow(max_position_quantity=120)
    before = position_of(account)
    result = change(order, quantity=D(130))
    assert [denial.code for denial in result.denials] == ["POSITION_LIMIT"]
    assert result.order is not None
    assert (result.order.status, result.order.client_order_id) == ("denied", "one-R1")
    assert statuses(order) == ["pending", "submitted", "accepted"]
    assert held(account) == (before.open_buy_quantity, before.open_buy_notional, before.open_order_count)
    assert successor_of(order, quantity=D(120)).client_order_id == "one-R2"
    assert_books_balance(account)


def test_the_gate_judges_as_if_the_original_were_not_there() -> None:
    account, broker = desk()
    order = resting(account, broker)
    allow(max_position_quantity=100, max_open_orders=1, min_order_interval_seconds=3600)
    assert successor_of(order, quantity=D(100), limit_price=D(99)).quantity == 100
    assert_books_balance(account)


def test_a_limit_that_was_lowered_below_what_the_original_holds_is_no_failure() -> None:
    account, broker = desk()
    order = resting(account, broker)
    allow(max_position_quantity=60)
    successor = successor_of(order, quantity=D(60))
    assert (successor.cover_quantity, position_of(account).long_cap) == (100, 100)
    dispatch(account, broker)
    assert again(successor).status == "accepted"
    assert_books_balance(account)


def test_a_number_that_is_none_is_denied_and_leaves_a_decision_only() -> None:
    account, broker = desk()
    order = resting(account, broker)
    result = change(order, quantity=Decimal("NaN"))
    assert result.order is None
    assert "INVALID_QUANTITY" in [denial.code for denial in result.denials]
    assert again(order).status == "accepted"


def test_a_price_that_the_type_does_not_take_is_denied() -> None:
    account, broker = desk()
    order = resting(account, broker)
    result = change(order, stop_price=D(90))
    assert [denial.code for denial in result.denials] == ["INVALID_COMBINATION"]
    assert again(order).status == "accepted"


def test_an_engaged_kill_switch_denies_new_terms() -> None:
    account, broker = desk()
    order = resting(account, broker)
    engage_kill_switch(
        scope="global", operator="ann", reason="a test of new terms", source="console", wall_now=WALL_NOW
    )
    Order.objects.filter(pk=order.pk).update(status="accepted")
    assert "KILL_SWITCH" in [denial.code for denial in change(order, quantity=D(50)).denials]


def test_a_sale_that_reduces_takes_new_terms_with_the_breaker_tripped() -> None:
    account, broker = desk()
    filled_order(account, broker, quantity=D(100), client_order_id="held")
    allow(min_order_interval_seconds=0)
    exit_order = accepted_order(
        account,
        broker,
        side=Side.SELL,
        quantity=D(100),
        order_type=OrderType.LIMIT,
        limit_price=D(104),
        client_order_id="exit",
        reduce_only=True,
    )
    allow(daily_loss_pct="0.0001", max_orders_per_minute=1)
    successor = successor_of(exit_order, limit_price=D(100))
    assert (successor.reduce_only, position_of(account).open_sell_quantity) == (True, 100)
    assert_books_balance(account)


def test_the_same_key_again_returns_the_first_successor() -> None:
    account, broker = desk()
    order = resting(account, broker)
    first = change(order, quantity=D(60), idempotency_key="key")
    again_asked = change(order, quantity=D(60), idempotency_key="key")
    assert first.order is not None
    assert (again_asked.order, again_asked.created) == (first.order, False)
    with pytest.raises(OrderConflict, match="quantity"):
        change(order, quantity=D(61), idempotency_key="key")
    assert Order.objects.count() == 2


def test_an_id_that_another_order_has_is_a_conflict() -> None:
    account, broker = desk()
    order = resting(account, broker)
    allow(min_order_interval_seconds=0)
    make_order(account, client_order_id="two")
    make_order(account, client_order_id="one-R1", quantity=D(11))
    for terms in ({"client_order_id": "two"}, {"client_order_id": "one"}, {}):
        with pytest.raises(OrderConflict):
            change(order, quantity=D(60), **terms)
    assert again(order).status == "accepted"
    assert_books_balance(account)


def test_ids_of_a_chain_are_numbered_on() -> None:
    account, broker = desk()
    order = resting(account, broker)
    names = []
    for price in ("99", "98", "97"):
        order = successor_of(order, limit_price=D(price))
        names.append(order.client_order_id)
        dispatch(account, broker)
        recorded(account, broker)
        order = again(order)
    assert names == ["one-R1", "one-R2", "one-R3"]
    assert list(Order.objects.filter(~Q(pk=order.pk)).values_list("status", flat=True)) == ["replaced"] * 3
    assert_books_balance(account)


def test_an_id_that_would_be_too_long_is_a_hash() -> None:
    account, broker = desk()
    order = resting(account, broker, client_order_id="x" * 127)
    assert len(successor_of(order, quantity=D(60)).client_order_id) == 64


def test_the_wish_for_another_order_of_the_successors_terms_is_a_new_order() -> None:
    account, broker = desk()
    order = resting(account, broker)
    allow(min_order_interval_seconds=0)
    successor = successor_of(order, quantity=D(60))
    terms: dict[str, Any] = {"quantity": D(60), "order_type": OrderType.LIMIT, "limit_price": D(100)}
    result = submit_order(intent=make_intent(**terms), account=account, wall_now=WALL_NOW)
    assert result.created
    assert result.order != successor
    assert_books_balance(account)
