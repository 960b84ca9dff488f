"""Splits and dividends reach what was held before the ex-date, once, however often they are applied."""

from datetime import UTC, date, datetime, timedelta
from threading import Barrier

import pytest
from django.db import connection

from execution.models import Account, CashEntry, Order, PositionAdjustment
from execution.services.corporate_actions import apply_corporate_actions
from execution.states import OrderStatus
from marketdata.models import CorporateAction, Instrument
from risk.types import OrderType, Side, TimeInForce
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
)
from tests.execution.fake_broker import FakeBroker
from tests.factories import allow, allow_bursts, make_instrument, make_quote, make_strategy, submit
from tests.risk.threads import together

EX_DATE = date(2012, 6, 15)
MORNING = datetime(2012, 6, 15, 13, 0, tzinfo=UTC)  # half an hour before the open

pytestmark = pytest.mark.django_db


def action(kind: str, value: str, symbol: str = "AAPL", day: date = EX_DATE) -> CorporateAction:
    name = "ratio" if kind == "split" else "cash_amount"
    instrument = Instrument.objects.get(symbol=symbol)
    return CorporateAction.objects.create(
        instrument=instrument, ex_date=day, kind=kind, source="test", **{name: D(value)}
    )


def set_time(account: Account, moment: datetime) -> None:
    account.feed.market_at = moment
    account.feed.save()


def apply(account: Account, day: date = EX_DATE) -> list[PositionAdjustment]:
    return apply_corporate_actions(account=account, day=day, wall_now=WALL_NOW)


def held(quantity: str, *, side: Side = Side.BUY) -> tuple[Account, FakeBroker]:
    """Hold AAPL since the day before the ex-date, and let the morning of the ex-date begin."""
    account, broker = desk()
    allow_bursts()
    filled_order(account, broker, quantity=D(quantity), side=side, client_order_id="held")
    set_time(account, MORNING)
    return account, broker


def test_a_split_multiplies_the_shares_and_leaves_the_cost() -> None:
    account, _broker = held("90")
    action("split", "2")
    (adjustment,) = apply(account)
    line = position_of(account)
    assert (line.quantity, line.cost_basis, line.current_price) == (180, 9000, 50)
    assert (adjustment.quantity_before, adjustment.quantity_after, adjustment.cash_amount) == (90, 180, 0)
    assert account.cash == 100_000
    assert_books_balance(account)


def test_a_reverse_split_keeps_parts_of_a_share() -> None:
    account, _broker = held("35")
    action("split", "0.1")
    apply(account)
    assert position_of(account).quantity == D("3.5")
    assert_books_balance(account)


def test_a_split_of_a_short_multiplies_what_is_owed() -> None:
    account, _broker = held("90", side=Side.SELL)
    action("split", "2")
    apply(account)
    line = position_of(account)
    assert (line.quantity, line.cost_basis) == (-180, -9000)
    assert_books_balance(account)


def test_a_dividend_is_received_on_a_long() -> None:
    account, _broker = held("90")
    action("dividend", "0.75")
    (adjustment,) = apply(account)
    assert adjustment.cash_amount == D("67.5")
    assert position_of(account).dividends == D("67.5")
    account.refresh_from_db()
    assert account.cash == D(100_000) - 9000 + D("67.5")
    entry = CashEntry.objects.get(account=account, kind="dividend")
    assert (entry.amount, entry.trading_date, entry.strategy.name) == (D("67.5"), EX_DATE, "manual")
    assert_books_balance(account)


def test_a_dividend_is_paid_on_a_short() -> None:
    account, _broker = held("90", side=Side.SELL)
    action("dividend", "0.75")
    apply(account)
    assert position_of(account).dividends == D("-67.5")
    account.refresh_from_db()
    assert account.cash == D(100_000) + 9000 - D("67.5")
    assert_books_balance(account)


@pytest.mark.parametrize(("kind", "value"), [("split", "2"), ("dividend", "0.75")])
def test_an_action_is_applied_once(kind: str, value: str) -> None:
    account, _broker = held("90")
    action(kind, value)
    assert len(apply(account)) == 1
    before = (position_of(account).quantity, Account.objects.get(pk=account.pk).cash)
    assert apply(account) == []
    assert (position_of(account).quantity, Account.objects.get(pk=account.pk).cash) == before
    assert_books_balance(account)


@pytest.mark.parametrize(("kind", "value"), [("split", "2"), ("dividend", "0.75")])
def test_shares_bought_on_the_ex_date_are_not_touched_when_it_is_applied_again(kind: str, value: str) -> None:
    account, broker = desk()
    action(kind, value)
    set_time(account, MORNING)
    assert apply(account) == []
    set_time(account, MARKET_AT + timedelta(days=1))
    make_quote(account.feed, at=account.feed.market_at)
    order = accepted_order(account, broker, quantity=D(40))
    broker.fill(order.client_order_id, "40", "50", at=account.feed.market_at)
    recorded(account, broker)
    assert apply(account) == []
    line = position_of(account)
    assert (line.quantity, line.current_price, line.dividends) == (40, 50, 0)
    assert_books_balance(account)


def test_a_split_applied_late_multiplies_only_what_was_held_before() -> None:
    allow(daily_loss_pct=100, weekly_loss_pct=100)  # half the value is gone until the split is in the book
    account, broker = held("90")
    action("split", "2")
    set_time(account, MARKET_AT + timedelta(days=1))
    make_quote(account.feed, last="50", at=account.feed.market_at)
    order = accepted_order(account, broker, quantity=D(40), client_order_id="today")
    broker.fill(order.client_order_id, "40", "50", at=account.feed.market_at)
    recorded(account, broker)
    (adjustment,) = apply(account)
    line = position_of(account)
    assert (line.quantity, line.current_price) == (220, 50)
    assert (adjustment.quantity_before, adjustment.quantity_after) == (130, 220)
    assert_books_balance(account)


def test_a_dividend_applied_late_is_of_what_was_held_before() -> None:
    account, broker = held("90")
    action("dividend", "1")
    set_time(account, MARKET_AT + timedelta(days=1))
    make_quote(account.feed, at=account.feed.market_at)
    order = accepted_order(account, broker, side=Side.SELL, quantity=D(90), client_order_id="out")
    broker.fill(order.client_order_id, "90", at=account.feed.market_at)
    recorded(account, broker)
    assert position_of(account).quantity == 0
    apply(account)
    assert position_of(account).dividends == 90
    assert_books_balance(account)


def test_a_flat_line_gets_nothing() -> None:
    account, broker = desk()
    allow_bursts()
    filled_order(account, broker, client_order_id="in")
    filled_order(account, broker, side=Side.SELL, client_order_id="out")
    set_time(account, MORNING)
    action("dividend", "1")
    action("split", "2")
    assert apply(account) == []


def test_an_action_of_another_name_another_day_or_another_account_touches_nothing() -> None:
    (account, _broker), (other, _) = held("90"), held("10")
    make_instrument("IBM")
    action("split", "2", symbol="IBM")
    action("split", "2", day=date(2012, 6, 18))
    assert apply(account) == []
    action("dividend", "1")
    apply(account)
    assert position_of(other).dividends == 0
    assert apply(account, date(2012, 6, 14)) == []


def test_a_split_and_a_dividend_of_one_day_are_both_applied() -> None:
    account, _broker = held("90")
    action("split", "2")
    action("dividend", "1")
    assert len(apply(account)) == 2
    line = position_of(account)
    assert (line.quantity, line.dividends) == (180, 180)
    assert apply(account) == []
    assert_books_balance(account)


def test_every_strategy_gets_its_own_part() -> None:
    account, broker = desk()
    allow_bursts()
    make_strategy("momentum")
    filled_order(account, broker, quantity=D(30), client_order_id="a")
    filled_order(account, broker, strategy="momentum", side=Side.SELL, quantity=D(10), client_order_id="b")
    set_time(account, MORNING)
    action("dividend", "2")
    assert len(apply(account)) == 2
    assert [position_of(account, strategy=name).dividends for name in ("manual", "momentum")] == [60, -20]
    assert_books_balance(account)


# Orders that were decided on in old shares

LIMIT = {"order_type": OrderType.LIMIT, "limit_price": D(95), "time_in_force": TimeInForce.GTC}


def test_a_split_cancels_orders_of_old_shares() -> None:
    account, broker = desk()
    allow_bursts()
    sent = accepted_order(account, broker, client_order_id="sent", **LIMIT)
    unsent = make_order(account, client_order_id="unsent", **LIMIT)
    other = make_order(account, symbol=_other(account), client_order_id="other")
    set_time(account, MORNING)
    action("split", "2")
    apply(account)
    assert [again(order).status for order in (sent, unsent, other)] == ["pending_cancel", "canceled", "pending"]
    assert dispatch(account, broker).cancels_sent == 1
    assert_books_balance(account)


def _other(account: Account) -> str:
    make_instrument("IBM")
    make_quote(account.feed, "IBM")
    return "IBM"


def test_a_dividend_cancels_nothing() -> None:
    account, broker = desk()
    order = accepted_order(account, broker, **LIMIT)
    set_time(account, MORNING)
    action("dividend", "1")
    apply(account)
    assert again(order).status == OrderStatus.ACCEPTED


def test_orders_of_new_shares_stay_when_a_split_is_applied_again() -> None:
    account, _broker = held("90")
    action("split", "2")
    apply(account)
    make_quote(account.feed, last="50", at=MORNING)
    result = submit(account, client_order_id="new", time_in_force=TimeInForce.OPG)
    assert result.order is not None
    apply(account)
    assert again(result.order).status == OrderStatus.PENDING


@pytest.mark.parametrize("ratio", ["2", "0.5", "0.1"])
@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_orders_that_are_still_open_at_the_broker_do_not_stop_a_split(side: Side, ratio: str) -> None:
    allow(max_position_notional=1_000_000, max_gross_notional=1_000_000)
    account, broker = held("90", side=side)
    Account.objects.update(margin_multiplier=4)
    set_time(account, MARKET_AT)
    prices = {Side.BUY: D(95), Side.SELL: D(105)}
    for each in Side:
        accepted_order(
            account,
            broker,
            side=each,
            quantity=D(900),
            client_order_id=f"open {each}",
            order_type=OrderType.LIMIT,
            limit_price=prices[each],
            time_in_force=TimeInForce.GTC,
        )
    set_time(account, MORNING)
    action("split", ratio)
    apply(account)
    assert position_of(account).quantity == D(90) * D(ratio) * (1 if side == Side.BUY else -1)
    assert Order.objects.filter(status="pending_cancel").count() == 2
    assert_books_balance(account)


@pytest.mark.django_db(transaction=True)
def test_an_action_applied_at_once_by_many_is_applied_once() -> None:
    account, _broker = held("90")
    action("split", "2")
    action("dividend", "1")
    gate = Barrier(4)

    def run() -> int:
        connection.ensure_connection()
        gate.wait(30)
        return len(apply(Account.objects.select_related("feed").get(pk=account.pk)))

    assert sorted(together(*[run] * 4)) == [0, 0, 0, 2]
    assert position_of(account).quantity == 180
    assert_books_balance(account)


def test_a_day_without_actions_costs_one_query(django_assert_num_queries) -> None:
    account, _broker = held("90")
    with django_assert_num_queries(1):
        assert apply(account) == []
