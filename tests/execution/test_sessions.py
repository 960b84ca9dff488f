"""Closing a session: marks, results, and an equity that adds up on every day."""

from datetime import date, timedelta
from decimal import Decimal
from threading import Barrier, Event

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Sum
from django.db.models.query import QuerySet

from execution.models import Account, AccountDay, Position, StrategyDay
from execution.services import sessions
from execution.services.corporate_actions import apply_corporate_actions
from execution.services.sessions import close_session, mark_positions
from execution.signals import session_closed
from marketdata import calendar
from marketdata.models import CorporateAction
from risk.types import Side
from tests.execution.cases import (
    MARKET_AT,
    WALL_NOW,
    D,
    accepted_order,
    assert_books_balance,
    desk,
    filled_order,
    position_of,
    recorded,
    wait_until_somebody_waits,
)
from tests.execution.fake_broker import FakeBroker
from tests.factories import allow_bursts, make_account, make_instrument, make_quote, make_strategy
from tests.risk.threads import together

pytestmark = pytest.mark.django_db

THURSDAY, FRIDAY, MONDAY = date(2012, 6, 14), date(2012, 6, 15), date(2012, 6, 18)


def at(account: Account, moment: object) -> None:
    account.feed.market_at = moment
    account.feed.save()


def close(account: Account, day: date = THURSDAY, last: str | None = None) -> AccountDay:
    """Print a close and close the day."""
    at(account, calendar.session_close(day))
    if last is not None:
        make_quote(account.feed, last=last, at=account.feed.market_at)
    return close_session(account=account, day=day, wall_now=WALL_NOW)


def assert_every_day_adds_up(account: Account) -> None:
    """equity = starting cash + realised so far + unrealised - fees so far, on every closed day, and by strategy."""
    realized = fees = D(0)
    for day in AccountDay.objects.filter(account=account).order_by("date"):
        realized, fees = realized + day.realized_pnl, fees + day.fees
        assert day.equity == account.starting_cash + realized + day.unrealized_pnl - fees
        assert day.equity == day.cash + day.net_exposure
        parts = StrategyDay.objects.filter(account=account, date=day.date)
        for name in ("realized_pnl", "unrealized_pnl", "fees", "dividends", "pnl", "turnover", "order_count"):
            assert (parts.aggregate(total=Sum(name))["total"] or 0) == getattr(day, name)


def test_a_day_without_trades_closes_at_the_starting_cash() -> None:
    day = close(make_account())
    assert (day.equity, day.cash, day.pnl, day.peak_equity) == (100_000, 100_000, 0, 100_000)
    assert StrategyDay.objects.count() == 0


def test_what_is_held_is_marked_at_the_close() -> None:
    account, broker = desk()
    filled_order(account, broker, price="100")
    day = close(account, last="104")
    assert (day.equity, day.unrealized_pnl, day.pnl) == (100_040, 40, 40)
    assert (day.gross_exposure, day.net_exposure, day.turnover) == (1040, 1040, 1000)
    assert (day.order_count, day.fill_count) == (1, 1)
    assert day.closed_at == calendar.session_close(THURSDAY)
    assert position_of(account).current_price == 104
    assert_every_day_adds_up(account)


def test_a_day_is_closed_once() -> None:
    account, broker = desk()
    filled_order(account, broker)
    first = close(account, last="104")
    make_quote(account.feed, last="90", at=account.feed.market_at)
    again = close_session(account=account, day=THURSDAY, wall_now=WALL_NOW)
    assert again == first
    assert again.equity == 100_040
    assert (AccountDay.objects.count(), StrategyDay.objects.count()) == (1, 1)


def test_days_add_up_over_trades_fees_shorts_and_dividends() -> None:
    account, broker = desk()
    allow_bursts()
    make_strategy("momentum")
    order = accepted_order(account, broker, quantity=D(100), client_order_id="1")
    broker.fill(order.client_order_id, "60", "100.01", fee=D("0.35"))
    broker.fill(order.client_order_id, "40", "100.02", fee=D("0.20"))
    recorded(account, broker)
    other = accepted_order(account, broker, strategy="momentum", side=Side.SELL, quantity=D(30), client_order_id="2")
    broker.fill(other.client_order_id, "30", "99.98", fee=D("0.11"))
    recorded(account, broker)
    close(account, THURSDAY, last="101.37")

    at(account, MARKET_AT + timedelta(days=1))
    action = CorporateAction.objects.create(
        instrument=make_instrument(), ex_date=FRIDAY, kind="dividend", cash_amount=D("0.25"), source="test"
    )
    assert action.pk
    apply_corporate_actions(account=account, day=FRIDAY, wall_now=WALL_NOW)
    make_quote(account.feed, last="101", at=account.feed.market_at)
    sale = accepted_order(account, broker, side=Side.SELL, quantity=D(55), client_order_id="3")
    broker.fill(sale.client_order_id, "55", "102.05", fee=D("0.07"), at=account.feed.market_at)
    recorded(account, broker)
    friday = close(account, FRIDAY, last="102.11")
    assert friday.dividends == D("0.25") * 70
    close(account, MONDAY, last="99.99")
    assert AccountDay.objects.count() == 3
    assert_every_day_adds_up(account)
    assert_books_balance(account)


def test_a_fill_that_is_reported_after_its_day_was_closed_is_in_the_next() -> None:
    account, broker = desk()
    allow_bursts()
    filled_order(account, broker, client_order_id="held")
    sale = accepted_order(account, broker, side=Side.SELL, client_order_id="sale")
    close(account, THURSDAY, last="104")
    broker.fill(sale.client_order_id, "10", "103", fee=D("0.5"), at=MARKET_AT + timedelta(hours=1))
    recorded(account, broker)
    close(account, FRIDAY, last="105")
    assert_every_day_adds_up(account)


def test_a_session_that_nobody_closed_is_in_the_next_one_that_is() -> None:
    account, broker = desk()
    allow_bursts()
    filled_order(account, broker, client_order_id="bought")
    sale = accepted_order(account, broker, side=Side.SELL, client_order_id="sale")
    broker.fill(sale.client_order_id, "4", "107", fee=D("0.5"))
    recorded(account, broker)
    close(account, FRIDAY, last="105")
    assert_every_day_adds_up(account)


def test_the_peak_never_falls() -> None:
    account, broker = desk()
    filled_order(account, broker)
    assert [close(account, day, last).peak_equity for day, last in ((THURSDAY, "110"), (FRIDAY, "90"))] == [100_100] * 2


def test_a_result_counts_from_the_close_before() -> None:
    account, broker = desk()
    filled_order(account, broker)
    results = [close(account, day, last).pnl for day, last in ((THURSDAY, "110"), (FRIDAY, "90"), (MONDAY, "95"))]
    assert results == [100, -200, 50]
    assert_every_day_adds_up(account)


def test_a_strategy_that_is_flat_again_has_a_line_of_its_own() -> None:
    account, broker = desk()
    allow_bursts()
    filled_order(account, broker, price="100", client_order_id="in")
    filled_order(account, broker, price="103", side=Side.SELL, client_order_id="out")
    close(account)
    line = StrategyDay.objects.get()
    assert (line.realized_pnl, line.unrealized_pnl, line.turnover, line.fill_count) == (30, 0, 2030, 2)


def test_orders_without_fills_are_counted() -> None:
    account, broker = desk()
    accepted_order(account, broker)
    assert close(account).order_count == 1


def test_a_quote_after_the_close_marks_nothing() -> None:
    account, broker = desk()
    filled_order(account, broker)
    make_quote(account.feed, last="50", at=calendar.session_close(THURSDAY) + timedelta(seconds=1))
    at(account, calendar.session_close(THURSDAY) + timedelta(hours=1))
    assert close_session(account=account, day=THURSDAY, wall_now=WALL_NOW).equity == 100_000


def test_marks_do_not_go_back_and_flat_lines_have_none() -> None:
    account, broker = desk()
    allow_bursts()
    filled_order(account, broker)
    make_quote(account.feed, last="101", at=MARKET_AT + timedelta(seconds=1))
    assert mark_positions(account=account, market_at=MARKET_AT) == 0
    assert mark_positions(account=account, market_at=MARKET_AT + timedelta(seconds=1)) == 1
    assert mark_positions(account=account, market_at=MARKET_AT + timedelta(seconds=1)) == 0


@pytest.mark.django_db(transaction=True)
def test_closing_at_once_closes_once() -> None:
    account, broker = desk()
    filled_order(account, broker)
    gate = Barrier(4)

    def run() -> int:
        connection.ensure_connection()
        gate.wait(30)
        return close(Account.objects.select_related("feed").get(pk=account.pk)).pk

    answers = together(*[run] * 4)
    assert len(set(answers)) == 1
    assert (AccountDay.objects.count(), StrategyDay.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_control_without_the_accounts_lock_two_closings_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    account, broker = desk()
    filled_order(account, broker)
    at(account, calendar.session_close(THURSDAY))
    both_have_looked, sums = Barrier(2), sessions._day_sums
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self._chain())
    monkeypatch.setattr(sessions, "_day_sums", lambda *args: (both_have_looked.wait(30), sums(*args))[1])

    def run() -> AccountDay:
        return close_session(account=account, day=THURSDAY, wall_now=WALL_NOW)

    answers = together(run, run)
    assert sum(isinstance(answer, IntegrityError) for answer in answers) == 1


@pytest.mark.django_db(transaction=True)
def test_the_close_is_told_once_after_the_commit() -> None:
    account = make_account()
    heard: list[tuple[int, date]] = []

    def listen(sender: object, account_id: int, date: date, **_: object) -> None:
        heard.append((account_id, date))

    session_closed.connect(listen)
    try:
        with transaction.atomic():
            close(account)
            assert heard == []
        close(account)
    finally:
        session_closed.disconnect(listen)
    assert heard == [(account.pk, THURSDAY)]


def held_lines(account: Account, broker: FakeBroker) -> list[Position]:
    """Hold eight names whose rows were made in another order than their instruments."""
    allow_bursts()
    symbols = [f"L{number}" for number in range(8)]
    for symbol in symbols:
        make_instrument(symbol)
        make_quote(account.feed, symbol)
    for symbol in reversed(symbols):
        filled_order(account, broker, symbol=symbol, quantity=D(1))
    for symbol in symbols:
        make_quote(account.feed, symbol, "101", at=MARKET_AT + timedelta(seconds=1))
    return list(Position.objects.filter(account=account).order_by("pk"))


def mark_against_somebody_who_locks_rows(account: Account, rows: list[Position]) -> list[object]:
    holding = Event()

    def lock_all_in_order() -> None:
        with transaction.atomic():
            list(Position.objects.select_for_update(no_key=True).filter(pk=rows[0].pk))
            holding.set()
            wait_until_somebody_waits()
            for row in rows[1:]:
                list(Position.objects.select_for_update(no_key=True).filter(pk=row.pk))

    def mark() -> int:
        holding.wait(30)
        with transaction.atomic():
            return mark_positions(account=account, market_at=MARKET_AT + timedelta(seconds=1))

    return together(lock_all_in_order, mark)


@pytest.mark.django_db(transaction=True)
def test_marks_take_position_rows_in_the_order_everybody_does() -> None:
    account, broker = desk()
    rows = held_lines(account, broker)
    assert mark_against_somebody_who_locks_rows(account, rows) == [None, 8]


@pytest.mark.django_db(transaction=True)
def test_control_marks_that_take_rows_in_any_order_deadlock(monkeypatch: pytest.MonkeyPatch) -> None:
    account, broker = desk()
    rows = held_lines(account, broker)
    monkeypatch.setattr(
        sessions, "MARK_POSITIONS", sessions.MARK_POSITIONS.replace("ORDER BY p.id FOR", "ORDER BY p.id DESC FOR")
    )
    answers = mark_against_somebody_who_locks_rows(account, rows)
    assert sum(isinstance(answer, OperationalError) for answer in answers) == 1


def test_results_are_decimals_to_the_last_place() -> None:
    account, broker = desk()
    make_instrument(fractionable=True)
    order = accepted_order(account, broker, quantity=D("0.33333333"))
    broker.fill(order.client_order_id, "0.33333333", "100.37")
    recorded(account, broker)
    day = close(account, last="100.41")
    assert isinstance(day.equity, Decimal)
    assert_every_day_adds_up(account)
