"""A live market in the database: quotes, state, gaps, halts, and what happens when it is stopped or cannot store."""

from concurrent.futures import wait
from datetime import UTC, date, datetime, timedelta
from threading import Event

import polars as pl
import pytest
from django.db import Error, connection

from execution.emulator.faults import FaultKind
from execution.emulator.prices import band_message, status_message
from marketdata.adjustment import ACTION_SCHEMA
from marketdata.errors import LiveSourceError, LiveSourceNotConfigured
from marketdata.models import Feed, FeedGap, Quote, TradingStatus, UnreadableFrame
from marketdata.providers.alpaca.live import AlpacaLive
from marketdata.services.actions import store_actions
from marketdata.services.live import LiveMarket, LiveMarketBroken, live_market, poll_latest_quotes
from marketdata.services.subscriptions import hold, subscribe, unsubscribe
from marketdata.types import BidAsk, FeedState, GapReason, StatusNews, SubscriptionSource, TradePrint
from tests.marketdata.factories import WALL, make_feed, make_instrument
from tests.marketdata.providers.live_cases import HURRY, NOON, PATIENCE, D, data_of, emulator_at, fault, move


class Wall:
    """A wall clock that goes on a tenth of a second with each look."""

    def __init__(self):
        self.now = WALL

    def __call__(self):
        self.now += timedelta(milliseconds=100)
        return self.now


class Silent:
    """A provider that tells what a test lets it tell."""

    name = "silent"

    def __init__(self):
        self.wanted = []
        self.answers = []

    def latest(self, symbols):
        return self.answers

    def want(self, symbols):
        self.wanted.append(list(symbols))

    async def listen(self, listener):
        raise AssertionError("not started here")


@pytest.fixture
def feed(db):
    make_instrument("AAPL")
    make_instrument("IBM")
    return make_feed(market_at=NOON + timedelta(hours=1))


@pytest.fixture
def market(feed):
    return LiveMarket(feed=feed, provider=Silent(), clock=lambda: WALL)


def trade(price="100", at=NOON, symbol="AAPL", number="1"):
    return TradePrint(symbol, D(price), at, number)


def halt(at=NOON, halted=True):
    return StatusNews("AAPL", halted, "H" if halted else "T", "Trading Halt", "T12", "news", "C", at)


def told(market, *events, streamed=True):
    market.buffer.told(events, source="silent", streamed=streamed)


def test_a_batch_becomes_one_quote_of_each_instrument(feed, market):
    told(market, trade("100"), BidAsk("AAPL", D("99.9"), D("100.1"), NOON), trade("101", NOON + timedelta(seconds=1)))
    quotes = market.pump(WALL)
    assert [(each.symbol, each.last) for each in quotes] == [("AAPL", D(101))]
    assert Quote.objects.get(feed=feed).last == D(101)
    assert market.pump(WALL) == []


def test_callbacks_get_the_batch_with_the_market_time(feed):
    got = []
    market = LiveMarket(feed=feed, provider=Silent(), clock=lambda: WALL, on_quotes=lambda *call: got.append(call))
    told(market, trade())
    market.pump(WALL)
    assert [(len(quotes), at) for quotes, at in got] == [(1, feed.market_at)]


def test_a_quote_from_the_future_is_dropped_and_hides_nothing(feed, market):
    told(market, trade("500", NOON + timedelta(days=1)), trade("100"))
    market.pump(WALL)
    assert Quote.objects.get(feed=feed).last == D(100)
    assert market.buffer.counts["future"] == 1


def test_a_feed_is_live_by_its_stream_stale_by_polls_and_down_without(feed, market):
    market.buffer.connected()
    market.pump(WALL)
    assert (reloaded(feed).state, reloaded(feed).problem) == (FeedState.LIVE, "")
    market.buffer.lost(GapReason.DISCONNECTED, "the connection was closed")
    told(market, trade(), streamed=False)
    market.pump(WALL)
    now = reloaded(feed)
    assert now.state == FeedState.STALE
    assert now.problem == "stream: the connection was closed; prices are asked for by REST"
    assert now.problem_at == WALL
    market.pump(WALL + timedelta(seconds=30))
    assert reloaded(feed).state == FeedState.DOWN
    assert reloaded(feed).last_tick_at == WALL


def test_what_the_stream_does_not_give_is_told_while_it_lives(feed, market):
    market.buffer.degraded("prices are of iex, one exchange, alone")
    market.buffer.connected()
    market.pump(WALL)
    assert reloaded(feed).state == FeedState.LIVE
    assert "one exchange" in reloaded(feed).problem


def reloaded(feed):
    return Feed.objects.get(pk=feed.pk)


def test_each_gap_is_recorded_from_its_beginning_to_its_end(feed, market):
    market.buffer.lost(GapReason.DISCONNECTED, "closed")
    market.buffer.lost(GapReason.OCCUPIED, "406 connection limit exceeded")
    market.pump(WALL)
    gap = FeedGap.objects.get()
    assert (gap.reason, gap.ended_at) == (GapReason.OCCUPIED, None)
    market.buffer.connected()
    market.pump(WALL)
    assert FeedGap.objects.get().ended_at == WALL


def test_halts_and_resumptions_are_kept(feed, market):
    told(market, halt())
    market.pump(WALL)
    assert TradingStatus.objects.get(feed=feed).halted
    told(market, halt(NOON + timedelta(minutes=5), halted=False), halt(NOON + timedelta(minutes=4)))
    market.pump(WALL)
    assert not TradingStatus.objects.get(feed=feed).halted


def test_a_halt_whose_end_was_missed_is_over_when_the_instrument_trades_after_the_gap(feed, market):
    told(market, halt())
    market.pump(WALL)
    told(market, trade("100", NOON + timedelta(minutes=5)))
    market.pump(WALL + timedelta(seconds=2))
    assert TradingStatus.objects.get(feed=feed).halted, "a print during a halt is no resumption: nothing was missed"
    market.buffer.lost(GapReason.DISCONNECTED, "closed")
    market.buffer.connected()
    market.pump(WALL + timedelta(seconds=4))
    Feed.objects.filter(pk=feed.pk).update(market_at=feed.market_at + timedelta(hours=1))
    market.pump(WALL + timedelta(seconds=6))
    told(market, trade("101", feed.market_at + timedelta(minutes=30)))
    market.pump(WALL + timedelta(seconds=8))
    row = TradingStatus.objects.get(feed=feed)
    assert (row.halted, row.status) == (False, "presumed")


def test_frames_that_cannot_be_read_are_kept(feed, market):
    market.buffer.unreadable(b"\xff" * 100_000, "no msgpack")
    market.pump(WALL)
    frame = UnreadableFrame.objects.get()
    assert (frame.size, len(frame.content), frame.problem) == (100_000, 65_536, "no msgpack")


def test_problem_of_a_frame_is_kept_without_what_no_table_takes(feed, market):
    market.buffer.unreadable(b"", "symbol A\0B")
    market.pump(WALL)
    assert UnreadableFrame.objects.get().problem == "symbol AB"


def test_what_is_subscribed_is_wanted_from_the_source_within_a_second(feed, market):
    hold(feed=feed, source=SubscriptionSource.POSITION, holder="desk", symbols=["IBM"], wall_now=WALL)
    market.pump(WALL)
    subscribe(feed=feed, symbols=["AAPL"], operator="olivia", wall_now=WALL)
    market.pump(WALL + timedelta(milliseconds=500))
    market.pump(WALL + timedelta(seconds=1))
    unsubscribe(feed=feed, symbol="AAPL")
    market.pump(WALL + timedelta(seconds=2))
    assert market.provider.wanted == [["IBM"], ["IBM", "AAPL"], ["IBM"]]


def test_a_batch_that_could_not_be_stored_is_stored_by_the_next_round(feed, market, monkeypatch):
    told(market, trade("100"))
    with monkeypatch.context() as broken:
        broken.setattr("marketdata.services.live.market.store_quotes", unavailable)
        with pytest.raises(Error):
            market.pump(WALL)
    assert [each.last for each in market.pump(WALL)] == [D(100)]
    assert Quote.objects.get(feed=feed).last == D(100)


def test_a_batch_that_the_tables_refuse_does_not_hold_back_later_prices(feed, market):
    told(market, trade("100"), StatusNews("AAPL", True, "H", "a\0b", "", "", "C", NOON))
    with pytest.raises(Error):
        market.pump(WALL)
    told(market, trade("101", NOON + timedelta(seconds=1)))
    market.pump(WALL)
    assert Quote.objects.get(feed=feed).last == D(101)


def unavailable(**_):
    raise Error("the database is away")


def split_on_the_15th():
    actions = pl.DataFrame([("AAPL", "split", date(2012, 6, 15), 7.0, None)], schema=ACTION_SCHEMA, orient="row")
    store_actions(actions=actions, source="test")


def market_is_at(feed, *when):
    Feed.objects.filter(pk=feed.pk).update(market_at=datetime(*when, tzinfo=UTC))


def test_yesterdays_price_is_in_new_shares_from_the_morning_of_the_split_on(feed, market):
    split_on_the_15th()
    told(market, trade("700"))
    market.pump(WALL)
    assert Quote.objects.get(feed=feed).last == D(700)
    market_is_at(feed, 2012, 6, 15, 12, 59)
    market.pump(WALL + timedelta(seconds=1))
    assert Quote.objects.get(feed=feed).last == D(700), "the book is in old shares until half an hour before the open"
    market_is_at(feed, 2012, 6, 15, 13, 0)
    market.pump(WALL + timedelta(seconds=2))
    quote = Quote.objects.get(feed=feed)
    assert (quote.last, quote.at, quote.source) == (D(100), NOON, "silent, after split")
    told(market, trade("700"), streamed=False)
    market.pump(WALL + timedelta(seconds=3))
    assert Quote.objects.get(feed=feed).last == D(100), "the source tells the last trade of old again and again"


def test_a_poll_after_a_split_is_in_new_shares(feed):
    split_on_the_15th()
    market_is_at(feed, 2012, 6, 15, 13, 0)
    feed.refresh_from_db()
    provider = Silent()
    provider.answers = [trade("700")]
    assert poll_latest_quotes(feed, ["AAPL"], WALL, provider)[0].last == D(100)
    assert Quote.objects.get(feed=feed).last == D(100)


def test_one_answer_by_rest_is_stored_and_returned(feed):
    provider = Silent()
    provider.answers = [trade("100"), BidAsk("AAPL", D("99.99"), D("100.01"), NOON), trade("9", NOON, "NONE")]
    quotes = poll_latest_quotes(feed, ["AAPL", "NONE"], WALL, provider)
    assert [(each.symbol, each.last, each.bid) for each in quotes] == [
        ("AAPL", D(100), D("99.99")),
        ("NONE", D(9), None),
    ]
    assert Quote.objects.get(feed=feed).source == "silent rest"


def test_polling_nobody_asks_nobody(feed):
    assert poll_latest_quotes(feed, [], WALL) == []


def test_a_poll_of_a_source_that_is_away_is_an_error_with_its_reason(feed):
    with emulator_at() as emulator:
        config = data_of(emulator)
    with pytest.raises(LiveSourceError, match="no answer"):
        poll_latest_quotes(feed, ["AAPL"], WALL, AlpacaLive(config))


def test_without_keys_there_is_no_live_market(feed, settings):
    settings.ALPACA_API_KEY_ID = ""
    with pytest.raises(LiveSourceNotConfigured, match="ALPACA_API_KEY_ID"):
        live_market(feed=feed, clock=lambda: WALL)


# with threads, over real sockets


@pytest.fixture
def emulator():
    with emulator_at() as running:
        yield running


@pytest.fixture
def live_feed(transactional_db):
    make_instrument("AAPL")
    feed = make_feed(market_at=NOON + timedelta(hours=1))
    subscribe(feed=feed, symbols=["AAPL"], operator="olivia", wall_now=WALL)
    return feed


class Watched:
    """Batches as they were told; `wait` ends with the first quote that is as wanted."""

    def __init__(self):
        self.prices = []
        self.changed = Event()

    def __call__(self, quotes, market_at):
        self.prices += [each.last for each in quotes]
        self.changed.set()

    def wait(self, price):
        for _ in range(100):
            if D(price) in self.prices:
                return
            self.changed.clear()
            self.changed.wait(PATIENCE / 100)
        raise AssertionError(self.prices)


def started(feed, emulator, watched):
    market = LiveMarket(feed=feed, provider=AlpacaLive(data_of(emulator), HURRY), clock=Wall(), on_quotes=watched)
    market.start()
    return market


def test_a_started_market_streams_into_the_feed_and_leaves_it_down(live_feed, emulator):
    watched = Watched()
    market = started(live_feed, emulator, watched)
    try:
        watched.wait("100")
        move(emulator, "AAPL", "107")
        watched.wait("107")
        fault(emulator, FaultKind.DISCONNECT_STREAM)
        move(emulator, "AAPL", "108")
        watched.wait("108")
        market.check()
    finally:
        market.stop()
    assert Quote.objects.get(feed=live_feed).last == D(108)
    assert reloaded(live_feed).state == FeedState.DOWN
    assert FeedGap.objects.filter(ended_at=None).get().detail == "nobody listens to the market"
    market.stop()


def test_the_next_start_ends_the_gap_that_the_stop_began(live_feed, emulator):
    for _ in range(2):
        watched = Watched()
        market = started(live_feed, emulator, watched)
        try:
            watched.wait("100")
            await_state(live_feed, FeedState.LIVE)
        finally:
            market.stop()
    assert FeedGap.objects.filter(ended_at__isnull=False).count() == 2


def await_state(feed, state):
    for _ in range(1_000):
        if reloaded(feed).state == state:
            return
        Event().wait(0.01)
    raise AssertionError(reloaded(feed).state)


def test_halts_and_bands_reach_the_database_from_the_stream(live_feed, emulator):
    watched = Watched()
    market = started(live_feed, emulator, watched)
    try:
        await_state(live_feed, FeedState.LIVE)
        told_by_exchange = [
            status_message("AAPL", halted=True, at=NOON),
            band_message("AAPL", low=D(95), high=D(105), at=NOON),
        ]
        emulator.call(lambda: emulator.surface.stock.broadcast(told_by_exchange))
        move(emulator, "AAPL", "101")
        watched.wait("101")
    finally:
        market.stop()
    row = TradingStatus.objects.get(feed=live_feed)
    assert (row.halted, row.limit_down, row.limit_up) == (True, D(95), D(105))


def test_a_source_that_breaks_is_noticed(live_feed):
    class Broken(Silent):
        async def listen(self, listener):
            raise ValueError("a defect")

    market = LiveMarket(feed=live_feed, provider=Broken(), clock=Wall())
    market.start()
    try:
        wait([market._futures[0]], PATIENCE)
        with pytest.raises(LiveMarketBroken):
            market.check()
    finally:
        market.stop()


def test_a_connection_that_the_database_closed_is_opened_again(live_feed, emulator):
    watched = Watched()
    market = started(live_feed, emulator, watched)
    try:
        watched.wait("100")
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        move(emulator, "AAPL", "109")
        watched.wait("109")
        market.check()
    finally:
        market.stop()
