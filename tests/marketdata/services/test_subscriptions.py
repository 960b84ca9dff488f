"""References to live prices: counted by source, kept in the database, gone with the last one."""

from datetime import timedelta

import pytest
from django.db import IntegrityError

from marketdata.models import MarketSubscription
from marketdata.services import subscriptions as service
from marketdata.services.subscriptions import (
    SubscriptionRefused,
    hold,
    subscribe,
    subscriptions,
    unsubscribe,
    wanted_symbols,
)
from marketdata.types import SubscriptionSource
from tests.marketdata.factories import WALL, make_feed, make_instrument

pytestmark = pytest.mark.django_db
Source = SubscriptionSource


@pytest.fixture
def feed():
    for symbol in ("AAPL", "IBM", "MSFT"):
        make_instrument(symbol)
    return make_feed()


def take(feed, *symbols, source=Source.POSITION, holder="desk"):
    return hold(feed=feed, source=source, holder=holder, symbols=symbols, wall_now=WALL)


def test_an_instrument_is_wanted_while_anybody_wants_it(feed):
    take(feed, "AAPL")
    take(feed, "AAPL", source=Source.WATCH_LIST, holder="momentum")
    take(feed, "AAPL", source=Source.WATCH_LIST, holder="reversal")
    subscribe(feed=feed, symbols=["AAPL"], operator="olivia", wall_now=WALL + timedelta(hours=1))
    (view,) = subscriptions(feed)
    assert (view.references, view.sources, view.since) == (
        4,
        {"manual": 1, "position": 1, "watch_list": 2},
        WALL,
    )
    for holder in ("momentum", "reversal"):
        take(feed, source=Source.WATCH_LIST, holder=holder)
    take(feed)
    assert wanted_symbols(feed) == ["AAPL"]
    assert unsubscribe(feed=feed, symbol="AAPL") is None
    assert wanted_symbols(feed) == []


def test_holding_makes_the_references_of_one_holder_exactly_these(feed):
    assert take(feed, "AAPL", "IBM")
    take(feed, "MSFT", holder="other")
    assert take(feed, "IBM", "MSFT")
    rows = MarketSubscription.objects.filter(holder="desk").values_list("instrument__symbol", flat=True)
    assert sorted(rows) == ["IBM", "MSFT"]
    assert MarketSubscription.objects.filter(holder="other").count() == 1


def test_holding_the_same_costs_one_query(feed, django_assert_num_queries):
    take(feed, "AAPL", "IBM")
    with django_assert_num_queries(1):
        assert not take(feed, "AAPL", "IBM")


def test_symbols_that_nobody_knows_are_held_by_nobody(feed):
    take(feed, "AAPL", "NOPE")
    assert wanted_symbols(feed) == ["AAPL"]


def test_positions_and_open_orders_come_before_what_is_only_watched(feed):
    make_instrument("A")
    take(feed, "A", "AAPL", source=Source.WATCH_LIST, holder="universe")
    subscribe(feed=feed, symbols=["IBM"], operator="olivia", wall_now=WALL)
    take(feed, "AAPL", source=Source.OPEN_ORDER)
    take(feed, "MSFT")
    assert wanted_symbols(feed) == ["MSFT", "AAPL", "IBM", "A"]


def test_feeds_do_not_share_references(feed):
    take(feed, "AAPL")
    assert wanted_symbols(make_feed("other")) == []


def test_asking_by_hand_again_changes_nothing(feed):
    assert subscribe(feed=feed, symbols=["AAPL", "IBM"], operator="olivia", wall_now=WALL) == ["AAPL", "IBM"]
    assert subscribe(feed=feed, symbols=["AAPL", "MSFT"], operator="piet", wall_now=WALL) == ["MSFT"]
    assert MarketSubscription.objects.get(instrument__symbol="AAPL").operator == "olivia"


def test_what_is_refused_is_named(feed, monkeypatch):
    with pytest.raises(SubscriptionRefused, match="NOPE: no instrument"):
        subscribe(feed=feed, symbols=["AAPL", "NOPE"], operator="olivia", wall_now=WALL)
    with pytest.raises(SubscriptionRefused, match="IBM is not subscribed by hand"):
        unsubscribe(feed=feed, symbol="IBM")
    monkeypatch.setattr(service, "MOST_MANUAL", 1)
    with pytest.raises(SubscriptionRefused, match="2 instruments by hand are not allowed: 1 are"):
        subscribe(feed=feed, symbols=["AAPL", "IBM"], operator="olivia", wall_now=WALL)


@pytest.mark.parametrize("fields", [{"source": "whim"}, {"source": Source.MANUAL, "holder": "somebody"}])
def test_the_database_refuses_what_makes_no_sense(feed, fields):
    with pytest.raises(IntegrityError):
        MarketSubscription.objects.create(feed=feed, instrument=make_instrument(), **fields)
