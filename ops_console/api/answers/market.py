"""Quotes and bars."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from marketdata.models import Feed, Quote
from marketdata.types import FeedState
from ops_console.api.answers.parts import Answer, DecimalText, Instant, NullableDecimalText, Shape, page_of


class QuoteSerializer(Shape):
    """The latest view of one instrument; a side that the feed has not is null."""

    symbol = serializers.CharField()
    bid = NullableDecimalText()
    ask = NullableDecimalText()
    last = NullableDecimalText()
    at = Instant(help_text="Market time.")
    age_seconds = serializers.IntegerField(help_text="In trading time.", min_value=0)
    is_stale = serializers.BooleanField(help_text="Older than allowed: not used by any check.")
    source = serializers.CharField()  # type: ignore[assignment]


class QuotesSerializer(Shape):
    """Latest quotes of the desk's feed; symbols without one are listed apart."""

    feed = serializers.CharField()
    feed_state = serializers.ChoiceField(choices=FeedState.choices)
    market_at = Instant(help_text="Market time.")
    quotes = QuoteSerializer(many=True)
    missing = serializers.ListField(child=serializers.CharField())


class BarSerializer(Shape):
    """One daily bar."""

    symbol = serializers.CharField()
    date = serializers.DateField()
    open = DecimalText()
    high = DecimalText()
    low = DecimalText()
    close = DecimalText()
    volume = DecimalText(help_text="Shares.")


BarPageSerializer = page_of(BarSerializer, "BarPageSerializer")


def quote_answer(feed: Feed, quote: Quote, *, market_at: datetime, oldest: int) -> Answer:
    """Return one quote with its age at the market time; a quote of the future counts as stale."""
    age = feed.price_age(quote.at, market_at)
    return {
        "symbol": quote.instrument.symbol,
        "bid": quote.bid,
        "ask": quote.ask,
        "last": quote.last,
        "at": quote.at,
        "age_seconds": max(age, 0),
        "is_stale": not 0 <= age <= oldest,
        "source": quote.source,
    }


def quotes_answer(feed: Feed, quotes: list[Quote], *, market_at: datetime, oldest: int, wanted: list[str]) -> Answer:
    """Return the quotes that there are, and which of the wanted symbols have none."""
    found = {quote.instrument.symbol for quote in quotes}
    return {
        "feed": feed.name,
        "feed_state": feed.state,
        "market_at": market_at,
        "quotes": [quote_answer(feed, quote, market_at=market_at, oldest=oldest) for quote in quotes],
        "missing": [symbol for symbol in wanted if symbol not in found],
    }


def bar_answer(row: dict[str, Any]) -> Answer:
    """Return one bar; the lake keeps doubles, and the shortest text that reads back as the same double is sent."""
    numbers = {name: Decimal(repr(row[name])) for name in ("open", "high", "low", "close", "volume")}
    return {"symbol": row["symbol"], "date": row["date"], **numbers}
