"""Halts and price bands in the database reach the gate, of this feed and this session only."""

from datetime import timedelta
from decimal import Decimal

import pytest

from marketdata.services.statuses import store_statuses
from marketdata.types import BandNews, StatusNews
from risk.types import DenialCode, OrderType
from tests.factories import MARKET_AT, WALL_NOW, make_account, make_feed, submit

D = Decimal


@pytest.fixture
def account(db):
    return make_account()


def tell(feed, *news):
    store_statuses(feed=feed, news=news, source="test", wall_now=WALL_NOW)


def halt(at=MARKET_AT, halted=True):
    return StatusNews("AAPL", halted, "H", "Trading Halt", "T1", "news pending", "C", at)


def band(at=MARKET_AT):
    return BandNews("AAPL", D(98), D(102), "B", at)


def codes(result):
    return [denial.code for denial in result.denials]


def test_a_halted_name_is_denied_until_it_trades_again(account):
    tell(account.feed, halt())
    denied = submit(account)
    assert codes(denied) == [DenialCode.HALTED]
    assert "news pending" in denied.denials[0].message
    tell(account.feed, halt(MARKET_AT + timedelta(minutes=1), halted=False))
    assert codes(submit(account)) == []


def test_a_halt_of_another_feed_is_not_ours(account):
    tell(make_feed(), halt())
    assert codes(submit(account)) == []


def test_a_limit_beyond_the_band_of_this_session_is_denied(account):
    tell(account.feed, band())
    wish = {"order_type": OrderType.LIMIT, "limit_price": D("102.01")}
    assert codes(submit(account, **wish)) == [DenialCode.LULD_BAND]
    assert codes(submit(account, **wish | {"limit_price": D(102)})) == []


def test_the_band_of_another_session_does_not_bind(account):
    tell(account.feed, band(MARKET_AT - timedelta(days=1)))
    assert codes(submit(account, order_type=OrderType.LIMIT, limit_price=D("102.01"))) == []
