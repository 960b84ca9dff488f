"""Runs of the comparison with a broker in memory: what is concluded, when, and what never is."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection

from execution.brokers.base import BrokerActivity, BrokerUnavailable
from execution.errors import ReconciliationUnderWay
from execution.models import (
    Account,
    Break,
    CashActivity,
    CashEntry,
    Correction,
    Fill,
    InferredFill,
    Position,
    ReconciliationRun,
    Supersession,
)
from execution.reconciliation import locking
from execution.reconciliation.deciding import accept, ignore, repair
from execution.reconciliation.forced import approve_force, end_expired, request_force
from execution.reconciliation.runs import reconcile
from execution.selectors import net_quantities
from execution.services.claims import claim_pending
from execution.services.orders import submit_order
from risk.models import Alert, KillSwitchEvent
from risk.types import Origin, Side
from tests.execution.cases import (
    MARKET_AT,
    WALL_NOW,
    D,
    FakeBroker,
    accepted_order,
    again,
    assert_books_balance,
    desk,
    filled_order,
    make_intent,
    make_order,
    position_of,
    recorded,
)
from tests.factories import allow_bursts
from tests.risk.threads import together

pytestmark = pytest.mark.django_db
REASON = "checked with the broker by telephone"


@pytest.fixture
def books() -> tuple[Account, FakeBroker]:
    account, broker = desk(mode="alpaca_paper")
    Account.objects.filter(pk=account.pk).update(reconciliation="clean")
    account.refresh_from_db()
    allow_bursts()
    return account, broker


class Runs:
    """Makes runs a quarter of a minute apart."""

    def __init__(self, account: Account, broker: FakeBroker) -> None:
        self.account, self.broker, self.wall = account, broker, WALL_NOW

    def __call__(self, times: int = 1, *, trigger: str = "timer", seconds: int = 15) -> ReconciliationRun:
        for _ in range(times):
            self.wall += timedelta(seconds=seconds)
            account = Account.objects.select_related("feed").get(pk=self.account.pk)
            run = reconcile(account=account, broker=self.broker, trigger=trigger, wall_now=self.wall)
        return run

    @property
    def state(self) -> str:
        return Account.objects.get(pk=self.account.pk).reconciliation


@pytest.fixture
def runs(books: tuple[Account, FakeBroker]) -> Runs:
    return Runs(*books)


def missed(runs: Runs, shares: str = "4", price: str = "101", **fields: object) -> str:
    """Fill part of an order without a word."""
    order = accepted_order(runs.account, runs.broker, **fields)
    silently(runs, order.client_order_id, shares, price)
    return order.client_order_id


def silently(runs: Runs, name: str, shares: str, price: str) -> object:
    broker = runs.broker
    broker.silent = True
    report = broker.fill(name, shares, price)
    broker.silent = False
    before = broker.orders[name].average_fill_price or D(0)
    filled = broker.orders[name].filled_quantity
    average = (before * (filled - D(shares)) + D(price) * D(shares)) / filled
    broker.orders[name] = replace(broker.orders[name], average_fill_price=average)
    return report


def test_books_that_agree_are_clean(runs: Runs) -> None:
    filled_order(runs.account, runs.broker)
    run = runs()
    assert (run.state, run.positions_compared, run.open_breaks, runs.state) == ("clean", 1, 0, "clean")
    assert not Break.objects.exists()


def test_85_a_failing_answer_concludes_nothing(runs: Runs) -> None:
    filled_order(runs.account, runs.broker)

    def fails() -> None:
        raise BrokerUnavailable("positions are away")

    runs.broker.before_positions = fails
    for _ in range(3):
        with pytest.raises(BrokerUnavailable):
            runs()
    assert (runs.state, net_quantities(runs.account), Break.objects.count()) == ("clean", {"AAPL": 10}, 0)
    failed = ReconciliationRun.objects.get()  # the same reason is kept once
    assert (failed.state, failed.problem) == ("failed", "positions are away")
    assert Alert.objects.get(code="reconciliation_failed").state == "open"
    runs.broker.before_positions = None
    runs()
    assert Alert.objects.get(code="reconciliation_failed").state == "resolved"


def test_85_a_short_answer_is_seen_twice_and_asked_about_before_anything_is_concluded(runs: Runs) -> None:
    filled_order(runs.account, runs.broker)
    held, answers = dict(runs.broker.held), iter(["short", "short", "whole"])

    def shortens() -> None:
        runs.broker.held = {} if next(answers) == "short" else dict(held)

    runs.broker.before_positions = shortens
    runs(2)  # the second look asks for the symbol alone, and is told of it
    runs.broker.before_positions, runs.broker.held = None, held
    assert runs().state == "clean"
    assert runs.state == "clean"
    assert not Break.objects.filter(state="open").exists()


def test_87_a_symbol_with_fresh_activity_is_not_judged(runs: Runs) -> None:
    filled_order(runs.account, runs.broker)
    runs.broker.held["AAPL"] = D(7)
    runs(seconds=5)
    assert not Break.objects.exists()
    runs(seconds=10)
    assert Break.objects.get().state == "suspected"


def test_87_two_differences_with_an_agreement_between_them_are_not_one_seen_twice(runs: Runs) -> None:
    filled_order(runs.account, runs.broker)
    runs.broker.held["AAPL"] = D(7)
    runs()
    runs.broker.held["AAPL"] = D(10)
    Position.objects.filter(account=runs.account).update(updated_at=runs.wall + timedelta(seconds=14))
    runs()  # the symbol is not settled, so its suspicion stays; but this look agreed
    assert Break.objects.get().sightings == 0
    runs.broker.held["AAPL"] = D(7)
    runs(seconds=60)
    assert (Break.objects.get().state, runs.state) == ("suspected", "clean")
    runs()
    assert (Break.objects.get().state, runs.state) == ("open", "broken")


def test_94_shares_that_are_missing_at_the_broker_freeze_their_symbol_and_close_the_account(runs: Runs) -> None:
    filled_order(runs.account, runs.broker)
    runs.broker.held["AAPL"] = D(7)
    assert (runs().state, runs.state) == ("clean", "clean")
    run = runs()
    row = Break.objects.get()
    assert (run.state, runs.state, row.state, row.ours, row.theirs) == ("broken", "broken", "open", "10", "7")
    assert Alert.objects.get(code="position_differs").severity == "critical"
    assert net_quantities(runs.account) == {"AAPL": 10}
    runs.broker.held["AAPL"] = D(10)
    assert (runs().state, runs.state) == ("clean", "clean")
    assert (Break.objects.get().state, Alert.objects.get(code="position_differs").state) == ("gone", "resolved")


def test_93_a_position_of_somebody_else_is_adopted_and_earns_nobody_anything(runs: Runs) -> None:
    filled_order(runs.account, runs.broker)
    runs.broker.held["AAPL"] = D(25)
    runs()
    assert net_quantities(runs.account) == {"AAPL": 10}
    assert runs().adopted == 1
    external = position_of(runs.account, strategy="EXTERNAL")
    assert (external.quantity, external.cost_basis, external.realized_pnl) == (15, 1500, 0)
    assert position_of(runs.account).quantity == 10
    deposit = CashEntry.objects.get(kind="deposit", base_amount__isnull=False)
    assert (deposit.amount, deposit.base_amount) == (1500, 1500)
    account = Account.objects.get(pk=runs.account.pk)
    assert (account.cash, account.starting_cash, runs.state) == (D(100_000) - 1000, D(101_500), "clean")
    assert Alert.objects.get().code == "external_position"
    assert_books_balance(account)


def test_93_a_short_position_of_somebody_else_is_a_withdrawal_in_kind(runs: Runs) -> None:
    runs.broker.held["AAPL"] = D(-5)
    runs(2)
    assert position_of(runs.account, strategy="EXTERNAL").quantity == -5
    assert CashEntry.objects.get(kind="withdrawal").amount == -500
    assert_books_balance(runs.account)


def test_86_a_symbol_that_keeps_differing_is_stopped_and_not_adopted_for_ever(runs: Runs) -> None:
    for held in (5, 9, 14):
        runs.broker.held["AAPL"] = D(held)
        runs(2)
        assert net_quantities(runs.account) == {"AAPL": held}
    runs.broker.held["AAPL"] = D(20)
    runs(3)
    assert net_quantities(runs.account) == {"AAPL": 14}
    assert (Break.objects.get(state="open").theirs, runs.state) == ("20", "broken")
    assert KillSwitchEvent.objects.filter(scope="symbol:AAPL", engaged=True).count() == 1


def test_47_a_fill_that_nobody_told_is_booked_at_the_price_of_the_averages(runs: Runs) -> None:
    name = missed(runs, "4", "101")
    runs()
    assert not Fill.objects.exists()
    assert runs().inferred == 1
    fill = Fill.objects.get()
    assert (fill.quantity, fill.price, fill.order.client_order_id) == (4, 101, name)
    assert fill.broker_execution_id == f"inferred:{fill.order.broker_order_id}:4"
    assert Alert.objects.get().code == "fill_inferred"
    assert runs(3).inferred == 0
    assert Fill.objects.count() == 1
    assert_books_balance(runs.account)


def test_112_an_execution_that_comes_after_it_was_inferred_takes_its_place(runs: Runs) -> None:
    name = missed(runs, "4", "101")
    runs(2)
    cash = Account.objects.get(pk=runs.account.pk).cash
    order = runs.broker.orders[name]
    told = {"broker_execution_id": "X-1", "quantity": D(4), "price": D(102), "fee": D("0.5")}
    runs.broker.tell("fill", name, **told, cumulative_quantity=order.filled_quantity)
    for _ in range(2):
        recorded(runs.account, runs.broker)
    assert again(Fill.objects.earliest("pk").order).filled_quantity == 4
    assert net_quantities(runs.account) == {"AAPL": 4}
    assert Account.objects.get(pk=runs.account.pk).cash == cash - 4 - D("0.5")
    assert (Supersession.objects.get().quantity, Correction.objects.count()) == (4, 2)
    assert_books_balance(runs.account)


def test_88_part_inferred_and_part_told_is_counted_once(runs: Runs) -> None:
    name = missed(runs, "4", "100")
    runs(2)
    runs.broker.silent = True
    runs.broker.fill(name, "3")
    runs.broker.silent = False
    numbers = {"broker_execution_id": "X-9", "quantity": D(5), "price": D(100), "fee": D(0)}
    runs.broker.tell("fill", name, **numbers, cumulative_quantity=D(7))
    recorded(runs.account, runs.broker)
    assert Supersession.objects.get().quantity == 2
    assert net_quantities(runs.account) == {"AAPL": 7}
    assert_books_balance(runs.account)


def test_an_execution_that_can_be_asked_for_is_not_inferred(runs: Runs) -> None:
    order = accepted_order(runs.account, runs.broker)
    runs.broker.untold.append(silently(runs, order.client_order_id, "4", "101"))
    runs()
    assert Fill.objects.get().broker_execution_id.startswith("E-")
    assert not InferredFill.objects.exists()


def test_108_a_fill_of_an_order_that_is_over_in_the_book_is_found(runs: Runs) -> None:
    order = accepted_order(runs.account, runs.broker)
    runs.broker.end(order.client_order_id, "canceled")
    recorded(runs.account, runs.broker)
    assert again(order).status == "canceled"
    silently(runs, order.client_order_id, "10", "100")
    runs(2)
    assert (again(order).status, again(order).filled_quantity) == ("filled", 10)
    assert_books_balance(runs.account)


def test_115_fewer_filled_than_we_have_freezes_and_never_reduces_by_itself(runs: Runs) -> None:
    order = filled_order(runs.account, runs.broker)
    fewer = replace(runs.broker.orders[order.client_order_id], filled_quantity=D(6))
    runs.broker.orders[order.client_order_id] = fewer
    runs.broker.held["AAPL"] = D(6)
    runs(4)
    assert (again(order).filled_quantity, position_of(runs.account).quantity, runs.state) == (10, 10, "broken")
    row = Break.objects.get(kind="fill")
    assert (row.state, row.repair["action"]) == ("open", "take_back")
    account = Account.objects.select_related("feed").get(pk=runs.account.pk)
    repair(break_id=row.pk, account=account, broker=runs.broker, operator="ann", reason=REASON, wall_now=runs.wall)
    assert (again(order).filled_quantity, position_of(account).quantity) == (10, 6)
    assert (Correction.objects.get().operator, Correction.objects.get().order.origin) == ("ann", "correction")
    assert (runs().state, runs.state) == ("clean", "clean")
    assert_books_balance(account)


def activity(name: str, means: str, amount: str, **fields: object) -> BrokerActivity:
    kinds = {"fee": "FEE", "deposit": "CSD", "withdrawal": "CSW", "interest": "INT", "dividend": "DIV"}
    at = MARKET_AT + timedelta(minutes=5)
    return BrokerActivity(activity_id=name, kind=kinds[means], means=means, amount=D(amount), at=at, **fields)


def test_59_fees_and_interest_are_booked_once(runs: Runs) -> None:
    runs.broker.moved = [activity("a", "fee", "-1.25"), activity("b", "interest", "0.40")]
    runs.broker.cash = D(100_000) - D("0.85")
    assert runs().booked == 2
    assert runs().booked == 0
    assert Account.objects.get(pk=runs.account.pk).cash == D("99999.15")
    assert (CashActivity.objects.count(), Break.objects.count()) == (2, 0)
    assert_books_balance(runs.account)


def test_102_a_deposit_moves_the_base_of_the_days_loss(runs: Runs) -> None:
    from execution.selectors import account_summary
    from execution.services.sessions import close_session

    filled_order(runs.account, runs.broker)
    account = Account.objects.select_related("feed").get(pk=runs.account.pk)
    yesterday = MARKET_AT.date() - timedelta(days=1)
    close_session(account=account, day=yesterday, wall_now=WALL_NOW)
    runs.broker.moved = [activity("a", "deposit", "5000")]
    before = account_summary(account, WALL_NOW)
    runs()
    account = Account.objects.select_related("feed").get(pk=runs.account.pk)
    after = account_summary(account, WALL_NOW)
    assert (after.equity - before.equity, after.day_pnl) == (5000, before.day_pnl)
    decision = submit_order(intent=make_intent(quantity=D(1)), account=account, wall_now=WALL_NOW).order.decision
    assert D(decision.case["day_base_equity"]) == after.day_base_equity
    assert_books_balance(account)


def test_101_cash_that_nothing_explains_is_told_and_within_tolerance_it_is_not(runs: Runs) -> None:
    runs.broker.cash = D(100_000) - D("0.50")
    assert runs(2).cash_difference == D("0.50")
    assert not Break.objects.exists()
    runs.broker.cash = D(99_990)
    runs(2)
    assert (Break.objects.get().state, runs.state) == ("open", "clean")
    assert Alert.objects.get().code == "cash_differs"
    runs.broker.cash = D(90_000)
    runs()
    assert runs.state == "broken"  # a tenth is more than a fee


def test_accepted_differences_close_nothing_until_they_change(runs: Runs) -> None:
    filled_order(runs.account, runs.broker)
    runs.broker.held["AAPL"] = D(7)
    runs(2)
    fields = {"account": runs.account, "operator": "ann", "reason": REASON, "wall_now": runs.wall}
    accept(break_id=Break.objects.get().pk, **fields)
    assert (runs().state, runs.state, Break.objects.get().state) == ("clean", "clean", "accepted")
    runs.broker.held["AAPL"] = D(6)
    runs(2)
    assert (runs.state, Break.objects.get().state) == ("broken", "open")


def test_ignored_differences_come_back_after_a_day(runs: Runs) -> None:
    filled_order(runs.account, runs.broker)
    runs.broker.held["AAPL"] = D(7)
    runs(2)
    fields = {"account": runs.account, "operator": "ann", "reason": REASON, "wall_now": runs.wall}
    ignore(break_id=Break.objects.get().pk, **fields)
    assert runs().state == "clean"
    runs(2, seconds=24 * 3600)
    assert (runs.state, Break.objects.get().state) == ("broken", "open")


# One at a time


@pytest.mark.django_db(transaction=True)
def test_111_of_two_runs_at_once_one_is_told_that_the_other_is_under_way(runs: Runs) -> None:
    assert sorted(_at_once(runs)) == ["ReconciliationUnderWay", "clean"]


@pytest.mark.django_db(transaction=True)
def test_111_control_without_the_lock_both_run(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "_call", lambda *_: True)
    assert "ReconciliationUnderWay" not in _at_once(runs)


def _at_once(runs: Runs) -> list[str]:
    from threading import Barrier, BrokenBarrierError

    meeting = Barrier(2)

    def meet() -> None:
        try:
            meeting.wait(1)
        except BrokenBarrierError:
            return  # the other one was not let in

    runs.broker.before_positions = meet
    connection.close()

    def run() -> str:
        account = Account.objects.select_related("feed").get(pk=runs.account.pk)
        try:
            return reconcile(account=account, broker=runs.broker, trigger="operator", wall_now=WALL_NOW).state
        except ReconciliationUnderWay as error:
            return type(error).__name__

    return [str(each) for each in together(run, run)]


def test_a_run_whose_process_died_is_over_when_the_next_one_begins(runs: Runs) -> None:
    ReconciliationRun.objects.create(account=runs.account, trigger="timer", started_at=WALL_NOW)
    runs()
    assert list(ReconciliationRun.objects.values_list("state", flat=True)) == ["clean", "failed"]


def test_a_second_run_is_refused(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "_call", lambda function, _name: function != "pg_try_advisory_lock")
    with pytest.raises(ReconciliationUnderWay):
        runs()


# The way around it


def close(runs: Runs) -> None:
    filled_order(runs.account, runs.broker)
    runs.broker.held["AAPL"] = D(7)
    runs(2)


def test_118_a_forced_completion_needs_a_run_a_reason_and_a_second_person_and_ends_by_itself(runs: Runs) -> None:
    from execution.errors import ForceRefused
    from risk.errors import InvalidReason, SecondOperatorRequired

    asked = {"account": runs.account, "operator": "ann", "wall_now": runs.wall}
    with pytest.raises(ForceRefused, match="nothing to force"):
        request_force(reason=REASON, **asked)
    close(runs)
    asked["wall_now"] = runs.wall
    with pytest.raises(InvalidReason):
        request_force(reason="short", **asked)
    with pytest.raises(ForceRefused, match="no run was tried"):
        request_force(reason=REASON, **asked | {"wall_now": runs.wall + timedelta(minutes=16)})
    request = request_force(reason=REASON, **asked)
    with pytest.raises(SecondOperatorRequired):
        approve_force(request_id=request.pk, operator="ann", wall_now=runs.wall)
    approve_force(request_id=request.pk, operator="bob", wall_now=runs.wall)
    assert runs.state == "forced"
    order = make_order(runs.account, quantity=D(1), side=Side.SELL)
    assert runs().state == "broken"  # what the run says is kept, and the word of two people counts
    assert runs.state == "forced"
    later = runs.wall + timedelta(minutes=16)
    for at, count in ((later, 0), (runs.wall, 1)):
        claimed = claim_pending(account=runs.account, dry_run=False, wall_now=at, market_at=MARKET_AT, limit=9)
        assert [each.pk for each in claimed.orders] == [order.pk] * count
    assert not end_expired(account=Account.objects.get(pk=runs.account.pk), wall_now=runs.wall)
    assert end_expired(account=Account.objects.get(pk=runs.account.pk), wall_now=later)
    assert runs.state == "broken"


def test_119_before_it_is_clean_only_what_closes_passes_gate_and_claim(runs: Runs) -> None:
    filled_order(runs.account, runs.broker)
    Account.objects.filter(pk=runs.account.pk).update(reconciliation="broken")
    account = Account.objects.select_related("feed").get(pk=runs.account.pk)
    plain = submit_order(
        intent=make_intent(side=Side.SELL, quantity=D(3), reduce_only=True), account=account, wall_now=WALL_NOW
    )
    assert {denial.code.value for denial in plain.denials} == {"RECONCILIATION_PENDING"}
    closing = make_intent(side=Side.SELL, quantity=D(4), reduce_only=True, origin=Origin.FLATTEN)
    assert submit_order(intent=closing, account=account, wall_now=WALL_NOW).accepted
    # A closing order that is larger than the position reduces nothing, whoever asks for it.
    larger = make_intent(side=Side.SELL, quantity=D(40), reduce_only=True, origin=Origin.FLATTEN)
    assert not submit_order(intent=larger, account=account, wall_now=WALL_NOW).accepted
