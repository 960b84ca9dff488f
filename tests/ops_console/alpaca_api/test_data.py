"""Market and data through alpaca-py's own clients, over a real socket; nothing of the future is told."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from alpaca.data.enums import Adjustment
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.requests import (
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
)
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import AssetStatus
from alpaca.trading.requests import GetAssetsRequest, GetCalendarRequest

from execution.models import Account
from marketdata.lake import BarLake
from marketdata.models import CorporateAction, Instrument
from tests.factories import MARKET_AT, make_instrument, make_quote
from tests.ops_console.alpaca_api.test_orders import refusal_of

DAYS = [date(2012, 6, day) for day in (8, 11, 12, 13, 14, 15)]


@pytest.fixture
def lake(settings, tmp_path: Path) -> BarLake:
    """Return a lake with six days of two symbols: that of the desk's own session and the one after lie in it too."""
    settings.LAKE_DIR = tmp_path
    made = BarLake(tmp_path)
    rows = [
        {"symbol": symbol, "date": day, "open": base + n, "high": base + n + 2.5, "low": base + n - 1.0}
        | {"close": base + n + 0.57, "volume": 1000.0 * (n + 1)}
        for symbol, base in (("AAPL", 100.0), ("IBM", 200.0))
        for n, day in enumerate(DAYS)
    ]
    made.write(pl.DataFrame(rows), "1d", "test")
    return made


def bars_request(**fields) -> StockBarsRequest:
    values = {"symbol_or_symbols": "AAPL", "timeframe": TimeFrame.Day, "start": datetime(2012, 6, 1, tzinfo=UTC)}
    return StockBarsRequest(**values | fields)


def test_daily_bars_end_with_the_last_closed_session(data_client: StockHistoricalDataClient, lake: BarLake):
    found = data_client.get_stock_bars(bars_request()).data["AAPL"]
    assert [bar.timestamp for bar in found] == [datetime(2012, 6, day, 4, tzinfo=UTC) for day in (8, 11, 12, 13)]
    assert (found[0].open, found[0].high, found[0].low, found[0].close, found[0].volume) == (
        100,
        102.5,
        99,
        100.57,
        1000,
    )


def test_date_alone_is_midnight_in_new_york(data_client: StockHistoricalDataClient, lake: BarLake):
    found = data_client.get("/stocks/bars", bar_query(symbols="AAPL", start="2012-06-11", end="2012-06-12"))
    assert [bar["t"][:10] for bar in found["bars"]["AAPL"]] == ["2012-06-11", "2012-06-12"]


@pytest.mark.parametrize("start", [None, "2012-06-13T06:00:00+02:00", "2012-06-13T00:00:00-04:00"])
def test_start_may_be_missing_or_of_any_offset(data_client: StockHistoricalDataClient, lake: BarLake, start):
    found = data_client.get("/stocks/bars", bar_query(symbols="AAPL", start=start))["bars"]
    assert [bar["t"][:10] for bar in found.get("AAPL", [])] == ([] if start is None else ["2012-06-13"])


def test_bars_come_in_pages_over_all_symbols(data_client: StockHistoricalDataClient, lake: BarLake):
    for sort in ("asc", "desc"):
        whole = data_client.get("/stocks/bars", bar_query(sort=sort))
        assert whole["next_page_token"] is None
        rows, token = {}, None
        while True:
            page = data_client.get("/stocks/bars", bar_query(sort=sort, limit=3, page_token=token))
            assert sum(len(each) for each in page["bars"].values()) <= 3
            for symbol, each in page["bars"].items():
                rows.setdefault(symbol, []).extend(each)
            token = page["next_page_token"]
            if token is None:
                break
        assert rows == whole["bars"]
        assert [len(each) for each in rows.values()] == [4, 4]


def bar_query(**fields):
    values = {"symbols": "IBM,AAPL", "timeframe": "1Day", "start": "2012-06-01"}
    return {name: value for name, value in (values | fields).items() if value is not None}


def test_bars_are_adjusted_for_splits(data_client: StockHistoricalDataClient, lake: BarLake):
    instrument = Instrument.objects.get(symbol="AAPL")
    CorporateAction.objects.create(instrument=instrument, kind="split", ex_date=DAYS[2], ratio=2)
    raw = data_client.get_stock_bars(bars_request()).data["AAPL"]
    split = data_client.get_stock_bars(bars_request(adjustment=Adjustment.SPLIT)).data["AAPL"]
    assert [bar.close for bar in split] == [raw[0].close / 2, raw[1].close / 2, raw[2].close, raw[3].close]
    assert split[0].volume == raw[0].volume * 2


@pytest.mark.parametrize(
    "query",
    [
        {"timeframe": "5Min"},
        {"adjustment": "dividend"},
        {"page_token": "!"},
        {"symbols": ""},
        {"start": "soon"},
        {"start": "0001-01-01T00:00:00+14:00"},
        {"end": "9999-12-31"},
        {"feed": "rumours"},
    ],
)
def test_what_is_not_kept_is_refused(data_client: StockHistoricalDataClient, lake: BarLake, query):
    assert refusal_of(lambda: data_client.get("/stocks/bars", bar_query() | query)).status_code == 422


def test_minute_bars_come_from_the_lake(data_client: StockHistoricalDataClient, lake: BarLake):
    minutes = [datetime(2012, 6, 14, 14, minute, tzinfo=UTC) for minute in (57, 58, 59)]
    minutes.append(datetime(2012, 6, 14, 15, 0, tzinfo=UTC))  # not over yet
    rows = [
        {"symbol": "AAPL", "at": at, "open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 10.0}
        for at in minutes
    ]
    lake.write(pl.DataFrame(rows).with_columns(pl.col("at").cast(pl.Datetime("us", "UTC"))), "1m", "test")
    found = data_client.get_stock_bars(bars_request(timeframe=TimeFrame.Minute)).data["AAPL"]
    assert [bar.timestamp for bar in found] == minutes[:3]
    newest = data_client.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols="AAPL"))
    assert newest["AAPL"].timestamp == minutes[2]


def test_latest_of_everything(data_client: StockHistoricalDataClient, lake: BarLake, account: Account):
    make_quote(account.feed, last="101.5")
    quote = data_client.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=["AAPL", "NOSUCH"]))
    assert list(quote) == ["AAPL"]
    assert (quote["AAPL"].bid_price, quote["AAPL"].ask_price, quote["AAPL"].timestamp) == (101.49, 101.51, MARKET_AT)
    trade = data_client.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="AAPL"))
    assert trade["AAPL"].price == 101.5
    bar = data_client.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols="AAPL"))
    assert bar["AAPL"].close == 103.57
    snapshot = data_client.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols="AAPL"))["AAPL"]
    assert (snapshot.daily_bar.close, snapshot.previous_daily_bar.close) == (103.57, 102.57)
    assert snapshot.latest_trade.price == 101.5


def test_single_quotes_of_the_past_are_not_pretended(data_client: StockHistoricalDataClient):
    wanted = StockQuotesRequest(symbol_or_symbols="AAPL", start=datetime(2012, 6, 1, tzinfo=UTC))
    assert "not kept" in refusal_of(lambda: data_client.get_stock_quotes(wanted)).message


def test_clock_is_the_desks(client: TradingClient):
    clock = client.get_clock()
    assert (clock.timestamp, clock.is_open) == (MARKET_AT, True)
    assert clock.next_close == datetime(2012, 6, 14, 20, tzinfo=UTC)
    assert clock.next_open == datetime(2012, 6, 15, 13, 30, tzinfo=UTC)


def test_calendar_knows_half_days(client: TradingClient):
    days = client.get_calendar(GetCalendarRequest(start=date(2012, 7, 3), end=date(2012, 7, 5)))
    assert [(day.date, f"{day.open:%H:%M}", f"{day.close:%H:%M}") for day in days] == [
        (date(2012, 7, 3), "09:30", "13:00"),
        (date(2012, 7, 5), "09:30", "16:00"),
    ]


def test_assets_are_the_instruments(client: TradingClient):
    make_instrument("OLD", tradable=False)
    assert [asset.symbol for asset in client.get_all_assets()] == ["AAPL", "OLD"]
    active = client.get_all_assets(GetAssetsRequest(status=AssetStatus.ACTIVE))
    assert [asset.symbol for asset in active] == ["AAPL"]
    assert client.get_asset(active[0].id) == client.get_asset("AAPL")
    assert refusal_of(lambda: client.get_asset("NOSUCH")).status_code == 404


def test_what_is_not_here_is_said(client: TradingClient):
    assert client.get_watchlists() == []
    assert refusal_of(lambda: client.post("/watchlists", {"name": "mine"})).status_code == 404
    refused = refusal_of(lambda: client.get("/no/such/thing"))
    assert (refused.status_code, refused.code) == (404, 40410000)
