"""What stored bars say to the built-in exchange: auctions, ticks and the end of a session."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from execution.matching.events import (
    ClosingAuction,
    MarketEvent,
    OpeningAuction,
    QuoteTick,
    SessionEnd,
)
from marketdata import calendar
from marketdata.providers.replay import ReplayProvider
from marketdata.types import QuoteUpdate

AUCTION_SHARE = Decimal("0.05")
"""Share of a day's volume that trades in each auction; a daily bar does not tell, this is usual for large names."""
SOURCE = "auction print"


def opening_events(provider: ReplayProvider, day: date) -> list[MarketEvent]:
    """Return the opening auction of each symbol that has a bar."""
    at = calendar.session_open(day)
    return [
        OpeningAuction(symbol, price, volume * AUCTION_SHARE, at)
        for symbol, (price, volume) in sorted(provider.opening_prints(day).items())
    ]


def closing_events(provider: ReplayProvider, day: date) -> list[MarketEvent]:
    """Return the closing auction of each symbol that has a bar, and the end of the session."""
    at = calendar.session_close(day)
    prints = sorted(provider.closing_prints(day).items())
    return [
        *(ClosingAuction(symbol, price, volume * AUCTION_SHARE, at) for symbol, (price, volume) in prints),
        SessionEnd(day, at),
    ]


def opening_quotes(provider: ReplayProvider, day: date) -> list[QuoteUpdate]:
    """Return the opening prints as quotes."""
    return _print_quotes(provider.opening_prints(day), calendar.session_open(day))


def closing_quotes(provider: ReplayProvider, day: date) -> list[QuoteUpdate]:
    """Return the closing prints as quotes."""
    return _print_quotes(provider.closing_prints(day), calendar.session_close(day))


def _print_quotes(prints: dict[str, tuple[Decimal, Decimal]], at: datetime) -> list[QuoteUpdate]:
    return [QuoteUpdate(symbol, None, None, price, at, SOURCE) for symbol, (price, _) in sorted(prints.items())]


def ticks(
    provider: ReplayProvider, quotes: Sequence[QuoteUpdate], *, after: datetime, until: datetime
) -> list[MarketEvent]:
    """Return quotes of an open session as ticks, each with its part of the day's volume (shares, spread evenly)."""
    day = calendar.trading_date(until)
    opened, closed = calendar.session_open(day), calendar.session_close(day)
    part = Decimal((until - max(after, opened)) // timedelta(seconds=1)) / ((closed - opened) // timedelta(seconds=1))
    bars = provider.bars_on(day)
    return [
        QuoteTick(
            quote.symbol, quote.bid, quote.ask, quote.last, bars[quote.symbol].volume * max(part, Decimal(0)), until
        )
        for quote in quotes
        if quote.last is not None and quote.symbol in bars
    ]
