"""Quotes and bars over HTTP."""

from datetime import date, timedelta

import polars as pl
import pytest
from rest_framework.test import APIClient

from execution.models import Account
from ops_console.api.views import market
from tests.factories import MARKET_AT, make_instrument, make_quote

pytestmark = pytest.mark.django_db
DAYS = [date(2012, 6, day) for day in (11, 12, 13)]


def test_quotes_carry_their_age_in_trading_time(account: Account, trader: APIClient) -> None:
    make_instrument("IBM")
    make_quote(account.feed, "IBM", "190.25", at=MARKET_AT - timedelta(minutes=31))
    body = trader.get("/api/v1/quotes/latest?symbols=AAPL,IBM,NOPE").json()
    assert [(row["symbol"], row["last"], row["age_seconds"], row["is_stale"]) for row in body["quotes"]] == [
        ("AAPL", "100", 0, False),
        ("IBM", "190.25", 31 * 60, True),
    ]
    assert body["missing"] == ["NOPE"]
    assert body["market_at"] == "2012-06-14T15:00:00+00:00"


def test_without_symbols_every_tradable_name_is_shown(account: Account, trader: APIClient) -> None:
    make_instrument("IBM", tradable=False)
    body = trader.get("/api/v1/quotes/latest").json()
    assert [row["symbol"] for row in body["quotes"]] == ["AAPL"]
    assert body["missing"] == []


@pytest.mark.parametrize("symbols", ["", "AAPL,", "aapl", "A" * 17, ",".join(f"S{n}" for n in range(101))])
def test_strange_symbols_are_400(account: Account, trader: APIClient, symbols: str) -> None:
    assert trader.get(f"/api/v1/quotes/latest?symbols={symbols}").status_code == 400


def fake_bars(
    symbols: list[str], *, start: date | None, end: date | None, adjustment: str, as_of: date
) -> pl.DataFrame:
    """Return bars as the lake does."""
    days = [day for day in DAYS if day <= as_of and (start is None or day >= start) and (end is None or day <= end)]
    rows = [(symbol, day, 571.1, 572.0, 570.0, 0.1 + 0.2, 1234567.0) for symbol in symbols for day in days]
    names = ["symbol", "date", "open", "high", "low", "close", "volume"]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_bars_are_exact_text_in_pages(account: Account, trader: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market, "bars", fake_bars)
    first = trader.get("/api/v1/bars?symbols=AAPL,IBM&limit=4").json()
    rest = trader.get(f"/api/v1/bars?symbols=AAPL,IBM&limit=4&cursor={first['next_cursor']}").json()
    assert [len(first["results"]), len(rest["results"]), rest["next_cursor"]] == [4, 2, None]
    assert first["results"][0] == {
        "symbol": "AAPL",
        "date": "2012-06-11",
        "open": "571.1",
        "high": "572",
        "low": "570",
        "close": "0.30000000000000004",
        "volume": "1234567",
    }


def test_a_replay_does_not_see_its_own_future(
    account: Account, trader: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(market, "bars", fake_bars)
    assert market.last_closed_session(MARKET_AT) == date(2012, 6, 13)
    assert market.last_closed_session(MARKET_AT.replace(hour=20)) == date(2012, 6, 14)
    assert trader.get("/api/v1/bars?symbols=AAPL&from=2012-06-14").json()["results"] == []
    assert trader.get("/api/v1/bars?symbols=AAPL&from=2012-06-14&to=2012-06-13").status_code == 400


@pytest.mark.parametrize(
    "query", ["", "symbols=AAPL&adjustment=none", "symbols=AAPL&limit=5001", "symbols=AAPL&cursor=x"]
)
def test_a_strange_query_is_400(account: Account, trader: APIClient, query: str) -> None:
    assert trader.get(f"/api/v1/bars?{query}").status_code == 400
