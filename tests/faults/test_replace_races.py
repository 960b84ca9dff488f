"""New terms against everything that may happen at the same moment: other terms, other orders, fills, cancels, claims.

The limit's race has its control: with the account's lock taken out it passes the limit.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.db.models import Q

from execution.errors import ReplaceRefused
from execution.gateway import statements
from execution.models import Account, Order, Position
from execution.selectors import reservation_drift
from execution.services.cancels import cancel_open_orders, request_cancel
from execution.services.claims import claim_pending
from execution.states import OPEN, OrderStatus
from risk.types import OrderType
from tests.execution.cases import (
    MARKET_AT,
    WALL_NOW,
    D,
    again,
    assert_books_balance,
    desk,
    dispatch,
    recorded,
    wait_until_somebody_waits,
)
from tests.execution.fake_broker import FakeBroker
from tests.execution.replace_cases import change, resting, successor_of
from tests.factories import allow, allow_bursts, make_account, make_instrument, make_quote, submit
from tests.risk.threads import in_another_transaction, together

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 5
RESTING = 20
ROOM = 7


def several(account: Account, broker: FakeBroker) -> list[Order]:
    """Make orders for ten shares that work at the broker, each in a name of its own: they share no position row."""
    for number in range(RESTING):
        symbol = f"S{number:03d}"
        make_instrument(symbol)
        make_quote(account.feed, symbol)
        terms = {"quantity": D(10), "order_type": OrderType.LIMIT, "limit_price": D(100)}
        assert submit(account, symbol=symbol, client_order_id=f"n{number}", **terms).accepted
    dispatch(account, broker)
    recorded(account, broker)
    return list(Order.objects.filter(account=account).order_by("pk"))


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Run the calls from as many threads at the same moment; a refusal of the database counts as None."""
    barrier = Barrier(len(calls))

    def one(call: Callable[[], Any]) -> Any:
        try:
            connection.ensure_connection()
            barrier.wait(60)
            return call()
        except IntegrityError:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def grow_all_at_once() -> tuple[Account, int]:
    """Ask for ten shares more of every order where there is room for seven times ten; returns how many have them."""
    account, broker = make_account(), FakeBroker()
    orders = several(account, broker)
    results = at_once([lambda order=order: change(order, quantity=D(20)) for order in orders])
    return account, sum(result is not None and result.accepted for result in results)


def limits() -> None:
    allow_bursts()
    allow(max_names=RESTING, max_net_notional=10**9, max_gross_notional=(RESTING + ROOM) * 1_000)


def test_exactly_as_many_grow_as_there_is_room_for() -> None:
    limits()
    account, grown = grow_all_at_once()
    assert grown == ROOM
    assert Order.objects.filter(account=account, status=OrderStatus.PENDING_REPLACE).count() == ROOM
    assert Order.objects.filter(account=account, status=OrderStatus.PENDING).count() == ROOM
    assert_books_balance(account)


def test_control_without_the_accounts_lock_the_limit_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "LOCK_ACCOUNT", statements.READ_ACCOUNT)
    limits()
    grown = []
    for _round in range(ROUNDS):
        grown.append(grow_all_at_once()[1])
        if grown[-1] > ROOM:
            return
    pytest.fail(f"the race never passed the limit of {ROOM}: {grown}")


def test_of_two_changes_at_the_same_moment_one_is_refused() -> None:
    for _round in range(ROUNDS):
        account, broker = desk()
        order = resting(account, broker)
        results = together(
            lambda order=order: change(order, quantity=D(60)),
            lambda order=order: change(order, quantity=D(70)),
        )
        assert [isinstance(result, ReplaceRefused) for result in results].count(True) == 1, results
        assert Order.objects.filter(account=account).count() == 2
        assert_books_balance(account)


def test_a_cancel_at_the_same_moment_leaves_nothing_that_works() -> None:
    for _round in range(ROUNDS):
        account, broker = desk()
        order = resting(account, broker)
        together(
            lambda order=order: change(order, quantity=D(60)),
            lambda order=order: request_cancel(order=order, operator="ann", wall_now=WALL_NOW),
        )
        assert reservation_drift(account) == []
        for _ in range(3):
            dispatch(account, broker)
            recorded(account, broker)
        assert not Order.objects.filter(account=account, status__in=sorted(OPEN)).exists()
        assert_books_balance(account)


def test_fills_and_a_change_and_its_dispatch_at_the_same_moment_lose_nothing() -> None:
    for _round in range(ROUNDS):
        account, broker = desk()
        order = resting(account, broker)
        broker.fill("one", D(30))
        together(
            lambda a=account, b=broker: recorded(a, b),
            lambda order=order: change(order, quantity=D(60)),
            lambda a=account, b=broker: dispatch(a, b),
        )
        dispatch(account, broker)
        recorded(account, broker)
        successor = Order.objects.get(account=account, client_order_id="one-R1")
        assert [again(order).status, successor.status] == ["replaced", "accepted"]
        assert broker.replacements[0].quantity == 60
        assert Position.objects.get(account=account).open_buy_quantity == 30
        assert_books_balance(account)


def test_a_claim_passes_over_a_successor_whose_original_somebody_holds() -> None:
    account, broker = desk()
    order = resting(account, broker)
    successor = successor_of(order, quantity=D(60))

    def hold() -> None:
        Order.objects.select_for_update(no_key=True).get(pk=order.pk)

    with in_another_transaction(hold):
        claim = claim_pending(account=account, dry_run=False, wall_now=WALL_NOW, market_at=MARKET_AT, limit=10)
        assert claim.orders == []
    assert again(successor).status == "pending"
    dispatch(account, broker)
    assert again(successor).status == "accepted"


def test_a_cancel_that_waited_for_the_request_finds_the_successor() -> None:
    account, broker = desk()
    order = resting(account, broker)
    with ThreadPoolExecutor(1) as pool:

        def cancel() -> None:
            try:
                request_cancel(order=order, operator="ann", wall_now=WALL_NOW)
            finally:
                connection.close()

        with in_another_transaction(lambda: change(order, quantity=D(60))):
            future = pool.submit(cancel)
            wait_until_somebody_waits()
        future.result(timeout=10)
    successor = Order.objects.get(account=account, client_order_id="one-R1")
    assert [again(order).status, successor.status] == ["pending_cancel", "canceled"]
    assert_books_balance(account)


def while_another_holds(held_order: Order, work: Callable[[], Any]) -> None:
    """Do the work in a thread that has to wait for an order which another transaction holds."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    def hold() -> None:
        Order.objects.select_for_update(no_key=True).get(pk=held_order.pk)

    with ThreadPoolExecutor(1) as pool:
        with in_another_transaction(hold):
            future = pool.submit(run)
            wait_until_somebody_waits()
        future.result(timeout=10)


def test_a_refusal_that_is_booked_while_somebody_holds_the_original_lets_it_work_on() -> None:
    account, broker = desk()
    order = resting(account, broker)
    successor = successor_of(order, quantity=D(60))
    broker.concludes = False
    dispatch(account, broker)
    recorded(account, broker)
    broker.end(successor.client_order_id, "rejected", "not in time")
    while_another_holds(order, lambda: recorded(account, broker))
    assert [again(order).status, again(successor).status] == ["accepted", "rejected"]
    assert Position.objects.get(account=account).open_buy_quantity == 100
    assert_books_balance(account)


def test_a_cancel_that_matches_the_successor_alone_is_for_both_whoever_holds_the_original() -> None:
    account, broker = desk()
    order = resting(account, broker)
    successor = successor_of(order, quantity=D(60))
    while_another_holds(
        order,
        lambda: cancel_open_orders(orders=Q(pk=successor.pk), account=account, operator="ann", wall_now=WALL_NOW),
    )
    assert [again(order).status, again(successor).status] == ["pending_cancel", "canceled"]
    assert Position.objects.get(account=account).open_buy_quantity == 100
    assert_books_balance(account)
