"""Markets that fill orders: out of the sample, out of the database, set by hand."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from execution.emulator.bar_market import SampleMarket
from execution.emulator.clock import ClockError, VenueClock
from execution.emulator.faults import FaultPlan
from execution.emulator.lake_market import LakeMarket
from execution.emulator.log import EventLog
from execution.emulator.market import SteeredMarket
from execution.emulator.venue import Venue, VenueSettings
from marketdata.models import CorporateAction, Instrument
from tests.execution.emulator.venue_cases import MIDDAY, OPEN, body

REPOSITORY = Path(__file__).resolve().parents[3]
DAY = date(2012, 6, 14)


@pytest.fixture(scope="module")
def market() -> SampleMarket:
    """Return the sample's market: reading it takes a moment."""
    return SampleMarket()


def test_the_samples_auctions_are_its_bars(market):
    (bar,) = market.bars("AAPL", DAY, DAY)
    assert market.opening(DAY)["AAPL"].price == bar.open
    assert market.closing(DAY)["AAPL"].price == bar.close
    assert market.closing(DAY)["AAPL"].volume == bar.volume / 20
    assert market.previous_close("AAPL", DAY + timedelta(days=1)) == bar.close


def test_the_samples_quotes_stay_within_the_day(market):
    (bar,) = market.bars("IBM", DAY, DAY)
    for minutes in range(0, 390, 13):
        quote = market.quote("IBM", OPEN + timedelta(minutes=minutes))
        assert bar.low <= quote.last <= bar.high
        assert quote.bid < quote.last < quote.ask


def test_there_is_nothing_to_trade_with_out_of_session(market):
    night = OPEN - timedelta(hours=3)
    assert market.tick("IBM", after=night - timedelta(minutes=1), until=night) is None
    assert market.quote("IBM", night).last > 0


def test_a_days_volume_is_spread_evenly(market):
    (bar,) = market.bars("IBM", DAY, DAY)
    tick = market.tick("IBM", after=OPEN + timedelta(minutes=30), until=OPEN + timedelta(minutes=69))
    assert tick.volume == bar.volume / 10


def test_the_sample_knows_splits_and_dividends(market):
    (split,) = market.splits(date(2005, 1, 1), date(2005, 12, 31))
    assert (split.symbol, split.ex_date, split.ratio) == ("AAPL", date(2005, 2, 28), 2)
    assert {paid.symbol for paid in market.dividends(date(2012, 6, 1), date(2012, 12, 31))} >= {"AAPL", "IBM", "MSFT"}


def test_prices_set_by_hand_come_first(market):
    steered = SteeredMarket(market)
    steered.steered.say("IBM", last=Decimal(5), at=MIDDAY)
    assert steered.quote("IBM", MIDDAY).last == 5
    assert steered.quote("AAPL", MIDDAY).last > 100
    assert {quote.symbol for quote in steered.quotes_at(MIDDAY)} == {"AAPL", "FB", "GOOG", "IBM", "MSFT"}
    assert steered.listings["IBM"].exchange == "NYSE"


def test_a_replayed_day_fills_orders_the_same_each_time(market):
    def play() -> list[dict]:
        wall = [datetime(2026, 1, 5, tzinfo=UTC)]
        clock = VenueClock.replay(start=OPEN, end=None, speed=Decimal(390), wall=lambda: wall[0])
        log = EventLog()
        venue = Venue(settings=VenueSettings(), market=market, clock=clock, faults=FaultPlan(), log=log)
        for symbol in ("AAPL", "IBM"):
            venue.submit(body(symbol=symbol, qty="5"))
        for _ in range(70):
            wall[0] += timedelta(seconds=1)
            venue.pump(clock.now())
        return [entry.as_json() for entry in log.entries()]

    played = play()
    assert [entry["symbol"] for entry in played if entry["kind"] == "fill"] == ["AAPL", "IBM"]
    assert play() == played


def test_looks_that_follow_each_other_in_milliseconds_offer_whole_shares(market):
    clock = VenueClock.manual(MIDDAY)
    venue = Venue(settings=VenueSettings(), market=market, clock=clock, faults=FaultPlan(), log=EventLog())
    order = venue.submit(body(symbol="IBM", qty="5"))
    for _ in range(3):
        clock.advance(Decimal("0.05"))
        venue.pump(clock.now())
    assert venue.order(order["id"])["status"] == "filled"


def test_a_large_order_takes_its_share_of_the_volume_and_no_more(market):
    clock = VenueClock.manual(MIDDAY)
    log = EventLog()
    settings = VenueSettings(starting_cash=Decimal(10**9))
    venue = Venue(settings=settings, market=market, clock=clock, faults=FaultPlan(), log=log)
    venue.submit(body(symbol="IBM", qty="1000000"))
    for _ in range(20):
        clock.advance(Decimal(30))
        venue.pump(clock.now())
    (bar,) = market.bars("IBM", DAY, DAY)
    bought = log.positions()["IBM"]
    # Ten minutes, and the minute before the first look, of 390; a tenth of it.
    assert bar.volume / 390 * Decimal("0.95") < bought <= bar.volume / 390 * 11 / 10


@pytest.mark.django_db
def test_the_lakes_market_lists_the_stored_instruments():
    instrument = Instrument.objects.create(symbol="ZZZ", name="Zed", exchange="XNYS", shortable=False)
    CorporateAction.objects.create(instrument=instrument, kind="split", ex_date=DAY, ratio=Decimal(3))
    market = LakeMarket(symbols=["ZZZ"])
    assert market.listings["ZZZ"].exchange == "NYSE"
    assert not market.listings["ZZZ"].shortable
    assert market.splits(DAY, DAY)[0].ratio == 3
    assert market.quote("ZZZ", MIDDAY) is None


def test_a_clock_set_by_hand_stands_and_never_goes_back():
    clock = VenueClock.manual(MIDDAY)
    assert not clock.runs
    clock.advance(Decimal("1.5"))
    assert clock.now() == MIDDAY + timedelta(seconds=1.5)
    with pytest.raises(ClockError, match="never goes backward"):
        clock.set(MIDDAY)
    with pytest.raises(ClockError, match="only a replay"):
        clock.pause()


def test_a_replays_clock_is_paused_sped_up_and_set():
    wall = [datetime(2026, 1, 5, tzinfo=UTC)]
    clock = VenueClock.replay(start=OPEN, end=None, speed=Decimal(60), wall=lambda: wall[0])
    wall[0] += timedelta(seconds=10)
    assert clock.now() == OPEN + timedelta(minutes=10)
    clock.pause()
    wall[0] += timedelta(hours=1)
    assert clock.now() == OPEN + timedelta(minutes=10)
    clock.resume()
    clock.set_speed(Decimal(120))
    wall[0] += timedelta(seconds=10)
    assert clock.now() == OPEN + timedelta(minutes=30)
    clock.set(MIDDAY)
    assert clock.now() == MIDDAY
    with pytest.raises(ClockError, match="speed"):
        clock.set_speed(Decimal(0))


def test_a_real_clock_tells_the_walls_time():
    clock = VenueClock.real(lambda: MIDDAY)
    assert clock.now() == MIDDAY
    with pytest.raises(ClockError):
        clock.set(MIDDAY + timedelta(hours=1))


def test_the_venue_needs_neither_the_database_nor_settings():
    imports = "import sys, execution.emulator.venue, execution.emulator.bar_market"
    program = f"{imports}; print('execution.models' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
