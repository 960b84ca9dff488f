"""Alpaca's messages, errors and settings in our words."""

from datetime import UTC, datetime
from decimal import Decimal

import msgpack
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.http11 import Headers, Response

from marketdata.errors import LiveSourceNotConfigured
from marketdata.providers.alpaca.configuration import AlpacaData, configured
from marketdata.providers.alpaca.ending import NotEntitled, Pace, ended_by_error, ended_by_message
from marketdata.providers.alpaca.stream import messages_of
from marketdata.providers.alpaca.subscriptions import Subscriptions
from marketdata.providers.alpaca.words import Unreadable, event_of, events_of_snapshot, moment, number
from marketdata.types import BidAsk, GapReason, StatusNews, TradeChange, TradePrint

D = Decimal
AT = datetime(2021, 2, 22, 15, 51, 44, 208123, tzinfo=UTC)
STAMP = msgpack.Timestamp.from_datetime(AT)
TRADE = {"T": "t", "i": 96921, "S": "AAPL", "x": "D", "p": 126.55, "s": 1, "t": STAMP, "c": ["@", "I"], "z": "C"}
QUOTE = {"T": "q", "S": "AMD", "bx": "U", "bp": 87.66, "bs": 1, "ax": "X", "ap": 87.68, "as": 4, "t": STAMP, "c": ["R"]}
STATUS = {"T": "s", "S": "AAPL", "sc": "H", "sm": "Halt", "rc": "T12", "rm": "Information", "t": STAMP, "z": "C"}


def test_a_trade_is_exact_and_an_odd_lot_counts():
    assert event_of(TRADE) == TradePrint("AAPL", D("126.55"), AT, "96921")


@pytest.mark.parametrize("condition", ["W", "B", "Z", "U", "4", "M", "P"])
def test_a_trade_off_the_market_of_its_moment_is_no_last_price(condition):
    assert event_of({**TRADE, "c": ["@", condition]}) is None


def test_a_quote_without_a_side_has_none():
    assert event_of(QUOTE) == BidAsk("AMD", D("87.66"), D("87.68"), AT)
    assert event_of({**QUOTE, "bp": 0}) == BidAsk("AMD", None, D("87.68"), AT)


@pytest.mark.parametrize(
    ("tape", "code", "halted"),
    [
        ("C", "H", True),
        ("C", "P", True),
        ("O", "Q", True),
        ("C", "T", False),
        ("A", "2", True),
        ("B", "3", False),
        ("A", "E", None),
        ("C", "2", None),
        ("C", "?", None),
        ("", "", None),
    ],
)
def test_halts_are_known_by_the_codes_of_their_tape(tape, code, halted):
    news = event_of({**STATUS, "z": tape, "sc": code})
    assert isinstance(news, StatusNews)
    assert (news.halted, news.status) == (halted, code)


def test_corrections_and_cancels_name_their_trade():
    correction = {"T": "c", "S": "AAPL", "oi": 96921, "op": 126.55, "cp": 126.5, "t": STAMP}
    assert event_of(correction) == TradeChange("AAPL", "96921", D("126.5"), AT)
    assert event_of({"T": "x", "S": "AAPL", "i": 96921, "p": 1.0, "t": STAMP}) == TradeChange("AAPL", "96921", None, AT)


@pytest.mark.parametrize("kind", ["b", "u", "d", "n", "o", "something new", 5, [], {}])
def test_kinds_of_no_interest_are_nothing(kind):
    assert event_of({"T": kind, "S": "AAPL"}) is None


@pytest.mark.parametrize(
    "broken",
    [
        {**TRADE, "p": None},
        {**TRADE, "p": "a lot"},
        {**TRADE, "p": True},
        {**TRADE, "p": float("nan")},
        {**TRADE, "p": float("inf")},
        {**TRADE, "p": 0},
        {**TRADE, "S": None},
        {**TRADE, "t": "yesterday"},
        {**TRADE, "t": "2021-02-22T15:51:44"},
        {**TRADE, "t": 1613},
        {**TRADE, "t": msgpack.Timestamp(1 << 62)},
        {**TRADE, "t": "0001-01-01T00:00:00+14:00"},
        {**TRADE, "S": "AAPL\0"},
        {**TRADE, "p": 1e9},
        {**TRADE, "p": 1e-9},
        {**QUOTE, "ap": 1e300},
        {"T": "l", "S": "AAPL", "u": 1e30, "d": 100, "t": STAMP},
        {**QUOTE, "ap": []},
        {"T": "l", "S": "AAPL", "u": 90, "d": 100, "t": STAMP},
        {"T": "c", "S": "AAPL", "t": STAMP},
    ],
)
def test_a_message_that_cannot_be_read_says_so(broken):
    with pytest.raises(Unreadable):
        event_of(broken)


def test_text_of_a_status_is_what_the_tables_take():
    told = event_of({"T": "s", "S": "AAPL", "sc": "H\0", "sm": "a\0b", "rc": "", "rm": "\ud800", "z": "C", "t": STAMP})
    assert isinstance(told, StatusNews)
    assert (told.status, told.status_text, told.reason_text) == ("H", "ab", "?")


@pytest.mark.parametrize("frame", [b"", b"\xc1", b"no", "text", msgpack.packb({"T": "t"}), msgpack.packb([1])])
def test_a_frame_that_is_no_array_of_messages_says_so(frame):
    with pytest.raises(Unreadable):
        messages_of(frame)


def test_times_are_read_to_the_microsecond():
    assert moment("2021-02-22T15:51:44.208123456Z") == AT
    assert moment("2021-02-22T10:51:44.208123-05:00") == AT
    assert number(0.1) == D("0.1")


def test_a_snapshot_may_lack_either_side_of_the_news():
    quote = {name: value for name, value in QUOTE.items() if name not in ("T", "S")}
    assert events_of_snapshot("AMD", {"latestQuote": quote, "latestTrade": None}) == [event_of(QUOTE)]
    assert events_of_snapshot("AMD", {}) == []


# why connections end

PACE = Pace()


@pytest.mark.parametrize(
    ("code", "reason", "pause"),
    [
        (402, GapReason.REFUSED, None),
        (401, GapReason.REFUSED, None),
        (404, GapReason.DISCONNECTED, None),
        (406, GapReason.OCCUPIED, 90),
        (407, GapReason.SLOW, None),
        (409, GapReason.NOT_ENTITLED, 1_800),
        (500, GapReason.DISCONNECTED, None),
        (None, GapReason.DISCONNECTED, None),
    ],
)
def test_errors_of_the_stream_have_a_reason_and_a_pause(code, reason, pause):
    ended = ended_by_message({"T": "error", "code": code, "msg": "words"}, PACE)
    assert (ended.reason, ended.pause) == (reason, pause)
    assert "words" in ended.detail
    assert isinstance(ended, NotEntitled) == (code == 409)


@pytest.mark.parametrize(
    ("error", "reason", "pause"),
    [
        (InvalidStatus(Response(429, "", Headers())), GapReason.OCCUPIED, 90),
        (InvalidStatus(Response(403, "", Headers())), GapReason.REFUSED, None),
        (InvalidStatus(Response(503, "", Headers())), GapReason.DISCONNECTED, None),
        (ConnectionClosedError(None, None), GapReason.DISCONNECTED, None),
        (TimeoutError(), GapReason.DISCONNECTED, None),
        (ConnectionRefusedError("nobody"), GapReason.DISCONNECTED, None),
    ],
)
def test_failed_connections_have_a_reason_and_a_pause(error, reason, pause):
    ended = ended_by_error(error, PACE)
    assert (ended.reason, ended.pause) == (reason, pause)


# what fits


def settle(subscriptions, server_limit):
    """Answer as a server with a symbol limit does; return the requests."""
    requests = []
    while (request := subscriptions.next_request()) is not None:
        requests.append(request)
        symbols = set(request["quotes"])
        now = subscriptions.given | symbols if request["action"] == "subscribe" else subscriptions.given - symbols
        if len(now) > server_limit:
            subscriptions.refused({"T": "error", "code": 405, "msg": "symbol limit exceeded"})
        else:
            subscriptions.confirmed({"T": "subscription", "quotes": sorted(now)})
        assert len(requests) < 50
    return requests


@pytest.mark.parametrize("limit", [0, 1, 7, 29, 30, 31, 1_000])
@pytest.mark.parametrize("wanted", [0, 1, 30, 450, 900])
def test_the_most_important_symbols_fit_in_and_the_rest_is_polled(limit, wanted):
    symbols = [f"S{number:03}" for number in range(wanted)]
    subscriptions = Subscriptions()
    subscriptions.want(symbols)
    subscriptions.begin()
    settle(subscriptions, limit)
    assert subscriptions.given == set(symbols[:limit])
    assert list(subscriptions.overflow) == symbols[limit:]
    assert bool(subscriptions.shortfall) == (wanted > limit)


def test_a_symbol_that_becomes_important_takes_the_place_of_another():
    subscriptions = Subscriptions()
    subscriptions.want(["A", "B", "C"])
    subscriptions.begin()
    settle(subscriptions, 2)
    subscriptions.want(["C", "A", "B"])
    settle(subscriptions, 2)
    assert subscriptions.given == {"A", "C"}


def test_channels_that_the_subscription_lacks_are_done_without_and_that_is_said():
    subscriptions = Subscriptions()
    subscriptions.want(["A"])
    subscriptions.begin()
    assert "lulds" in subscriptions.next_request()
    subscriptions.refused({"code": 410, "msg": "invalid subscribe action for this feed"})
    request = subscriptions.next_request()
    assert sorted(request) == ["action", "quotes", "trades"]
    subscriptions.confirmed({"quotes": ["A"]})
    assert subscriptions.shortfall == "no halts and price bands in this subscription"


# settings


@pytest.fixture
def keys(settings):
    settings.ALPACA_API_KEY_ID, settings.ALPACA_API_SECRET_KEY = "PK1", "secret"
    settings.ALPACA_DATA_URL = settings.ALPACA_DATA_STREAM_URL = ""
    settings.ALPACA_DATA_FEED = "iex"
    return settings


def test_without_addresses_it_is_alpaca(keys):
    assert configured() == AlpacaData("PK1", "secret")
    keys.ALPACA_DATA_FEED = "sip"
    assert configured().stream_url == "wss://stream.data.alpaca.markets/v2/sip"


@pytest.mark.parametrize(
    ("rest", "stream", "wanted"),
    [
        ("http://127.0.0.1:9000", "", "ws://127.0.0.1:9000/v2/iex"),
        ("https://data.example.org/", "", "wss://data.example.org/v2/iex"),
        ("http://127.0.0.1:9000", "ws://127.0.0.1:9001/v2/iex", "ws://127.0.0.1:9001/v2/iex"),
        ("http://127.0.0.1:9000", "ws://127.0.0.1:9001/v2/sip", "ws://127.0.0.1:9001/v2/iex"),
        ("", "ws://127.0.0.1:9001", "ws://127.0.0.1:9001/v2/iex"),
    ],
)
def test_the_stream_is_beside_the_data_where_only_that_is_given(keys, rest, stream, wanted):
    keys.ALPACA_DATA_URL, keys.ALPACA_DATA_STREAM_URL = rest, stream
    assert configured().stream_url == wanted


@pytest.mark.parametrize("name", ["ALPACA_API_KEY_ID", "ALPACA_API_SECRET_KEY"])
def test_missing_keys_are_named(keys, name):
    setattr(keys, name, "")
    with pytest.raises(LiveSourceNotConfigured, match=name):
        configured()
