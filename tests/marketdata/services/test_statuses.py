"""Halts and bands: the newest word counts, and an end that was missed is presumed only after a gap."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError

from marketdata.models import TradingStatus
from marketdata.services.statuses import halted_symbols, presume_traded, store_statuses
from marketdata.types import BandNews, StatusNews, TradePrint
from tests.marketdata.factories import NOON, WALL, make_feed, make_instrument

pytestmark = pytest.mark.django_db
D = Decimal


@pytest.fixture
def feed():
    make_instrument("AAPL")
    return make_feed()


def at(minutes):
    return NOON + timedelta(minutes=minutes)


def status(halted, minutes=0, code="H", symbol="AAPL"):
    return StatusNews(symbol, halted, code, "words", "T1", "news pending", "C", at(minutes))


def band(low, high, minutes=0):
    return BandNews("AAPL", D(low), D(high), "B", at(minutes))


def tell(feed, *news):
    return store_statuses(feed=feed, news=news, source="test", wall_now=WALL)


def row():
    return TradingStatus.objects.get()


def test_the_newest_word_counts_whatever_comes_first(feed):
    assert tell(feed, status(False, 5, "T"), status(True, 1)) == 1
    assert not row().halted
    assert tell(feed, status(True, 3)) == 0
    assert not row().halted


def test_a_code_that_says_neither_keeps_what_was(feed):
    tell(feed, status(True))
    tell(feed, status(None, 1, "E"))
    assert (row().halted, row().status) == (True, "E")


def test_bands_and_statuses_do_not_disturb_each_other(feed):
    tell(feed, status(True), band(95, 105))
    tell(feed, band(96, 106, 1))
    tell(feed, band(90, 100, 0))
    assert (row().halted, row().limit_down, row().limit_up) == (True, D(96), D(106))


def test_instruments_nobody_knows_are_left_out(feed):
    assert tell(feed, status(True, symbol="NOPE")) == 0
    assert halted_symbols(feed) == []


def presume(feed, minutes, missed):
    trades = [TradePrint("AAPL", D(100), at(minutes), "")]
    return presume_traded(feed=feed, trades=trades, missed_since=at(missed), wall_now=WALL)


def test_a_trade_after_a_gap_ends_a_halt_and_one_before_does_not(feed):
    tell(feed, status(True, 10))
    assert presume(feed, 12, missed=5) == [], "the gap was over before the halt: nothing was missed"
    assert presume(feed, 12, missed=15) == [], "the trade is older than the gap's end"
    assert presume(feed, 16, missed=15) == ["AAPL"]
    assert (row().halted, row().status_at) == (False, at(16))
    assert presume(feed, 17, missed=15) == []


def test_a_halt_told_after_the_presumption_counts_again(feed):
    tell(feed, status(True, 10))
    presume(feed, 16, missed=15)
    tell(feed, status(True, 20))
    assert halted_symbols(feed) == ["AAPL"]


@pytest.mark.parametrize(
    "fields",
    [
        {"halted": True},
        {"limit_down": D(95)},
        {"limit_down": D(105), "limit_up": D(95), "bands_at": NOON},
        {"limit_down": D(0), "limit_up": D(95), "bands_at": NOON},
    ],
)
def test_the_database_refuses_what_makes_no_sense(feed, fields):
    with pytest.raises(IntegrityError):
        TradingStatus.objects.create(feed=feed, instrument=make_instrument(), source="test", **fields)
