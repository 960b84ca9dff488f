"""What people decide about breaks: each decision counts once, and is about the difference that was seen."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from execution.errors import BreakNotOpen
from execution.models import Account, Break, CashEntry, Correction
from execution.reconciliation import breaks
from execution.reconciliation.deciding import accept, repair
from execution.reconciliation.forced import approve_force, request_force
from execution.selectors import net_quantities
from risk.models import Alert
from tests.execution.cases import D, accepted_order, again, assert_books_balance, filled_order, position_of, recorded
from tests.execution.reconciliation.test_runs import REASON, Runs, books, close, runs

__all__ = ["books", "runs"]
pytestmark = pytest.mark.django_db


def fresh(runs: Runs) -> Account:
    return Account.objects.select_related("feed").get(pk=runs.account.pk)


def repaired(runs: Runs, **fields: Any) -> Break:
    given = {"break_id": Break.objects.latest("pk").pk, "account": fresh(runs), "broker": runs.broker}
    by = {"operator": "ann", "reason": REASON, "wall_now": runs.wall}
    return repair(**given | by | fields)


def while_asked(monkeypatch: pytest.MonkeyPatch, broker: object, name: str, act: Callable[[], object]) -> None:
    """Do something in the moment in which the broker is asked, once."""
    answers, left = getattr(broker, name), [act]

    def answer(*arguments: object) -> object:
        while left:
            left.pop()()
        return answers(*arguments)

    monkeypatch.setattr(broker, name, answer)


def busted(runs: Runs, shares: int) -> None:
    """Let the broker count so many shares of an order that has filled with two executions of five."""
    order = accepted_order(runs.account, runs.broker)
    for _ in range(2):
        runs.broker.fill(order.client_order_id, "5")
    recorded(runs.account, runs.broker)
    count(runs, shares)


def count(runs: Runs, shares: int) -> None:
    [name] = runs.broker.orders
    runs.broker.orders[name] = replace(runs.broker.orders[name], filled_quantity=D(shares))
    runs.broker.held["AAPL"] = D(shares)
    runs(2)


def fills(state: str = "open") -> Break:
    return Break.objects.filter(kind="fill", state=state).latest("pk")


def test_two_people_who_repair_the_same_fills_take_them_back_once(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    busted(runs, 5)
    row = fills()
    while_asked(monkeypatch, runs.broker, "order", lambda: repaired(runs, break_id=row.pk, operator="bob"))
    with pytest.raises(BreakNotOpen):
        repaired(runs, break_id=row.pk)
    assert (Correction.objects.get().operator, position_of(runs.account).quantity) == ("bob", 5)
    assert_books_balance(fresh(runs))


def test_what_cannot_be_taken_back_whole_is_not_taken_back_in_part(runs: Runs) -> None:
    busted(runs, 5)
    row = fills()
    Break.objects.filter(pk=row.pk).update(ours="20")
    with pytest.raises(BreakNotOpen, match="the books have moved"):
        repaired(runs, break_id=row.pk)
    assert (Correction.objects.count(), position_of(runs.account).quantity) == (0, 10)


def test_an_execution_can_be_taken_back_in_two_steps(runs: Runs) -> None:
    busted(runs, 7)
    repaired(runs, break_id=fills().pk)
    assert position_of(runs.account).quantity == 7
    count(runs, 4)
    repaired(runs, break_id=fills().pk)
    assert (position_of(runs.account).quantity, Correction.objects.count()) == (4, 3)
    assert runs(2).state == "clean"
    assert_books_balance(fresh(runs))


def cash_break(runs: Runs) -> None:
    runs.broker.cash = D(99_990)
    runs(2)


def test_two_people_who_repair_the_same_cash_enter_it_once(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    cash_break(runs)
    while_asked(monkeypatch, runs.broker, "account", lambda: repaired(runs, operator="bob"))
    with pytest.raises(BreakNotOpen):
        repaired(runs)
    assert (CashEntry.objects.get(kind="other").amount, fresh(runs).cash) == (D(-10), D(99_990))
    assert_books_balance(fresh(runs))


def test_cash_that_the_broker_has_told_of_meanwhile_is_not_entered(runs: Runs) -> None:
    cash_break(runs)
    runs.broker.cash = D(100_000)
    with pytest.raises(BreakNotOpen, match="the books have moved"):
        repaired(runs)
    assert not CashEntry.objects.filter(kind="other").exists()
    assert Break.objects.get().state == "open"


def test_a_decision_that_comes_while_a_run_asks_stands(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    filled_order(runs.account, runs.broker)
    runs.broker.held["AAPL"] = D(7)
    runs()

    def decide() -> None:
        row = Break.objects.get()
        accept(break_id=row.pk, account=fresh(runs), operator="ann", reason=REASON, wall_now=runs.wall)

    while_asked(monkeypatch, runs.broker, "position", decide)
    assert runs().state == "clean"
    assert (Break.objects.get().state, Break.objects.get().decided_by) == ("accepted", "ann")


def test_control_without_the_second_look_the_decision_is_lost(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaks, "still_suspected", lambda _row: True)
    with pytest.raises(AssertionError):
        test_a_decision_that_comes_while_a_run_asks_stands(runs, monkeypatch)


def test_115_a_break_stands_until_the_difference_is_gone_however_old_its_order_is(runs: Runs) -> None:
    busted(runs, 5)
    row = fills()
    listed = runs.broker.closed_orders
    runs.broker.closed_orders = lambda *, after: []
    runs(2, seconds=30 * 3600)
    row.refresh_from_db()
    assert (row.state, runs.state) == ("open", "broken")
    runs.broker.closed_orders = listed


def test_an_order_that_the_broker_no_longer_knows_is_a_break_and_is_ended_by_people(runs: Runs) -> None:
    order = accepted_order(runs.account, runs.broker)
    runs.broker.orders.clear()
    assert (runs().state, runs.state) == ("clean", "clean")
    assert (runs().state, runs.state) == ("broken", "broken")
    row = Break.objects.get()
    assert (row.kind, row.subject, row.ours, row.theirs, row.state) == (
        "order",
        order.client_order_id,
        "10",
        "0",
        "open",
    )
    assert Alert.objects.get(code="order_differs").severity == "critical"
    assert again(order).status == "accepted"
    repaired(runs)
    order = again(order)
    assert (order.status, order.error_code, position_of(runs.account).open_buy_quantity) == (
        "canceled",
        "unknown_at_broker",
        0,
    )
    assert (runs().state, runs.state, net_quantities(fresh(runs))) == ("clean", "clean", {})
    assert Alert.objects.get(code="order_differs").state == "resolved"


def test_an_order_that_the_broker_knows_by_our_name_is_no_break(runs: Runs) -> None:
    order = accepted_order(runs.account, runs.broker)
    known = runs.broker.orders.pop(order.client_order_id)
    runs()
    runs.broker.find = lambda name: known if name == order.client_order_id else None
    assert runs(2).state == "clean"
    assert Break.objects.get().state == "suspected"
    runs.broker.orders[order.client_order_id] = known
    assert runs().state == "clean"
    assert not Break.objects.filter(state__in=Break.LIVE).exists()


def test_an_order_that_turned_up_again_is_not_ended(runs: Runs) -> None:
    order = accepted_order(runs.account, runs.broker)
    known = dict(runs.broker.orders)
    runs.broker.orders.clear()
    runs(2)
    runs.broker.orders.update(known)
    with pytest.raises(BreakNotOpen):
        repaired(runs)
    assert again(order).status == "accepted"


def test_a_clean_run_ends_the_alert_of_a_forced_completion(runs: Runs) -> None:
    close(runs)
    request = request_force(account=runs.account, operator="ann", reason=REASON, wall_now=runs.wall)
    approve_force(request_id=request.pk, operator="bob", wall_now=runs.wall)
    assert Alert.objects.get(code="reconciliation_forced").state == "open"
    runs.broker.held["AAPL"] = D(10)
    runs()
    assert (runs.state, Alert.objects.get(code="reconciliation_forced").state) == ("clean", "resolved")
