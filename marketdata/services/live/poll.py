"""Newest prices by one request, where no stream is wanted."""

from collections.abc import Sequence
from datetime import datetime

from marketdata.clock import waiting_lead
from marketdata.models import Feed
from marketdata.providers.alpaca.configuration import configured
from marketdata.providers.alpaca.live import AlpacaLive
from marketdata.providers.base import LiveProvider
from marketdata.services.live.splits import effective_day, effective_splits
from marketdata.services.quotes import store_quotes
from marketdata.tape import Tape
from marketdata.types import BandNews, QuoteUpdate, StatusNews


def poll_latest_quotes(
    feed: Feed, symbols: Sequence[str], wall_now: datetime, provider: LiveProvider | None = None
) -> list[QuoteUpdate]:
    """Ask once for the newest quote and trade of each symbol, store what is newer, and return the views.

    A closed market answers with its last prices, in new shares after a split. Without a provider it is the one of the
    settings.
    :raises LiveSourceNotConfigured: there are no keys
    :raises LiveSourceError: no answer that can be read
    """
    if not symbols:
        return []
    source = provider or AlpacaLive(configured())
    horizon = feed.market_now(wall_now) + waiting_lead(feed.clock_state())
    tape = Tape(effective_splits(effective_day(feed.market_now(wall_now))))
    told: dict[str, None] = {}
    for event in source.latest(symbols):
        if not isinstance(event, StatusNews | BandNews) and event.at <= horizon:
            tape.take(event, f"{source.name} rest")
            told[event.symbol] = None
    quotes = [view for symbol in told if (view := tape.view(symbol)) is not None]
    store_quotes(feed=feed, quotes=quotes, wall_now=wall_now)
    return quotes
