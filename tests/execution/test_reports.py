"""What a broker reports is booked once, in whatever order it comes, and nothing it says is ever lost."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from threading import Barrier

import pytest
from django.db import connection

from execution.brokers.base import BrokerReport
from execution.errors import OrderUnstorable
from execution.models import Account, CashEntry, Fill, Order, OrderEvent, RefusedReport
from execution.reconciliation.adopting import LAG
from execution.services import reports
from execution.services.booking import Execution
from execution.services.cancels import request_cancel
from execution.services.claims import claim_pending
from execution.services.dispatch import request_of
from execution.services.recovery import resolve_unanswered
from execution.services.reports import apply_reports, book_reports
from execution.states import OrderStatus
from risk.models import RestrictedInstrument
from risk.services import breaker
from tests.execution.cases import (
    MARKET_AT,
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
from tests.execution.fake_broker import FakeBroker
from tests.factories import allow_bursts
from tests.risk.threads import together

pytestmark = pytest.mark.django_db


def book(account: Account, *given: BrokerReport) -> int:
    return book_reports(account_id=account.pk, reports=given, wall_now=WALL_NOW)


def test_reports_are_new_once() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.fill(order.client_order_id, "4")
    assert recorded(account, broker) == 1
    assert recorded(account, broker) == 0
    assert again(order).filled_quantity == 4
    assert_books_balance(account)


def test_the_same_batch_told_twice_is_booked_once() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    told = broker.fill(order.client_order_id, "4")
    assert [book(account, told), book(account, told)] == [1, 0]
    assert Fill.objects.count() == 1
    assert_books_balance(account)


def test_an_execution_told_under_another_number_is_booked_once() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    told = broker.fill(order.client_order_id, "4")
    repeat = replace(told, sequence=told.sequence + 1)
    assert book(account, told) == 1
    assert book(account, repeat) == 1
    assert Fill.objects.count() == 1
    account.refresh_from_db()
    assert account.report_cursor == repeat.sequence
    assert_books_balance(account)


def test_an_execution_told_twice_in_one_batch_is_booked_once() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    told = broker.fill(order.client_order_id, "4")
    assert book(account, told, replace(told, sequence=told.sequence + 1)) == 2
    assert Fill.objects.count() == 1


def test_the_cursor_and_the_book_move_together_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.fill(order.client_order_id, "4")
    before = Account.objects.get(pk=account.pk).report_cursor

    def dies(*_args: object, **_fields: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Account, "save", dies)
        with pytest.raises(KeyboardInterrupt):
            recorded(account, broker)
    assert Fill.objects.count() == 0
    assert Account.objects.get(pk=account.pk).report_cursor == before
    assert recorded(account, broker) == 1
    assert again(order).filled_quantity == 4
    assert_books_balance(account)


def test_more_reports_than_a_batch_are_all_booked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "BATCH", 2)
    account, broker = desk()
    order = accepted_order(account, broker)
    for _ in range(5):
        broker.fill(order.client_order_id, "1")
    assert recorded(account, broker) == 5
    assert again(order).filled_quantity == 5


def test_a_fill_that_comes_before_the_answer_is_booked_and_the_answer_adds_nothing() -> None:
    account, broker = desk()
    order = make_order(account)
    broker.after_batch = lambda: (broker.fill(order.client_order_id, "10"), recorded(account, broker))[0]
    report = dispatch(account, broker)
    assert report.accepted == 1
    assert statuses(order) == ["pending", "submitted", "accepted", "filled"]
    assert again(order).broker_order_id == "B-1"
    assert_books_balance(account)


def test_a_fill_without_an_acceptance_before_it_is_booked() -> None:
    account, broker = desk()
    order = make_order(account)
    claim_pending(account=account, dry_run=False, wall_now=WALL_NOW, market_at=MARKET_AT, limit=1)
    broker.submit(request_of(again(order)), at=MARKET_AT)
    fill = broker.fill(order.client_order_id, "3")
    book(account, fill)
    assert again(order).status == OrderStatus.PARTIALLY_FILLED
    assert again(order).broker_order_id == "B-1"


LIFE = ("accepted", "first", "second", "canceled")


@pytest.mark.parametrize("arrival", list(permutations(LIFE)), ids=lambda arrival: " ".join(arrival))
def test_in_whatever_order_reports_arrive_the_shares_and_the_money_are_the_same(arrival: tuple[str, ...]) -> None:
    account, broker = desk()
    order = make_order(account)
    claim_pending(account=account, dry_run=False, wall_now=WALL_NOW, market_at=MARKET_AT, limit=1)
    broker.submit(request_of(again(order)), at=MARKET_AT)
    told = {
        "accepted": broker.reports[0],
        "first": broker.fill(order.client_order_id, "3", "100.10", fee=D("0.01")),
        "second": broker.fill(order.client_order_id, "4", "100.25", fee=D("0.02")),
        "canceled": broker.end(order.client_order_id, "canceled"),
    }
    for sequence, name in enumerate(arrival, start=1):
        book(account, replace(told[name], sequence=sequence))
    after = again(order)
    assert (after.status, after.filled_quantity) == (OrderStatus.CANCELED, 7)
    line = position_of(account)
    assert (line.quantity, line.cost_basis, line.fees) == (7, D("701.30"), D("0.03"))
    assert line.open_order_count == 0
    assert_books_balance(account)


@pytest.mark.parametrize("ending", ["canceled", "expired", "rejected", "replaced"])
def test_late_fill_after_the_end_is_kept(ending: str) -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.end(order.client_order_id, ending)
    recorded(account, broker)
    broker.fill(order.client_order_id, "4")
    recorded(account, broker)
    assert (again(order).status, again(order).filled_quantity) == (ending, 4)
    broker.fill(order.client_order_id, "6")
    recorded(account, broker)
    assert again(order).status == OrderStatus.FILLED
    assert position_of(account).quantity == 10
    assert_books_balance(account)


def test_late_fill_may_carry_a_position_past_its_cap() -> None:
    account, broker = desk()
    allow_bursts()
    first = accepted_order(account, broker, quantity=D(600), client_order_id="first")
    broker.end(first.client_order_id, "canceled")
    recorded(account, broker)
    accepted_order(account, broker, quantity=D(700), client_order_id="second")
    broker.fill("first", "600")
    recorded(account, broker)
    line = position_of(account)
    assert (line.quantity, line.open_buy_quantity, line.long_cap) == (600, 700, 1300)
    assert_books_balance(account)


def test_late_sale_may_carry_a_short_past_its_cap() -> None:
    account, broker = desk()
    allow_bursts()
    first = accepted_order(account, broker, side="sell", quantity=D(600), client_order_id="first")
    broker.end(first.client_order_id, "canceled")
    recorded(account, broker)
    accepted_order(account, broker, side="sell", quantity=D(700), client_order_id="second")
    broker.fill("first", "600")
    recorded(account, broker)
    assert position_of(account).short_cap == 1300
    assert_books_balance(account)


def test_a_fill_during_a_cancel_leaves_the_cancel_under_way() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    request_cancel(order=order, operator="ann", wall_now=WALL_NOW)
    broker.fill(order.client_order_id, "4")
    recorded(account, broker)
    assert again(order).status == OrderStatus.PENDING_CANCEL
    broker.fill(order.client_order_id, "6")
    recorded(account, broker)
    assert again(order).status == OrderStatus.FILLED
    assert_books_balance(account)


@pytest.mark.parametrize(("filled", "status"), [("0", "accepted"), ("4", "partially_filled")])
def test_a_refused_cancel_makes_the_order_live_again(filled: str, status: str) -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    if D(filled):
        broker.fill(order.client_order_id, filled)
        recorded(account, broker)
    request_cancel(order=order, operator="ann", wall_now=WALL_NOW)
    broker.tell("cancel_rejected", order.client_order_id)
    recorded(account, broker)
    after = again(order)
    assert (after.status, after.cancel_requested_at, after.cancel_sent_at) == (status, None, None)
    request_cancel(order=after, operator="ann", wall_now=WALL_NOW)
    assert again(order).status == OrderStatus.PENDING_CANCEL
    assert_books_balance(account)


def test_a_refused_cancel_of_an_order_that_is_over_says_nothing_new() -> None:
    account, broker = desk()
    order = filled_order(account, broker)
    broker.tell("cancel_rejected", order.client_order_id)
    assert recorded(account, broker) == 1
    assert statuses(order)[-1] == "filled"


@pytest.mark.parametrize("ending", ["canceled", "expired", "rejected"])
def test_an_end_at_the_broker_tells_why_and_releases_what_was_reserved(ending: str) -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.end(order.client_order_id, ending, "the venue said so")
    recorded(account, broker)
    after = again(order)
    assert (after.status, after.error_code, after.error_message) == (ending, f"broker_{ending}", "the venue said so")
    assert after.closed_at is not None
    assert position_of(account).open_buy_quantity == 0
    assert_books_balance(account)


def test_an_order_accepted_and_then_rejected_releases_what_was_reserved() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.end(order.client_order_id, "rejected")
    recorded(account, broker)
    assert again(order).status == OrderStatus.REJECTED
    assert position_of(account).open_order_count == 0


def test_an_end_that_is_told_twice_is_one_step() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.end(order.client_order_id, "canceled")
    broker.tell("expired", order.client_order_id)
    recorded(account, broker)
    assert statuses(order) == ["pending", "submitted", "accepted", "canceled"]


def test_an_overfill_is_refused_kept_whole_and_restricts_the_name() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.fill(order.client_order_id, "10")
    told = broker.fill(order.client_order_id, "1")
    recorded(account, broker)
    refused = RefusedReport.objects.get()
    assert refused.reason == "overfill: 11 of 10"
    assert refused.payload["broker_execution_id"] == told.broker_execution_id
    assert again(order).filled_quantity == 10
    assert RestrictedInstrument.objects.filter(instrument__symbol="AAPL", lifted_at=None).count() == 1
    assert_books_balance(account)


def test_58_a_report_of_an_order_that_its_broker_does_not_know_yet_waits_for_half_a_minute() -> None:
    account, broker = desk(mode="alpaca_paper")
    Account.objects.filter(pk=account.pk).update(reconciliation="clean")
    account.refresh_from_db()
    order = accepted_order(account, broker)
    told = broker.fill(order.client_order_id, "1")
    now = account.feed.market_now(WALL_NOW)
    broker.reports[-1] = replace(told, client_order_id="somebody else's", broker_order_id="theirs", at=now)
    assert (recorded(account, broker), RefusedReport.objects.count()) == (0, 0)
    broker.reports[-1] = replace(broker.reports[-1], at=now - LAG)
    assert recorded(account, broker) == 1
    assert RefusedReport.objects.get().reason == "unknown_order"


def test_a_report_of_an_unknown_order_is_kept_and_the_next_is_booked() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    stranger = replace(broker.fill(order.client_order_id, "1"), client_order_id="somebody else's")
    broker.reports[-1] = stranger
    broker.fill(order.client_order_id, "2")
    assert recorded(account, broker) == 2
    assert RefusedReport.objects.get().reason == "unknown_order"
    assert again(order).filled_quantity == 2


@pytest.mark.parametrize(
    "nonsense",
    [
        {"broker_execution_id": None},
        {"broker_execution_id": ""},
        {"quantity": None},
        {"price": None},
        {"quantity": D(0)},
        {"quantity": D(-1)},
        {"quantity": D("NaN")},
        {"quantity": D("1E-9")},
        {"quantity": D("1E+12")},
        {"price": D(0)},
        {"price": D("-1")},
        {"price": D("Infinity")},
        {"price": D("1E-9")},
        {"price": D("1E+12")},
        {"fee": D("NaN")},
        {"fee": D("1E+12")},
    ],
    ids=str,
)
def test_a_fill_that_makes_no_sense_is_refused_and_the_next_is_booked(nonsense: dict[str, object]) -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.fill(order.client_order_id, "1")
    broker.reports[-1] = replace(broker.reports[-1], **nonsense)
    broker.fill(order.client_order_id, "2")
    assert recorded(account, broker) == 2
    assert RefusedReport.objects.count() == 1
    assert again(order).filled_quantity == 2
    assert_books_balance(account)


def test_a_price_finer_than_the_ledger_is_booked_as_it_is_stored() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.fill(order.client_order_id, "3", "100.123456785", fee=D("0.123456785"))
    recorded(account, broker)
    fill = Fill.objects.get()
    assert (fill.price, fill.fee) == (D("100.12345678"), D("0.12345678"))
    assert_books_balance(account)


def test_a_fill_of_an_order_that_went_back_to_the_queue_is_booked() -> None:
    """A broker that was slow to show an order it had taken: the report proves that it was sent."""
    account, broker = desk()
    order = accepted_order_hidden(account, broker)
    assert again(order).status == OrderStatus.PENDING
    broker.fill(order.client_order_id, "10")
    assert recorded(account, broker) == 2
    assert statuses(order) == ["pending", "submitted", "pending", "submitted", "accepted", "filled"]
    assert_books_balance(account)


@pytest.mark.parametrize("ending", ["rejected", "canceled", "expired"])
def test_the_end_of_an_order_that_went_back_to_the_queue_is_booked(ending: str) -> None:
    account, broker = desk()
    order = accepted_order_hidden(account, broker)
    broker.end(order.client_order_id, ending)
    broker.reports.pop(0)
    broker.reports[0] = replace(broker.reports[0], sequence=1)
    recorded(account, broker)
    assert again(order).status == ending
    assert_books_balance(account)


def accepted_order_hidden(account: Account, broker: FakeBroker) -> Order:
    """Make an order that the broker took, without an answer, and then did not show when asked."""
    order = make_order(account)
    claim_pending(
        account=account, dry_run=False, wall_now=WALL_NOW - timedelta(seconds=60), market_at=MARKET_AT, limit=1
    )
    broker.submit(request_of(again(order)), at=MARKET_AT)
    broker.hidden.add(order.client_order_id)
    resolve_unanswered(account=account, broker=broker, wall_now=WALL_NOW)
    return order


def test_a_fill_of_an_order_that_was_sent_and_then_stopped_at_the_second_look_is_booked() -> None:
    account, broker = desk()
    order = accepted_order_hidden(account, broker)
    breaker.trip(scope=account.scope, reason="a test of the second look", operator="ann", now=WALL_NOW)
    dispatch(account, broker)
    assert again(order).status == OrderStatus.CANCELED
    broker.fill(order.client_order_id, "10")
    assert recorded(account, broker) == 2
    assert (again(order).status, position_of(account).quantity) == ("filled", 10)
    assert not RefusedReport.objects.filter(account=account).exists()
    assert_books_balance(account)


def test_a_fill_of_an_order_that_was_denied_is_kept_closes_the_account_and_stops_nothing() -> None:
    account, broker = desk()
    allow_bursts()
    order = accepted_order(account, broker)
    never_sent = make_order(account, client_order_id="never sent", quantity=D(11))
    breaker.trip(scope=account.scope, reason="a test of the second look", operator="ann", now=WALL_NOW)
    dispatch(account, broker)
    assert again(never_sent).status == OrderStatus.DENIED
    broker.fill(order.client_order_id, "1")
    broker.reports[-1] = replace(broker.reports[-1], client_order_id="never sent", broker_order_id="B-9")
    broker.fill(order.client_order_id, "2")
    assert recorded(account, broker) == 2
    assert RefusedReport.objects.get(account=account).payload["client_order_id"] == "never sent"
    assert RestrictedInstrument.objects.filter(instrument__symbol="AAPL", lifted_at=None).exists()
    account.refresh_from_db()
    assert account.reconciliation == Account.Reconciliation.BROKEN
    assert again(order).filled_quantity == 2
    assert_books_balance(account)


def test_a_fill_moves_cash_by_what_was_paid_and_by_the_fee() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.fill(order.client_order_id, "10", "100.50", fee=D("1.25"))
    recorded(account, broker)
    entries = CashEntry.objects.filter(account=account, fill__isnull=False).order_by("pk")
    assert [(entry.kind, entry.amount) for entry in entries] == [("trade", D(-1005)), ("fee", D("-1.25"))]
    account.refresh_from_db()
    assert account.cash == D(100_000) - D("1006.25")


def test_a_fill_without_a_fee_has_no_fee_entry() -> None:
    account, broker = desk()
    filled_order(account, broker)
    assert not CashEntry.objects.filter(account=account, kind="fee").exists()


def test_a_flip_realises_the_close_and_opens_the_rest() -> None:
    account, broker = desk()
    allow_bursts()
    filled_order(account, broker, price="100", client_order_id="buy")
    filled_order(account, broker, price="103", side="sell", quantity=D(25), client_order_id="flip")
    line = position_of(account)
    assert (line.quantity, line.cost_basis, line.realized_pnl) == (-15, D(-1545), D(30))
    assert_books_balance(account)


def test_a_late_report_does_not_turn_the_mark_back() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    line = position_of(account)
    line.current_price, line.current_price_at = D(104), MARKET_AT + timedelta(minutes=5)
    line.save()
    broker.fill(order.client_order_id, "10", "101", at=MARKET_AT + timedelta(minutes=1))
    recorded(account, broker)
    line.refresh_from_db()
    assert (line.current_price, line.current_price_at) == (104, MARKET_AT + timedelta(minutes=5))


def test_market_time_is_kept_to_the_microsecond() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    at = MARKET_AT + timedelta(seconds=1, microseconds=123456)
    broker.fill(order.client_order_id, "10", "101", at=at)
    recorded(account, broker)
    assert position_of(account).current_price_at == at
    assert Fill.objects.get().executed_at == at


def test_what_was_executed_belongs_to_its_session() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.fill(order.client_order_id, "10", at=MARKET_AT + timedelta(hours=8))
    recorded(account, broker)
    assert Fill.objects.get().trading_date.isoformat() == "2012-06-15"


@pytest.mark.parametrize("kind", ["fill", "canceled"])
def test_no_account_is_told_of_a_wrong_order(kind: str) -> None:
    """The same client_order_id in two accounts is two orders."""
    (one, broker), (two, _) = desk(), desk()
    mine = accepted_order(one, broker, client_order_id="same")
    other = make_order(two, client_order_id="same")
    if kind == "fill":
        broker.fill("same", "10")
    else:
        broker.end("same", "canceled")
    recorded(one, broker)
    assert again(mine).status == ("filled" if kind == "fill" else "canceled")
    assert again(other).status == OrderStatus.PENDING


def test_execution_refuses_what_is_no_number() -> None:
    report = BrokerReport(
        sequence=1, kind="fill", client_order_id="c", broker_order_id="b", at=MARKET_AT, cumulative_quantity=D(1)
    )
    with pytest.raises(OrderUnstorable, match="without execution id"):
        Execution.of(report)


@pytest.mark.django_db(transaction=True)
def test_recorders_at_once_book_once() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    for _ in range(5):
        broker.fill(order.client_order_id, "2", fee=D("0.01"))
    gate = Barrier(6)

    def record() -> int:
        connection.ensure_connection()
        gate.wait(30)
        return apply_reports(account=account, broker=broker, wall_now=WALL_NOW)

    answers = together(*[record] * 6)
    assert sum(answers) == 5
    assert Fill.objects.count() == 5
    assert OrderEvent.objects.filter(order=order, to_status="filled").count() == 1
    assert_books_balance(account)


@pytest.mark.django_db(transaction=True)
def test_control_recorders_without_the_accounts_lock_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    broker.fill(order.client_order_id, "10")
    gate = Barrier(4)
    locked = reports.Journal.lock

    def unlocked(**fields: object) -> object:
        journal = locked(**fields | {"orders": fields["orders"], "account_id": None})
        journal.account = Account.objects.get(pk=fields["account_id"])
        return journal

    def record() -> int:
        connection.ensure_connection()
        gate.wait(30)
        return apply_reports(account=account, broker=broker, wall_now=WALL_NOW)

    plain = reports._booked_executions

    def looked_up_by_all(*args: object) -> set[tuple[int, str]]:
        found = plain(*args)
        late.wait(30)
        return found

    late = Barrier(4)
    monkeypatch.setattr(reports.Journal, "lock", unlocked)
    monkeypatch.setattr("django.db.models.query.QuerySet.select_for_update", lambda self, **_: self._chain())
    monkeypatch.setattr(reports, "_booked_executions", looked_up_by_all)
    answers = together(*[record] * 4)
    assert sum(isinstance(answer, Exception) for answer in answers) >= 1
