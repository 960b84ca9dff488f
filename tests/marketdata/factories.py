"""Rows of market data for tests."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from marketdata.models import Feed, Instrument, Quote
from marketdata.types import FeedKind, QuoteUpdate

WALL = datetime(2024, 3, 1, 12, tzinfo=UTC)
NOON = datetime(2012, 6, 14, 16, tzinfo=UTC)


def make_instrument(symbol: str = "AAPL", **fields: Any) -> Instrument:
    return Instrument.objects.get_or_create(symbol=symbol, defaults=fields)[0]


def make_feed(name: str = "main", **fields: Any) -> Feed:
    return Feed.objects.create(name=name, **{"kind": FeedKind.MANUAL, "market_at": NOON, **fields})


def make_quote(feed: Feed, symbol: str = "AAPL", **fields: Any) -> Quote:
    values = {
        "bid": Decimal("9.99"),
        "ask": Decimal("10.01"),
        "last": Decimal(10),
        "at": NOON,
        "source": "test",
        **fields,
    }
    return Quote.objects.create(feed=feed, instrument=make_instrument(symbol), **values)


def quote(symbol: str = "AAPL", **fields: Any) -> QuoteUpdate:
    values = {
        "bid": Decimal("9.99"),
        "ask": Decimal("10.01"),
        "last": Decimal(10),
        "at": NOON,
        "source": "test",
        **fields,
    }
    return QuoteUpdate(symbol=symbol, **values)
