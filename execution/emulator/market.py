"""The market that fills orders at the emulated broker: quotes, auction prints, corporate actions, listings.

`Market` is the port. `ScriptedMarket` knows only what it is told, for tests; `SteeredMarket` is any market whose prices
can be overruled and whose symbols can be halted. Markets made of stored bars are in `bar_market`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from execution.matching.events import QuoteTick
from marketdata.types import QuoteUpdate

SCRIPT = "script"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A security that can be traded; `exchange` is Alpaca's word for it."""

    symbol: str
    name: str = ""
    exchange: str = "NASDAQ"
    tradable: bool = True
    shortable: bool = True
    fractionable: bool = True
    active: bool = True


@dataclass(frozen=True, slots=True)
class Print:
    """The one price of an auction; `volume` is what may trade in it (shares), None any number."""

    price: Decimal
    volume: Decimal | None


@dataclass(frozen=True, slots=True)
class Bar:
    """One session of a symbol, unadjusted; prices account currency a share, volume in shares."""

    date: date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class Dividend:
    """Cash a share, account currency, to whoever holds it when the session of the ex-date begins."""

    symbol: str
    ex_date: date
    cash: Decimal


@dataclass(frozen=True, slots=True)
class Split:
    """`ratio` new shares for an old one from the session of the ex-date on."""

    symbol: str
    ex_date: date
    ratio: Decimal


class Market(Protocol):
    """What happens outside the broker. Only the calendar says when sessions are."""

    @property
    def listings(self) -> Mapping[str, Listing]:
        """Return every security by symbol."""
        ...

    def quote(self, symbol: str, at: datetime) -> QuoteUpdate | None:
        """Return the newest view of a symbol at an instant, None when it never had a price; it has a last price."""
        ...

    def quotes_at(self, at: datetime) -> list[QuoteUpdate]:
        """Return the newest view of every symbol that has one."""
        ...

    def tick(self, symbol: str, *, after: datetime, until: datetime) -> QuoteTick | None:
        """Return what an order can trade with at `until`; its volume is what has traded since `after`."""
        ...

    def opening(self, day: date) -> Mapping[str, Print]:
        """Return the prints of the opening auction by symbol."""
        ...

    def closing(self, day: date) -> Mapping[str, Print]:
        """Return the prints of the closing auction by symbol."""
        ...

    def previous_close(self, symbol: str, day: date) -> Decimal | None:
        """Return the last close before a session, in the shares of that session; None when there is none."""
        ...

    def bars(self, symbol: str, start: date, end: date) -> list[Bar]:
        """Return daily bars from start to end, both included."""
        ...

    def splits(self, start: date, end: date) -> list[Split]:
        """Return the splits with an ex-date from start to end."""
        ...

    def dividends(self, start: date, end: date) -> list[Dividend]:
        """Return the dividends with an ex-date from start to end."""
        ...


@dataclass(slots=True)
class _Told:
    """What a script last said of a symbol; `left` is volume that nobody has been offered yet."""

    quote: QuoteUpdate
    last: Decimal
    limits_volume: bool
    left: Decimal


class ScriptedMarket:
    """A market that knows what it is told. Without prints of its own an auction has the last price, any volume."""

    def __init__(self, symbols: Collection[str] = ("AAPL", "FB", "GOOG", "IBM", "MSFT")) -> None:
        self._listings = {symbol: Listing(symbol=symbol, name=symbol) for symbol in sorted(symbols)}
        self._told: dict[str, _Told] = {}
        self._closes: dict[str, Decimal] = {}
        self._openings: dict[date, dict[str, Print]] = {}
        self._closings: dict[date, dict[str, Print]] = {}
        self._splits: list[Split] = []
        self._dividends: list[Dividend] = []

    @property
    def listings(self) -> Mapping[str, Listing]:
        """Return every security by symbol."""
        return self._listings

    def add_listing(self, listing: Listing) -> None:
        """Add a security, or change one."""
        self._listings[listing.symbol] = listing

    def say(
        self,
        symbol: str,
        *,
        last: Decimal,
        at: datetime,
        bid: Decimal | None = None,
        ask: Decimal | None = None,
        volume: Decimal | None = None,
    ) -> None:
        """Set the newest view; `volume` (shares) is what trades at it, once; None any number until the next view."""
        self._listings.setdefault(symbol, Listing(symbol=symbol, name=symbol))
        quote = QuoteUpdate(symbol, bid, ask, last, at, SCRIPT)
        self._told[symbol] = _Told(quote, last, volume is not None, volume or Decimal(0))

    def print_opening(self, day: date, symbol: str, price: Decimal, volume: Decimal | None = None) -> None:
        """Set the opening auction of a session."""
        self._openings.setdefault(day, {})[symbol] = Print(price, volume)

    def print_closing(self, day: date, symbol: str, price: Decimal, volume: Decimal | None = None) -> None:
        """Set the closing auction of a session."""
        self._closings.setdefault(day, {})[symbol] = Print(price, volume)

    def set_previous_close(self, symbol: str, price: Decimal) -> None:
        """Set the close that the day's change is measured from."""
        self._closes[symbol] = price

    def add_split(self, split: Split) -> None:
        """Let a split come on its ex-date."""
        self._splits.append(split)

    def add_dividend(self, dividend: Dividend) -> None:
        """Let a dividend come on its ex-date."""
        self._dividends.append(dividend)

    def quote(self, symbol: str, at: datetime) -> QuoteUpdate | None:
        """Return the newest view that was told."""
        told = self._told.get(symbol)
        return None if told is None else told.quote

    def quotes_at(self, at: datetime) -> list[QuoteUpdate]:
        """Return the newest view of every symbol that was told of."""
        return [self._told[symbol].quote for symbol in sorted(self._told)]

    def tick(self, symbol: str, *, after: datetime, until: datetime) -> QuoteTick | None:
        """Return the newest view as a tick; one with a volume is offered once."""
        told = self._told.get(symbol)
        if told is None or (told.limits_volume and not told.left):
            return None
        volume, told.left = (told.left if told.limits_volume else None), Decimal(0)
        return QuoteTick(symbol, told.quote.bid, told.quote.ask, told.last, volume, until)

    def opening(self, day: date) -> Mapping[str, Print]:
        """Return the prints that were told, the last price for every other symbol."""
        return self._last_prices() | self._openings.get(day, {})

    def closing(self, day: date) -> Mapping[str, Print]:
        """Return the prints that were told, the last price for every other symbol."""
        return self._last_prices() | self._closings.get(day, {})

    def previous_close(self, symbol: str, day: date) -> Decimal | None:
        """Return the close that was told."""
        return self._closes.get(symbol)

    def bars(self, symbol: str, start: date, end: date) -> list[Bar]:
        """Return nothing: a script has no past."""
        return []

    def splits(self, start: date, end: date) -> list[Split]:
        """Return the splits that were told."""
        return [split for split in self._splits if start <= split.ex_date <= end]

    def dividends(self, start: date, end: date) -> list[Dividend]:
        """Return the dividends that were told."""
        return [dividend for dividend in self._dividends if start <= dividend.ex_date <= end]

    def _last_prices(self) -> dict[str, Print]:
        return {symbol: Print(told.last, None) for symbol, told in sorted(self._told.items())}


class SteeredMarket:
    """Any market, with prices that were set by hand before its own, and symbols that are halted."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.steered = market if isinstance(market, ScriptedMarket) else ScriptedMarket(symbols=())
        self.halted: set[str] = set()

    @property
    def listings(self) -> Mapping[str, Listing]:
        """Return every security by symbol."""
        return {**self.steered.listings, **self.market.listings}

    def quote(self, symbol: str, at: datetime) -> QuoteUpdate | None:
        """Return the view set by hand, otherwise the market's."""
        return self.steered.quote(symbol, at) or self.market.quote(symbol, at)

    def quotes_at(self, at: datetime) -> list[QuoteUpdate]:
        """Return the newest view of every symbol, those set by hand first."""
        quotes = {quote.symbol: quote for quote in [*self.market.quotes_at(at), *self.steered.quotes_at(at)]}
        return [quotes[symbol] for symbol in sorted(quotes)]

    def tick(self, symbol: str, *, after: datetime, until: datetime) -> QuoteTick | None:
        """Return what can be traded with, nothing while the symbol is halted."""
        if symbol in self.halted:
            return None
        by_hand = self.steered.quote(symbol, until) is not None
        return (self.steered if by_hand else self.market).tick(symbol, after=after, until=until)

    def opening(self, day: date) -> dict[str, Print]:
        """Return the opening prints of what is not halted."""
        return self._running({**self.market.opening(day), **self.steered.opening(day)})

    def closing(self, day: date) -> dict[str, Print]:
        """Return the closing prints of what is not halted."""
        return self._running({**self.market.closing(day), **self.steered.closing(day)})

    def previous_close(self, symbol: str, day: date) -> Decimal | None:
        """Return the last close before a session."""
        return self.steered.previous_close(symbol, day) or self.market.previous_close(symbol, day)

    def bars(self, symbol: str, start: date, end: date) -> list[Bar]:
        """Return daily bars."""
        return self.market.bars(symbol, start, end)

    def splits(self, start: date, end: date) -> list[Split]:
        """Return the splits."""
        return self.market.splits(start, end)

    def dividends(self, start: date, end: date) -> list[Dividend]:
        """Return the dividends."""
        return self.market.dividends(start, end)

    def _running(self, prints: Mapping[str, Print]) -> dict[str, Print]:
        return {symbol: prints[symbol] for symbol in sorted(prints) if symbol not in self.halted}
