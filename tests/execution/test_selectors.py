"""Reads of the book agree with each other and with what was written."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection

from execution import selectors
from execution.models import Account, Order, Position
from execution.services.cancels import request_cancel
from execution.services.claims import claim_pending
from execution.services.sessions import close_session
from marketdata import calendar
from marketdata.models import Quote
from risk.types import Side
from tests.execution.cases import (
    MARKET_AT,
    WALL_NOW,
    D,
    accepted_order,
    desk,
    filled_order,
    make_order,
    position_of,
    recorded,
)
from tests.factories import allow_bursts, make_account, make_instrument, make_quote, make_strategy

pytestmark = pytest.mark.django_db


def held(quantity: str = "10", **fields: Any) -> tuple[Account, Any]:
    account, broker = desk()
    allow_bursts()
    filled_order(account, broker, quantity=D(quantity), **fields)
    return account, broker


def test_a_new_account_is_all_cash() -> None:
    account = make_account()
    summary = selectors.account_summary(account, WALL_NOW)
    assert (summary.cash, summary.equity, summary.day_base_equity, summary.day_pnl) == (100_000, 100_000, 100_000, 0)
    assert (summary.buying_power, summary.drawdown, summary.names, summary.open_orders) == (200_000, 0, 0, 0)
    assert summary.trading_date == date(2012, 6, 14)


def test_what_is_held_is_valued_at_the_newest_price() -> None:
    account, _ = held(price="100")
    make_quote(account.feed, last="103")
    (line,) = selectors.positions(account, WALL_NOW)
    assert (line.strategy, line.symbol, line.quantity, line.average_price) == ("manual", "AAPL", 10, 100)
    assert (line.current_price, line.market_value, line.unrealized_pnl, line.is_stale) == (103, 1030, 30, False)
    summary = selectors.account_summary(account, WALL_NOW)
    assert (summary.equity, summary.day_pnl, summary.gross_exposure, summary.net_exposure) == (100_030, 30, 1030, 1030)
    assert (summary.names, summary.stale_marks) == (1, 0)


def test_without_a_newer_quote_the_last_known_price_counts() -> None:
    account, _ = held(price="101")
    Quote.objects.all().delete()
    (line,) = selectors.positions(account, WALL_NOW)
    assert (line.current_price, line.current_price_at) == (101, MARKET_AT)


def test_a_quote_of_the_future_counts_for_nothing() -> None:
    account, _ = held(price="101")
    Quote.objects.update(last=D(500), at=MARKET_AT + timedelta(hours=1))
    (line,) = selectors.positions(account, WALL_NOW)
    assert line.current_price == 101


@pytest.mark.parametrize(("seconds", "stale"), [(1800, False), (1801, True)])
def test_a_mark_is_stale_after_the_age_a_price_may_have(seconds: int, stale: bool) -> None:
    account, _ = held()
    account.feed.market_at = MARKET_AT + timedelta(seconds=seconds)
    account.feed.save()
    assert [line.is_stale for line in selectors.positions(account, WALL_NOW)] == [stale]
    assert selectors.account_summary(account, WALL_NOW).stale_marks == int(stale)


def test_flat_lines_are_shown_only_when_asked_for_or_while_orders_are_open() -> None:
    account, broker = held(client_order_id="in")
    filled_order(account, broker, side=Side.SELL, client_order_id="out")
    assert selectors.positions(account, WALL_NOW) == []
    assert len(selectors.positions(account, WALL_NOW, include_flat=True)) == 1
    make_order(account, client_order_id="open")
    assert [line.open_buy_quantity for line in selectors.positions(account, WALL_NOW)] == [10]


def test_sums_by_strategy_are_the_sums_of_the_lines() -> None:
    account, broker = held(price="100", client_order_id="a")
    make_strategy("momentum")
    make_instrument("IBM")
    make_quote(account.feed, "IBM", "50")
    filled_order(account, broker, strategy="momentum", symbol="IBM", side=Side.SELL, price="51", client_order_id="b")
    filled_order(account, broker, side=Side.SELL, price="104", quantity=D(4), client_order_id="c")
    pnl = selectors.realtime_pnl(account, WALL_NOW)
    assert set(pnl.by_strategy) == {"manual", "momentum"}
    assert pnl.by_strategy["manual"]["realized_pnl"] == 16
    assert pnl.by_strategy["momentum"]["unrealized_pnl"] == 10
    for name in ("realized_pnl", "unrealized_pnl", "dividends", "fees"):
        assert sum(sums[name] for sums in pnl.by_strategy.values()) == getattr(pnl.summary, name)
    assert sum(sums["gross"] for sums in pnl.by_strategy.values()) == pnl.summary.gross_exposure


def test_equity_is_the_identity_of_the_day() -> None:
    account, broker = held(price="100", client_order_id="in")
    sale = accepted_order(account, broker, side=Side.SELL, quantity=D(3), client_order_id="sale")
    broker.fill(sale.client_order_id, "3", "107.07", fee=D("0.03"))
    recorded(account, broker)
    summary = selectors.account_summary(account, WALL_NOW)
    assert summary.equity == 100_000 + summary.realized_pnl + summary.unrealized_pnl - summary.fees


def test_the_day_counts_from_the_close_before_and_the_drawdown_from_the_peak() -> None:
    account, _ = held(price="100")
    account.feed.market_at = calendar.session_close(date(2012, 6, 14))
    account.feed.save()
    make_quote(account.feed, last="200", at=account.feed.market_at)
    close_session(account=account, day=date(2012, 6, 14), wall_now=WALL_NOW)
    account.feed.market_at += timedelta(hours=18)
    account.feed.save()
    make_quote(account.feed, last="150", at=account.feed.market_at)
    summary = selectors.account_summary(account, WALL_NOW)
    assert (summary.day_base_equity, summary.day_pnl) == (101_000, -500)
    assert summary.drawdown == D(500) / D(101_000)
    assert [day.equity for day in selectors.daily_performance(account)] == [101_000]
    assert [day.pnl for day in selectors.daily_performance(account, strategy="manual")] == [1_000]


@pytest.mark.parametrize(
    ("start", "end", "found"), [(14, 14, 1), (None, 13, 0), (15, None, 0), (None, None, 1)], ids=str
)
def test_performance_of_a_period(start: int | None, end: int | None, found: int) -> None:
    account = make_account()
    account.feed.market_at = calendar.session_close(date(2012, 6, 14))
    account.feed.save()
    close_session(account=account, day=date(2012, 6, 14), wall_now=WALL_NOW)
    first, last = (None if day is None else date(2012, 6, day) for day in (start, end))
    assert len(selectors.daily_performance(account, start=first, end=last)) == found


def test_cash_and_positions_are_of_one_moment() -> None:
    """A fill that is booked between two reads must not look like money that came or went."""
    for moment in range(8):
        account, broker = desk()
        order = accepted_order(account, broker)
        reads = 0

        def book_before(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
            nonlocal reads
            reads += 1
            if reads == moment + 1:  # noqa: B023 -- used up within the round
                broker.fill(order.client_order_id, "10", "100")  # noqa: B023
                recorded(account, broker)  # noqa: B023
            return execute(sql, params, many, context)

        with connection.execute_wrapper(book_before):
            summary = selectors.account_summary(account, WALL_NOW)
        assert summary.equity == 100_000, f"torn before read {moment}"


def test_the_desks_account_is_named_after_its_mode() -> None:
    account = make_account(name="paper")
    make_account(name="other")
    assert selectors.desk_account("paper") == account
    assert selectors.desk_account("alpaca_live") is None
    Account.objects.filter(pk=account.pk).update(kind="replay")
    assert selectors.desk_account("paper") is None


def test_open_orders_are_those_that_may_still_trade_newest_first() -> None:
    account, broker = desk()
    allow_bursts()
    first = accepted_order(account, broker, client_order_id="1")
    over = accepted_order(account, broker, client_order_id="2")
    broker.end("2", "canceled")
    recorded(account, broker)
    last = make_order(account, client_order_id="3")
    assert list(selectors.open_orders(account)) == [last, first]
    assert over not in selectors.open_orders(account)


def test_outcomes_that_stay_unknown_are_found_by_their_age() -> None:
    account, _broker = desk()
    allow_bursts()
    order, canceled = make_order(account, client_order_id="1"), make_order(account, client_order_id="2")
    claim_pending(account=account, dry_run=False, wall_now=WALL_NOW, market_at=MARKET_AT, limit=10)
    request_cancel(order=Order.objects.get(pk=canceled.pk), operator="ann", wall_now=WALL_NOW)

    def unknown(seconds: int) -> set[Order]:
        now = WALL_NOW + timedelta(seconds=seconds)
        return set(selectors.unknown_outcomes(account, wall_now=now, older_than=timedelta(seconds=30)))

    assert unknown(30) == set()
    assert unknown(31) == {order, canceled}


def test_net_shares_are_summed_over_strategies_and_flat_names_are_left_out() -> None:
    account, broker = held("10", client_order_id="a")
    make_strategy("momentum")
    filled_order(account, broker, strategy="momentum", side=Side.SELL, quantity=D(4), client_order_id="b")
    assert selectors.net_quantities(account) == {"AAPL": 6}
    filled_order(account, broker, strategy="momentum", side=Side.SELL, quantity=D(6), client_order_id="c")
    assert selectors.net_quantities(account) == {}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("open_buy_quantity", 11),
        ("open_sell_quantity", 1),
        ("open_buy_notional", 999),
        ("open_sell_notional", 1),
        ("reserved_loss", 2),
        ("open_order_count", 2),
    ],
)
def test_every_reservation_that_drifts_is_found(column: str, value: int) -> None:
    account = make_account()
    make_order(account)
    assert selectors.reservation_drift(account) == []
    Position.objects.update(**{column: value})
    assert selectors.reservation_drift(account) == [position_of(account).pk]


def test_cash_that_nobody_booked_is_found() -> None:
    account = make_account()
    Account.objects.filter(pk=account.pk).update(cash=D(99_999))
    assert selectors.cash_difference(account) == -1


def test_shares_that_nobody_traded_are_found() -> None:
    account, _ = held()
    Position.objects.update(quantity=11)
    assert selectors.quantity_differences(account) == [position_of(account).pk]
