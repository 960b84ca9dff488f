"""One execution on locked rows: average price, status, cash, and what it needs."""

from decimal import Decimal

import pytest
from django.db.models import Q

from execution.brokers.base import BrokerReport
from execution.errors import OrderUnstorable
from execution.models import Fill, Order
from execution.services.booking import Execution, book_execution, book_status, learn_broker_id
from execution.services.journal import Journal
from execution.states import OrderStatus
from tests.execution.cases import MARKET_AT, WALL_NOW, D, accepted_order, again, assert_books_balance, desk
from tests.factories import make_account, make_order

pytestmark = pytest.mark.django_db
DAY = MARKET_AT.date()


def locked(order: Order) -> tuple[Journal, Order]:
    journal = Journal.lock(orders=Q(pk=order.pk), market_at=MARKET_AT, wall_now=WALL_NOW, account_id=order.account_id)
    return journal, journal.orders[order.pk]


def execution(quantity: str, price: str = "100", fee: str = "0", number: str = "e") -> Execution:
    return Execution(number, D(quantity), D(price), D(fee))


def book(order: Order, *executions: Execution) -> Order:
    journal, row = locked(order)
    for one in executions:
        book_execution(journal, row, one, trading_date=DAY)
    journal.save()
    assert journal.account is not None
    journal.account.save(update_fields=["cash"])
    return again(order)


def test_the_average_price_is_weighted_by_shares() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    after = book(order, execution("3", "100", number="a"), execution("1", "104", number="b"))
    assert (after.average_fill_price, after.filled_quantity, after.status) == (101, 4, "partially_filled")
    assert_books_balance(account)


def test_the_last_share_makes_it_filled() -> None:
    account, broker = desk()
    after = book(accepted_order(account, broker), execution("10"))
    assert (after.status, after.closed_at, after.leaves_quantity) == ("filled", WALL_NOW, 0)


def test_more_than_was_ordered_is_not_booked() -> None:
    account, broker = desk()
    journal, row = locked(accepted_order(account, broker))
    with pytest.raises(OrderUnstorable, match=r"overfill: 10\.5 of 10"):
        book_execution(journal, row, execution("10.5"), trading_date=DAY)
    assert (journal.fills, journal.cash, journal.events) == ([], [], [])


def test_a_fill_needs_the_accounts_lock() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    journal = Journal.lock(orders=Q(pk=order.pk), market_at=MARKET_AT, wall_now=WALL_NOW)
    with pytest.raises(ValueError, match="the account's lock"):
        book_execution(journal, journal.orders[order.pk], execution("1"), trading_date=DAY)


def test_what_a_fill_realises_is_kept_with_it() -> None:
    account, broker = desk()
    book(accepted_order(account, broker, client_order_id="in"), execution("10", "100", number="a"))
    sale = accepted_order(account, broker, side="sell", quantity=D(4), client_order_id="out")
    book(sale, execution("4", "102.5", "0.02", number="b"))
    fill = Fill.objects.get(broker_execution_id="b")
    assert (fill.realized_pnl, fill.fee, fill.side) == (10, D("0.02"), "sell")
    assert_books_balance(account)


def report(**fields: object) -> BrokerReport:
    values = {
        "sequence": 1,
        "kind": "fill",
        "client_order_id": "c",
        "broker_order_id": "b",
        "at": MARKET_AT,
        "cumulative_quantity": D(1),
        "broker_execution_id": "e",
        "quantity": D(1),
        "price": D(100),
    }
    return BrokerReport(**values | fields)


@pytest.mark.parametrize(("given", "taken"), [(None, D(0)), (D("-0.25"), D("-0.25")), (D("1E-9"), D(0))], ids=str)
def test_a_fee_may_be_missing_or_a_rebate(given: Decimal | None, taken: Decimal) -> None:
    assert Execution.of(report(fee=given)).fee == taken


def test_the_first_broker_id_stays() -> None:
    account, broker = desk()
    journal, row = locked(accepted_order(account, broker))
    learn_broker_id(journal, row, "another")
    assert row.broker_order_id == "B-1"
    learn_broker_id(journal, row, "")
    assert row.broker_order_id == "B-1"


def test_a_report_of_a_waiting_order_proves_that_it_was_sent() -> None:
    order = make_order(make_account())
    journal, row = locked(order)
    learn_broker_id(journal, row, "B-9")
    journal.save()
    after = again(order)
    assert (after.status, after.broker_order_id, after.submitted_at) == ("submitted", "B-9", WALL_NOW)


@pytest.mark.parametrize("kind", ["accepted", "cancel_rejected"])
def test_a_status_that_says_nothing_new_leaves_no_event(kind: str) -> None:
    account, broker = desk()
    journal, row = locked(accepted_order(account, broker))
    book_status(journal, row, report(kind=kind))
    assert (journal.events, row.status) == ([], OrderStatus.ACCEPTED)
