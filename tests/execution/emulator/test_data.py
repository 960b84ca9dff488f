"""The data API and the stock stream as Alpaca's clients use them, over the built-in sample."""

from datetime import UTC, date, datetime
from decimal import Decimal

import msgpack
import pytest
import requests
import websockets.exceptions
from alpaca.common.exceptions import APIError
from alpaca.data.enums import Adjustment
from alpaca.data.requests import (
    CorporateActionsRequest,
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from websockets.sync.client import connect

from execution.emulator.bar_market import SampleMarket
from execution.emulator.clock import VenueClock
from execution.emulator.faults import FaultKind
from execution.emulator.server import RunningEmulator
from tests.execution.emulator.clients import (
    PATIENCE,
    actions_client,
    await_true,
    control,
    data_client,
    fault,
    headers,
    stock_stream,
)
from tests.execution.emulator.conftest import emulator_at


def at(*parts) -> datetime:
    return datetime(*parts, tzinfo=UTC)


NOON = at(2012, 6, 14, 16)
MARKET = SampleMarket()


@pytest.fixture
def sample():
    with RunningEmulator(market=MARKET, clock=VenueClock.manual(NOON)) as running:
        yield running


@pytest.fixture
def data(sample):
    return data_client(sample)


def daily(symbols, start, end, **options) -> StockBarsRequest:
    return StockBarsRequest(symbol_or_symbols=symbols, timeframe=TimeFrame.Day, start=start, end=end, **options)


# bars


def test_daily_bars_are_the_markets_own(data):
    bars = data.get_stock_bars(daily("AAPL", at(2012, 6, 11), at(2012, 6, 13, 23)))["AAPL"]
    (known,) = MARKET.bars("AAPL", date(2012, 6, 11), date(2012, 6, 11))
    assert [bar.timestamp.date() for bar in bars] == [date(2012, 6, 11), date(2012, 6, 12), date(2012, 6, 13)]
    assert bars[0].timestamp == at(2012, 6, 11, 4)
    assert (Decimal(str(bars[0].open)), bars[0].volume) == (known.open, known.volume)


def test_the_day_that_runs_has_what_has_been_and_nothing_of_the_future(data):
    (bar,) = data.get_stock_bars(daily("AAPL", at(2012, 6, 14), at(2012, 6, 20)))["AAPL"]
    (whole,) = MARKET.bars("AAPL", date(2012, 6, 14), date(2012, 6, 14))
    assert Decimal(str(bar.open)) == whole.open
    assert Decimal(str(bar.high)) <= whole.high
    assert Decimal(str(bar.close)) != whole.close


def test_without_a_start_bars_begin_today(data):
    bars = data.get_stock_bars(StockBarsRequest(symbol_or_symbols="IBM", timeframe=TimeFrame.Day))["IBM"]
    assert [bar.timestamp.date() for bar in bars] == [date(2012, 6, 14)]


def test_bars_of_many_symbols_come_in_pages_over_all_of_them(sample, data):
    request = daily(["IBM", "AAPL", "MSFT"], at(2012, 6, 4), at(2012, 6, 8, 23))
    whole = data.get_stock_bars(request).data
    assert {symbol: len(bars) for symbol, bars in whole.items()} == {"AAPL": 5, "IBM": 5, "MSFT": 5}
    paged, token, pages = {}, None, 0
    while token or not pages:
        query = {"symbols": "IBM,AAPL,MSFT", "timeframe": "1Day", "start": "2012-06-04", "end": "2012-06-09"}
        query |= {"limit": "4", **({"page_token": token} if token else {})}
        page = requests.get(f"{sample.url}/v2/stocks/bars", query, headers=headers(sample), timeout=1).json()
        for symbol, bars in page["bars"].items():
            paged.setdefault(symbol, []).extend(bar["t"] for bar in bars)
        token, pages = page["next_page_token"], pages + 1
    assert pages == 4
    assert paged == {
        symbol: [bar.timestamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for bar in bars] for symbol, bars in whole.items()
    }


def test_the_clients_limit_counts_rows_of_all_symbols(data):
    request = daily(["AAPL", "IBM"], at(2012, 6, 4), at(2012, 6, 8, 23), limit=7)
    bars = data.get_stock_bars(request).data
    assert {symbol: len(rows) for symbol, rows in bars.items()} == {"AAPL": 5, "IBM": 2}


def test_bars_newest_first(data):
    bars = data.get_stock_bars(daily("AAPL", at(2012, 6, 11), at(2012, 6, 13), sort="desc"))["AAPL"]
    assert bars == sorted(bars, key=lambda bar: bar.timestamp, reverse=True)


def test_minute_bars_agree_with_the_day(data):
    start, end = at(2012, 6, 13, 13, 30), at(2012, 6, 13, 20, 0)
    minute = StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame.Minute, start=start, end=end)
    minutes = data.get_stock_bars(minute)["AAPL"]
    (day,) = data.get_stock_bars(daily("AAPL", at(2012, 6, 13), at(2012, 6, 13, 23)))["AAPL"]
    assert len(minutes) == 390
    assert minutes[0].open == day.open
    assert max(bar.high for bar in minutes) <= day.high
    assert min(bar.low for bar in minutes) >= day.low
    assert minutes[-1].close == day.close


@pytest.mark.parametrize(
    ("timeframe", "start", "expected"),
    [
        (TimeFrame(5, TimeFrameUnit.Minute), at(2012, 6, 13, 13), 78),
        (TimeFrame.Hour, at(2012, 6, 13, 13), 7),
        (TimeFrame.Week, at(2012, 6, 4), 2),
        (TimeFrame.Month, at(2012, 5, 1), 2),
    ],
)
def test_longer_and_shorter_bars(data, timeframe, start, expected):
    request = StockBarsRequest(symbol_or_symbols="AAPL", timeframe=timeframe, start=start, end=at(2012, 6, 14))
    bars = data.get_stock_bars(request)["AAPL"]
    assert len(bars) == expected
    assert all(bar.low <= bar.open <= bar.high and bar.low <= bar.close <= bar.high for bar in bars)


def test_bars_in_the_shares_of_today(data):
    """Apple split two for one on 2005-02-28."""
    window = (at(2005, 2, 25), at(2005, 2, 25, 23))
    raw = data.get_stock_bars(daily("AAPL", *window))["AAPL"][0]
    split = data.get_stock_bars(daily("AAPL", *window, adjustment=Adjustment.SPLIT))["AAPL"][0]
    assert raw.close / split.close == pytest.approx(2, rel=1e-4)
    assert split.volume / raw.volume == pytest.approx(2, rel=1e-4)


# quotes, trades, the newest


def test_quotes_and_trades_are_sampled(data):
    span = {"start": at(2012, 6, 14, 15, 0), "end": at(2012, 6, 14, 15, 4)}
    quotes = data.get_stock_quotes(StockQuotesRequest(symbol_or_symbols="AAPL", **span))["AAPL"]
    trades = data.get_stock_trades(StockTradesRequest(symbol_or_symbols="AAPL", **span))["AAPL"]
    assert len(quotes) == len(trades) == 5
    for quote, trade in zip(quotes, trades, strict=True):
        assert quote.bid_price < trade.price < quote.ask_price


def test_the_newest_quote_trade_and_bar(data):
    quote = data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=["AAPL", "NOBODY"]))
    trade = data.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="AAPL"))["AAPL"]
    bar = data.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols="AAPL"))["AAPL"]
    assert set(quote) == {"AAPL"}
    assert quote["AAPL"].timestamp == trade.timestamp == NOON
    assert quote["AAPL"].bid_price < trade.price < quote["AAPL"].ask_price
    assert bar.close == trade.price


def test_a_snapshot_has_this_day_and_the_one_before(data):
    snapshot = data.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=["AAPL", "IBM"]))["AAPL"]
    assert snapshot.daily_bar.timestamp.date() == date(2012, 6, 14)
    assert snapshot.previous_daily_bar.timestamp.date() == date(2012, 6, 13)
    assert snapshot.latest_trade.timestamp == NOON


def test_before_the_open_the_newest_day_is_yesterday(sample, data):
    with RunningEmulator(market=MARKET, clock=VenueClock.manual(at(2012, 6, 14, 13))) as early:
        snapshot = data_client(early).get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols="AAPL"))["AAPL"]
    assert snapshot.daily_bar.timestamp.date() == date(2012, 6, 13)
    assert snapshot.previous_daily_bar.timestamp.date() == date(2012, 6, 12)


def test_prices_set_by_hand_are_told(sample, data):
    control(sample, "POST", "prices", {"AAPL": {"last": "12.50", "bid": "12.49", "ask": "12.51", "volume": "100"}})
    assert data.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="AAPL"))["AAPL"].price == 12.5


def test_corporate_actions(sample):
    request = CorporateActionsRequest(symbols=["AAPL", "IBM"], start=date(2005, 2, 1), end=date(2005, 3, 1))
    found = actions_client(sample).get_corporate_actions(request).data
    (split,) = found["forward_splits"]
    assert (split.symbol, split.new_rate, split.old_rate, split.ex_date) == ("AAPL", 2, 1, date(2005, 2, 28))
    assert {paid.symbol for paid in found["cash_dividends"]} == {"IBM"}


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("bars?symbols=AAPL&timeframe=7Fortnight", "timeframe"),
        ("bars?symbols=AAPL&timeframe=90Min", "timeframe"),
        ("bars?timeframe=1Day", "symbols"),
        ("bars?symbols=AAPL&timeframe=1Day&adjustment=odd", "adjustment"),
        ("bars?symbols=AAPL&timeframe=1Day&limit=10001", "limit"),
        ("bars?symbols=AAPL&timeframe=1Day&page_token=%21", "page_token"),
        ("bars?symbols=AAPL&timeframe=1Min&start=2011-01-01", "start"),
        ("quotes/latest?symbols=AAPL&feed=tape", "feed"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(sample, path, named):
    answer = requests.get(f"{sample.url}/v2/stocks/{path}", headers=headers(sample), timeout=1)
    assert answer.status_code == 422
    assert answer.json()["message"].startswith(named)


def test_request_faults_meet_the_data_as_well(sample, data):
    sample.faults.add(fault(FaultKind.REFUSE_503, match={"path": "/v2/stocks/*"}))
    with pytest.raises(APIError):
        data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAPL"))


# the stock stream


def all_of(stream, handler):
    stream.subscribe_trades(handler, "AAPL")
    stream.subscribe_quotes(handler, "*")
    stream.subscribe_bars(handler, "AAPL")
    stream.subscribe_daily_bars(handler, "AAPL")
    stream.subscribe_trading_statuses(handler, "AAPL")


def prices(emulator, last):
    control(emulator, "POST", "prices", {"AAPL": {"last": last}})


def test_quotes_trades_and_bars_arrive(sample):
    with stock_stream(sample, all_of) as received:
        prices(sample, "500")
        seen = {}
        while not {"Quote", "Trade"} <= set(seen):
            item = received.next()
            if item.symbol == "AAPL":
                seen[type(item).__name__] = item
        assert (seen["Trade"].price, seen["Trade"].timestamp.date()) == (500, date(2012, 6, 14))
        assert seen["Quote"].bid_price == 500
        control(sample, "POST", "clock", {"advance_seconds": 61})
        item = received.next()
        while type(item).__name__ != "Bar":
            item = received.next()
        assert (item.open, item.close, item.timestamp) == (500, 500, NOON)


def test_a_halt_and_its_end_are_told(sample):
    with stock_stream(sample, all_of, channel="statuses") as received:
        control(sample, "POST", "halts", {"symbol": "AAPL"})
        control(sample, "POST", "halts", {"symbol": "AAPL", "halted": False})
        codes = []
        while len(codes) < 2:
            item = received.next()
            if type(item).__name__ == "TradingStatus":
                codes.append(item.status_code)
    assert codes == ["H", "T"]


def test_the_test_stream_speaks_of_its_own_symbol(sample):
    url = sample.data_stream_url.replace("/iex", "/test")
    with stock_stream(
        sample, lambda stream, handler: stream.subscribe_trades(handler, "FAKEPACA"), url=url
    ) as received:
        sample.pump()
        assert received.next().symbol == "FAKEPACA"


class Raw:
    """A msgpack connection without a client, for what the client does not show."""

    def __init__(self, emulator, feed="iex"):
        self.emulator = emulator
        url = f"{emulator.url.replace('http', 'ws')}/v2/{feed}"
        self.connecting = connect(url, additional_headers={"Content-Type": "application/msgpack"})

    def receive(self):
        return msgpack.unpackb(self.socket.recv(PATIENCE))

    def say(self, **message):
        self.socket.send(msgpack.packb(message))
        return self.receive()[0]

    def login(self, secret=None):
        return self.say(action="auth", key=self.emulator.keys.key_id, secret=secret or self.emulator.keys.secret)

    def __enter__(self):
        self.socket = self.connecting.__enter__()
        assert self.receive() == [{"T": "success", "msg": "connected"}]
        return self

    def __exit__(self, *error):
        self.connecting.__exit__(*error)


def test_errors_of_the_login(sample):
    with Raw(sample) as raw:
        assert raw.say(action="subscribe", trades=["AAPL"])["code"] == 401
        assert raw.login("wrong")["code"] == 402
        assert raw.login() == {"T": "success", "msg": "authenticated"}
        assert raw.login()["code"] == 403
        assert raw.say(action="dance")["code"] == 400
        assert raw.say(action="subscribe", trades="AAPL")["code"] == 400


def test_one_connection_a_feed(sample):
    with Raw(sample) as first, Raw(sample) as second, Raw(sample, "sip") as other:
        assert first.login()["T"] == "success"
        assert second.login()["code"] == 406
        assert other.login()["T"] == "success"


def test_a_login_that_does_not_come_is_a_404_and_the_end(sample):
    sample.surface.stock.login_wait *= 0.01
    with Raw(sample) as raw:
        assert raw.receive()[0]["code"] == 404
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            raw.receive()


def test_subscriptions_add_up_and_are_taken_back(sample):
    with Raw(sample) as raw:
        raw.login()
        raw.say(action="subscribe", trades=["AAPL"], quotes=["IBM"])
        answer = raw.say(action="subscribe", trades=["MSFT"])
        assert (answer["trades"], answer["quotes"]) == (["AAPL", "MSFT"], ["IBM"])
        assert raw.say(action="unsubscribe", trades=["AAPL"])["trades"] == ["MSFT"]


def test_a_subscription_may_come_in_fragments(sample):
    with Raw(sample) as raw:
        raw.login()
        packed = msgpack.packb({"action": "subscribe", "trades": ["AAPL"]})
        raw.socket.send(packed[index : index + 5] for index in range(0, len(packed), 5))
        assert raw.receive()[0]["trades"] == ["AAPL"]


def test_a_client_of_json_gets_json(sample):
    with connect(sample.data_stream_url) as socket:
        assert socket.recv(PATIENCE) == b'[{"T":"success","msg":"connected"}]'


@pytest.mark.parametrize("kind", [FaultKind.MUTE_STREAM, FaultKind.DISCONNECT_STREAM])
def test_faults_of_the_stock_stream_name_its_path(sample, kind):
    with stock_stream(sample, all_of) as received:
        subscriber = next(iter(sample.surface.stock._subscribers))
        sample.faults.add(fault(kind, match={"path": "/v2/iex"}))
        await_true(sample, lambda: subscriber.muted or subscriber not in sample.surface.stock._subscribers)
        if kind == FaultKind.MUTE_STREAM:
            prices(sample, "501")
            assert received.empty()
        else:
            await_true(sample, lambda: sample.surface.stock.subscribed("trades"))


def test_a_stock_stream_is_refused(sample):
    sample.faults.add(fault(FaultKind.REFUSE_STREAM, match={"path": "/v2/iex"}))
    with pytest.raises(websockets.exceptions.InvalidStatus):
        connect(sample.data_stream_url)
    sample.faults.add(fault(FaultKind.REFUSE_STREAM_LOGIN, match={"path": "/v2/iex"}))
    with Raw(sample) as raw:
        assert raw.login()["code"] == 402


def test_dates_are_new_yorks_and_the_last_one_is_in(sample):
    query = {"symbols": "AAPL", "timeframe": "1Day", "start": "2012-06-12", "end": "2012-06-13"}
    answer = requests.get(f"{sample.url}/v2/stocks/bars", query, headers=headers(sample), timeout=1).json()
    assert [bar["t"][:10] for bar in answer["bars"]["AAPL"]] == ["2012-06-12", "2012-06-13"]


def test_a_market_that_only_knows_its_newest_price_does_not_tell_it_for_the_past():
    with emulator_at(NOON) as scripted:
        data = data_client(scripted)
        scripted.call(lambda: scripted.surface.clock.advance(Decimal(600)))
        minutes = StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame.Minute, start=at(2012, 6, 14, 13))
        (bar,) = data.get_stock_bars(minutes)["AAPL"]
    assert bar.timestamp == NOON


def test_a_correction_and_a_price_band_are_printed_by_hand(sample):
    with Raw(sample) as raw:
        raw.login()
        raw.say(action="subscribe", trades=["AAPL"], lulds=["AAPL"], updatedBars=["AAPL"])
        cancel = {"T": "x", "S": "AAPL", "i": 1, "x": "V", "p": "500.25", "s": 100, "a": "C", "z": "C"}
        control(sample, "POST", "tape", {"messages": [cancel, {"T": "t", "S": "IBM"}]})
        (told,) = raw.receive()
        assert (told["T"], told["i"], told["t"].to_datetime()) == ("x", 1, NOON)
        control(sample, "POST", "halts", {"symbol": "AAPL", "low": "490", "high": "510"})
        (band,) = [message for message in raw.receive() if message["T"] == "l"]
        assert (band["d"], band["u"]) == (490, 510)


def test_limits_of_a_subscription(sample):
    sample.surface.stock.most_symbols = 2
    sample.surface.stock.refused_feeds = frozenset({"sip"})
    with Raw(sample) as raw, Raw(sample, "sip") as refused:
        raw.login()
        assert raw.say(action="subscribe", trades=["AAPL", "IBM", "MSFT"])["code"] == 405
        assert raw.say(action="subscribe", trades=["AAPL", "IBM"])["T"] == "subscription"
        assert refused.login()["code"] == 409


def test_the_free_subscription_has_no_recent_data_of_the_sip():
    with RunningEmulator(market=MARKET, clock=VenueClock.manual(NOON), iex_only=True) as free:
        base = f"{free.url}/v2/stocks"

        def status(path):
            return requests.get(f"{base}/{path}", headers=headers(free), timeout=1).status_code

        bars = "bars?symbols=AAPL&timeframe=1Day&start=2012-06-11"
        assert [status(f"{bars}&feed=sip"), status(f"{bars}&feed=sip&end=2012-06-13"), status(bars)] == [403, 200, 200]
        assert [status("quotes/latest?symbols=AAPL&feed=sip"), status("quotes/latest?symbols=AAPL")] == [403, 200]
        assert [status("snapshots?symbols=AAPL&feed=sip"), status("snapshots?symbols=AAPL")] == [403, 200]
        with Raw(free, "sip") as refused, Raw(free) as allowed:
            assert refused.login()["code"] == 409
            assert allowed.login()["T"] == "success"
