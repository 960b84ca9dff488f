"""Positions, P&L, performance and closing over HTTP."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from execution.models import Account, AccountDay, Order, Position, Strategy
from marketdata.models import Instrument
from risk.types import OrderType
from tests.factories import MARKET_AT, make_instrument, make_order, make_quote, make_strategy

pytestmark = pytest.mark.django_db
CLOSE = "/api/v1/positions/AAPL/close"


def hold(
    account: Account, quantity: str = "10", strategy: str = "manual", symbol: str = "AAPL", **fields: Any
) -> Position:
    """Put shares bought at 90 on the book."""
    shares = Decimal(quantity)
    return Position.objects.create(
        account=account,
        strategy=Strategy.objects.get(name=strategy),
        instrument=Instrument.objects.get(symbol=symbol),
        quantity=shares,
        cost_basis=shares * 90,
        current_price=Decimal(90),
        current_price_at=MARKET_AT,
        **fields,
    )


def test_a_position_is_shown_at_its_mark_as_strings(account: Account, trader: APIClient) -> None:
    hold(account, "10")
    row = trader.get("/api/v1/positions").json()["results"][0]
    assert (row["symbol"], row["strategy"], row["quantity"]) == ("AAPL", "manual", "10")
    assert (row["current_price"], row["market_value"], row["unrealized_pnl"]) == ("100", "1000", "100")
    assert row["is_stale"] is False


def test_positions_filter_by_symbol_strategy_and_flatness(account: Account, trader: APIClient) -> None:
    make_instrument("IBM")
    hold(account, "0")
    hold(account, "5", symbol="IBM")
    for query, symbols in (
        ("", ["IBM"]),
        ("?include_flat=true", ["AAPL", "IBM"]),
        ("?symbol=AAPL", []),
        ("?strategy=momentum", []),
    ):
        assert [row["symbol"] for row in trader.get(f"/api/v1/positions{query}").json()["results"]] == symbols


def test_realtime_pnl_adds_up(account: Account, trader: APIClient) -> None:
    hold(account, "10")
    body = trader.get("/api/v1/positions/pnl/realtime").json()
    assert body["by_strategy"][0]["unrealized_pnl"] == body["account"]["unrealized_pnl"] == "100"
    assert len(body["positions"]) == 1


def test_the_account_says_whose_time_it_is_and_whether_it_is_reconciled(account: Account, trader: APIClient) -> None:
    body = trader.get("/api/v1/account").json()
    assert (body["account"], body["mode"], body["reconciliation"]) == ("paper", "paper", "clean")
    assert (body["cash"], body["equity"], body["trading_date"]) == ("100000", "100000", "2012-06-14")


def test_closed_days_come_oldest_first_within_the_range(account: Account, trader: APIClient) -> None:
    for day in (11, 12, 13):
        close_day(account, date(2012, 6, day))
    body = trader.get("/api/v1/performance/daily?from=2012-06-12&to=2012-06-13").json()
    assert [row["date"] for row in body["results"]] == ["2012-06-12", "2012-06-13"]
    assert body["results"][0]["equity"] == "100000"
    assert trader.get("/api/v1/performance/daily?from=2012-06-13&to=2012-06-12").status_code == 400
    assert trader.get("/api/v1/performance/daily?strategy=nobody").status_code == 400
    assert trader.get("/api/v1/performance/daily?strategy=manual").json()["results"] == []


def close_day(account: Account, day: date) -> None:
    zero = Decimal(0)
    AccountDay.objects.create(
        account=account,
        date=day,
        realized_pnl=zero,
        unrealized_pnl=zero,
        fees=zero,
        pnl=zero,
        gross_exposure=zero,
        net_exposure=zero,
        closed_at=MARKET_AT,
        cash=Decimal(100_000),
        equity=Decimal(100_000),
        peak_equity=Decimal(100_000),
    )


@pytest.mark.parametrize(("quantity", "side"), [("10", "sell"), ("-10", "buy")])
def test_closing_places_a_reduce_only_order_for_all_that_is_held(
    account: Account, trader: APIClient, quantity: str, side: str
) -> None:
    hold(account, quantity)
    answer = trader.post(CLOSE, {}, format="json")
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert (body["side"], body["quantity"], body["reduce_only"], body["order_type"]) == (side, "10", True, "market")


def test_closing_counts_what_is_already_being_closed(account: Account, trader: APIClient) -> None:
    hold(account, "10")
    trader.post(CLOSE, {"quantity": "4"}, format="json")
    assert trader.post(CLOSE, {}, format="json").json()["quantity"] == "6"
    answer = trader.post(CLOSE, {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "POSITION_FLAT")


def test_the_same_close_again_is_the_same_order(account: Account, trader: APIClient) -> None:
    hold(account, "10")
    answers = [trader.post(CLOSE, {}, format="json", HTTP_IDEMPOTENCY_KEY="close-1") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert Order.objects.count() == 1


def test_a_second_press_without_a_key_is_no_second_order(account: Account, trader: APIClient) -> None:
    hold(account, "10")
    first, second = (trader.post(CLOSE, {}, format="json") for _ in range(2))
    assert (first.status_code, second.status_code, second.json()["code"]) == (201, 409, "POSITION_FLAT")
    assert "open orders close the 10 AAPL already" in second.json()["detail"]
    assert Order.objects.filter(reduce_only=True).count() == 1


def test_an_entry_that_rests_is_left_alone(account: Account, trader: APIClient) -> None:
    """Who closes a position does not say that nothing shall be bought any more: that is what flattening is for."""
    hold(account, "10")
    entry = make_order(account, order_type=OrderType.LIMIT, limit_price=Decimal(99), client_order_id="entry")
    answer = trader.post(CLOSE, {}, format="json")
    assert (answer.status_code, answer.json()["quantity"]) == (201, "10")
    entry.refresh_from_db()
    assert entry.status == "pending"


def test_nothing_held_is_nothing_to_close(account: Account, trader: APIClient) -> None:
    assert trader.post(CLOSE, {}, format="json").json()["code"] == "POSITION_FLAT"


def test_a_name_of_several_strategies_needs_one_of_them(account: Account, trader: APIClient) -> None:
    make_strategy("momentum")
    hold(account, "10")
    hold(account, "20", strategy="momentum")
    answer = trader.post(CLOSE, {}, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["allowed"] == "one of manual, momentum"
    assert trader.post(CLOSE, {"strategy": "momentum"}, format="json").json()["quantity"] == "20"


def test_closing_more_than_is_held_is_denied(account: Account, trader: APIClient) -> None:
    hold(account, "10")
    answer = trader.post(CLOSE, {"quantity": "11"}, format="json")
    assert answer.status_code == 409
    assert "REDUCE_ONLY" in [denial["code"] for denial in answer.json()["denials"]]


@pytest.mark.parametrize("symbol", ["aapl", "A%20B", "A" * 17])
def test_a_strange_symbol_is_400(account: Account, trader: APIClient, symbol: str) -> None:
    assert trader.post(f"/api/v1/positions/{symbol}/close", {}, format="json").status_code == 400


def test_a_stale_mark_is_said(account: Account, trader: APIClient) -> None:
    hold(account, "10")
    Position.objects.update(current_price_at=MARKET_AT.replace(day=11))
    account.feed.quotes.all().delete()
    assert trader.get("/api/v1/positions").json()["results"][0]["is_stale"] is True
    assert trader.get("/api/v1/account").json()["stale_marks"] == 1
    make_quote(account.feed)
    assert trader.get("/api/v1/account").json()["stale_marks"] == 0
