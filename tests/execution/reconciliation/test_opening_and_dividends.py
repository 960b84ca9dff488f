"""What was before the book began is not booked, and a dividend that is in it since its ex-date is booked once."""

from datetime import date, datetime, timedelta

import pytest

from execution.brokers.base import BrokerActivity, BrokerOrder
from execution.models import Account, Break, CashActivity, CashEntry, Fill, Order
from execution.reconciliation.cash import unpaid_dividends
from execution.services.corporate_actions import apply_corporate_actions
from marketdata.models import CorporateAction, Instrument
from tests.execution.cases import (
    MARKET_AT,
    WALL_NOW,
    D,
    assert_books_balance,
    filled_order,
    position_of,
)
from tests.execution.reconciliation.test_runs import Runs, books, runs

__all__ = ["books", "runs"]
pytestmark = pytest.mark.django_db
EX_DATE = date(2012, 6, 15)


def theirs(runs: Runs, updated_at: datetime) -> None:
    """Let somebody else have bought ten shares with the same account, without a word."""
    runs.broker.orders["theirs"] = BrokerOrder(
        client_order_id="theirs",
        broker_order_id="B-theirs",
        symbol="AAPL",
        side="buy",
        quantity=D(10),
        status="filled",
        filled_quantity=D(10),
        average_fill_price=D(100),
        updated_at=updated_at,
    )
    runs.broker.held["AAPL"] = D(10)


def test_an_order_of_others_that_was_over_when_the_book_began_is_a_transfer_in_kind(runs: Runs) -> None:
    opened = CashEntry.objects.get(account=runs.account, reference="opening").market_at
    theirs(runs, opened - timedelta(hours=1))
    runs.broker.cash = D(100_000)  # which the purchase is taken off already
    assert runs(3).state == "clean"
    external = position_of(runs.account, strategy="EXTERNAL")
    account = Account.objects.get(pk=runs.account.pk)
    assert (external.quantity, account.cash, Fill.objects.filter(account=account).count()) == (10, 100_000, 1)
    assert not Break.objects.filter(kind="cash").exists()
    assert_books_balance(account)


def test_control_without_the_look_at_the_opening_its_cash_is_booked_twice(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = CashEntry.objects.get(account=runs.account, reference="opening").market_at
    monkeypatch.setattr("execution.reconciliation.runs.opened_at", lambda account: opened - timedelta(days=1))
    theirs(runs, opened - timedelta(hours=1))
    runs.broker.cash = D(100_000)
    runs(4)
    assert Account.objects.get(pk=runs.account.pk).cash == 99_000


def test_an_order_of_others_that_filled_since_is_adopted_with_its_fills(runs: Runs) -> None:
    opened = CashEntry.objects.get(account=runs.account, reference="opening").market_at
    theirs(runs, opened + timedelta(minutes=1))
    runs.broker.cash = D(99_000)
    assert runs(4).state == "clean"
    account = Account.objects.get(pk=runs.account.pk)
    assert (position_of(account, strategy="EXTERNAL").quantity, account.cash) == (10, 99_000)
    assert Order.objects.filter(account=account, client_order_id="theirs").exists()
    assert not Break.objects.filter(state__in=("open", "suspected")).exists()


def dividend(runs: Runs, per_share: str = "0.50") -> None:
    """Hold ten shares over an ex-date, and let the book have its dividend."""
    filled_order(runs.account, runs.broker)
    account = Account.objects.select_related("feed").get(pk=runs.account.pk)
    account.feed.market_at = MARKET_AT + timedelta(days=1)
    account.feed.save()
    instrument = Instrument.objects.get(symbol="AAPL")
    CorporateAction.objects.create(
        instrument=instrument, ex_date=EX_DATE, kind="dividend", source="test", cash_amount=D(per_share)
    )
    apply_corporate_actions(account=account, day=EX_DATE, wall_now=WALL_NOW)


def paid(amount: str) -> BrokerActivity:
    at = MARKET_AT + timedelta(days=15)
    return BrokerActivity(activity_id="div-1", kind="DIV", means="dividend", amount=D(amount), at=at, symbol="AAPL")


def test_98_a_dividend_that_is_in_the_book_since_its_ex_date_is_not_booked_again_when_it_is_paid(runs: Runs) -> None:
    dividend(runs)
    account = Account.objects.get(pk=runs.account.pk)
    assert (account.cash, unpaid_dividends(account)) == (D(99_005), 5)
    runs.broker.cash = D(99_000)
    assert (runs(2).cash_difference, Break.objects.count()) == (0, 0)  # not paid yet is no difference
    runs.broker.cash, runs.broker.moved = D(99_005), [paid("5.00")]
    assert runs().booked == 1
    assert runs().cash_difference == 0
    account = Account.objects.get(pk=runs.account.pk)
    assert (account.cash, unpaid_dividends(account)) == (D(99_005), 0)
    told = CashActivity.objects.get()
    assert (told.entry, told.matches) == (None, CashEntry.objects.get(account=account, kind="dividend"))
    assert_books_balance(account)


def test_98_a_dividend_that_the_book_does_not_have_is_booked_when_it_is_paid(runs: Runs) -> None:
    filled_order(runs.account, runs.broker)
    runs.broker.cash, runs.broker.moved = D(99_005), [paid("5.00")]
    assert runs(2).cash_difference == 0
    entry = CashEntry.objects.get(account=runs.account, kind="dividend")
    assert (entry.amount, entry.strategy) == (5, None)
    assert_books_balance(Account.objects.get(pk=runs.account.pk))
