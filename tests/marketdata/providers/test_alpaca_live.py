"""The live provider against an emulated Alpaca over real sockets: what it tells, and how it survives."""

from itertools import count

import msgpack
import pytest

from execution.emulator.faults import FaultKind
from execution.emulator.prices import band_message, status_message
from marketdata.providers.alpaca.live import AlpacaLive
from marketdata.types import BandNews, BidAsk, GapReason, StatusNews, TradePrint
from tests.marketdata.providers.live_cases import HURRY, NOON, D, data_of, emulator_at, fault, listening, move


@pytest.fixture
def emulator():
    with emulator_at() as running:
        yield running


@pytest.fixture
def provider(emulator):
    return AlpacaLive(data_of(emulator), HURRY)


def trades(events, symbol="AAPL"):
    return [event.price for event in events if isinstance(event, TradePrint) and event.symbol == symbol]


def test_quotes_and_trades_are_told_with_exact_prices(emulator, provider):
    with listening(provider, "AAPL") as heard:
        heard.wait(lambda: heard.connections)
        move(emulator, "AAPL", "101.07")
        heard.wait(lambda: D("101.07") in trades(heard.streamed))
    quotes = [event for event in heard.streamed if isinstance(event, BidAsk)]
    assert (quotes[-1].bid, quotes[-1].ask) == (D("101.06"), D("101.08"))
    assert quotes[-1].at > NOON
    assert {event.symbol for event in heard.streamed} == {"AAPL"}
    assert heard.frames == []


def test_what_is_wanted_later_is_subscribed_and_what_is_not_wanted_any_more_is_not(emulator, provider):
    with listening(provider, "AAPL") as heard:
        heard.wait(lambda: heard.connections)
        provider.want(["IBM"])
        emulator_knows(emulator, {"IBM"})
        move(emulator, "AAPL", "102")
        move(emulator, "IBM", "103")
        heard.wait(lambda: trades(heard.streamed, "IBM"))
        assert D(102) not in trades(heard.streamed)


def emulator_knows(emulator, symbols):
    for _ in range(500):
        if emulator.call(lambda: emulator.surface.stock.subscribed("quotes")) == symbols:
            return
    raise AssertionError(emulator.call(lambda: emulator.surface.stock.subscribed("quotes")))


def test_halts_and_bands_are_told(emulator, provider):
    messages = [
        status_message("AAPL", halted=True, at=NOON),
        band_message("AAPL", low=D("95.5"), high=D("105.5"), at=NOON),
        status_message("AAPL", halted=False, at=NOON),
    ]
    with listening(provider, "AAPL") as heard:
        heard.wait(lambda: heard.connections)
        emulator.call(lambda: emulator.surface.stock.broadcast(messages))
        heard.wait(lambda: len([each for each in heard.streamed if isinstance(each, StatusNews)]) == 2)
    statuses = [each.halted for each in heard.streamed if isinstance(each, StatusNews)]
    bands = [each for each in heard.streamed if isinstance(each, BandNews)]
    assert statuses == [True, False]
    assert (bands[0].limit_down, bands[0].limit_up) == (D("95.5"), D("105.5"))


def test_a_cut_connection_is_made_again_with_its_subscription_and_prices_are_polled_for(emulator, provider):
    with listening(provider, "AAPL") as heard:
        heard.wait(lambda: heard.connections == 1)
        polls = len(heard.polled)
        fault(emulator, FaultKind.DISCONNECT_STREAM)
        heard.wait(lambda: heard.connections == 2)
        move(emulator, "AAPL", "104")
        heard.wait(lambda: D(104) in trades(heard.streamed))
        heard.wait(lambda: len(heard.polled) > polls, "what happened in the gap is asked for")
    assert heard.reasons()[0] == GapReason.DISCONNECTED


def test_a_mute_stream_is_found_out_by_rest_and_cut(emulator, provider):
    with listening(provider, "AAPL") as heard:
        heard.wait(lambda: heard.connections == 1)
        heard.wait(lambda: heard.polled)
        fault(emulator, FaultKind.MUTE_STREAM, times=1)
        prices = count(110)
        for price in prices:
            move(emulator, "AAPL", str(price))
            if GapReason.SILENT in heard.reasons():
                break
            with heard.changed:
                heard.changed.wait(0.1)
            assert price < 210
        heard.wait(lambda: heard.connections == 2)
        move(emulator, "AAPL", "300")
        heard.wait(lambda: D(300) in trades(heard.streamed))


def test_a_quiet_market_is_not_a_mute_stream(emulator, provider):
    with listening(provider, "AAPL") as heard:
        heard.wait(lambda: heard.connections == 1)
        heard.wait(lambda: len(heard.polled) >= 10)
    assert heard.losses == []


def test_a_second_connection_waits_and_polls_until_the_first_has_gone(emulator):
    first, second = AlpacaLive(data_of(emulator), HURRY), AlpacaLive(data_of(emulator), HURRY)
    with listening(second) as waiting:
        waiting.wait(lambda: waiting.connections == 1)
        with listening(first, "IBM") as refused:
            refused.wait(lambda: GapReason.OCCUPIED in refused.reasons())
            refused.wait(lambda: trades(refused.polled, "IBM"))
            assert refused.connections == 0


def test_an_occupied_stream_is_not_hammered(emulator):
    holder, second = AlpacaLive(data_of(emulator), HURRY), AlpacaLive(data_of(emulator), HURRY)
    with listening(holder) as holding:
        holding.wait(lambda: holding.connections == 1)
        with listening(second, "IBM") as refused:
            refused.wait(lambda: len(refused.polled) >= 20)
            # 10 polls of 50 ms each take half a second: at most three attempts of 300 ms fit in
            assert len(refused.losses) <= 4


def test_a_refused_login_is_told_and_tried_again_more_slowly(emulator):
    provider = AlpacaLive(data_of(emulator), HURRY)
    fault(emulator, FaultKind.REFUSE_STREAM_LOGIN, times=3)
    with listening(provider, "AAPL") as heard:
        heard.wait(lambda: heard.connections == 1)
    assert heard.reasons() == [GapReason.REFUSED] * 3
    assert "402" in heard.losses[0][1]


def test_refused_connections_wait_as_if_occupied(emulator, provider):
    fault(emulator, FaultKind.REFUSE_STREAM, parameters={"seconds": 0.2})
    with listening(provider, "AAPL") as heard:
        heard.wait(lambda: heard.connections == 1)
    assert heard.reasons()[0] == GapReason.OCCUPIED


def test_sip_that_is_not_in_the_subscription_becomes_iex_and_says_so(emulator):
    emulator.surface.stock.refused_feeds = frozenset({"sip"})
    provider = AlpacaLive(data_of(emulator).on_feed("sip"), HURRY)
    with listening(provider, "AAPL") as heard:
        heard.wait(lambda: heard.connections == 1)
        move(emulator, "AAPL", "101")
        heard.wait(lambda: D(101) in trades(heard.streamed))
    assert heard.reasons() == [GapReason.NOT_ENTITLED]
    assert "prices are of iex" in heard.shortfall
    assert provider.name == "alpaca iex"
    assert heard.sources[-1].startswith("alpaca iex")


def test_iex_that_is_refused_is_polled(emulator):
    emulator.surface.stock.refused_feeds = frozenset({"iex"})
    provider = AlpacaLive(data_of(emulator), HURRY)
    with listening(provider, "AAPL") as heard:
        heard.wait(lambda: heard.reasons() and trades(heard.polled))
    assert set(heard.reasons()) == {GapReason.NOT_ENTITLED}
    assert heard.connections == 0


def test_symbols_that_do_not_fit_into_the_stream_are_polled():
    symbols = [f"S{number}" for number in range(10)]
    with emulator_at(symbols=symbols) as emulator:
        emulator.surface.stock.most_symbols = 7
        provider = AlpacaLive(data_of(emulator), HURRY)
        with listening(provider, *symbols) as heard:
            heard.wait(lambda: "takes 7 symbols, 10 are wanted" in heard.shortfall)
            assert provider.subscriptions.given == set(symbols[:7])
            move(emulator, "S9", "120")
            heard.wait(lambda: D(120) in trades(heard.polled, "S9"))
    assert heard.losses == []


def test_a_frame_that_cannot_be_read_is_kept_and_the_rest_goes_on(emulator, provider):
    broken = [
        {"T": "t", "S": "AAPL", "p": -5, "s": 1, "c": [], "i": 1, "x": "V", "z": "C", "t": NOON},
        {"T": "q", "S": "AAPL", "bp": "ninety", "ap": 1, "as": 1, "bs": 1, "c": [], "ax": "V", "bx": "V", "t": NOON},
    ]
    with listening(provider, "AAPL") as heard:
        heard.wait(lambda: heard.connections == 1)
        emulator.call(lambda: emulator.surface.stock.broadcast(broken))
        heard.wait(lambda: len(heard.frames) == 2)
        move(emulator, "AAPL", "105")
        heard.wait(lambda: D(105) in trades(heard.streamed))
    assert msgpack.unpackb(heard.frames[0][0])["p"] == -5
    assert "p -5: above 0 is needed" in heard.frames[0][1]
    assert heard.losses == []


def test_without_anybody_there_it_says_so_and_comes_back_by_itself():
    emulator = emulator_at()
    emulator.start()
    port = int(emulator.url.rpartition(":")[2])
    provider = AlpacaLive(data_of(emulator), HURRY)
    emulator.close()
    with listening(provider, "AAPL") as heard:
        heard.wait(lambda: len(heard.losses) >= 2)
        with emulator_at(port=port) as running:
            heard.wait(lambda: heard.connections == 1)
            move(running, "AAPL", "106")
            heard.wait(lambda: D(106) in trades(heard.streamed))
    assert set(heard.reasons()) == {GapReason.DISCONNECTED}
