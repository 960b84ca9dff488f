"""Markets made of stored daily bars: a path through each day, auctions at its open and close, volume spread evenly.

The path between the prices of a bar is made up (`marketdata.providers.replay`), the same each time for the same seed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl

from execution.alpaca_wire.answers import exchange_of
from execution.emulator.market import Bar, Dividend, Listing, Print, Split
from execution.matching.events import QuoteTick
from marketdata import calendar
from marketdata.adjustment import ACTION_SCHEMA
from marketdata.derivation import derive_actions
from marketdata.lake import BarLake, bar_schema
from marketdata.providers.replay import ReplayProvider
from marketdata.providers.sample import SAMPLE_NAMES, SampleProvider
from marketdata.types import ActionKind, QuoteUpdate, Timeframe

MICROSECOND = timedelta(microseconds=1)
AUCTION_SHARE = Decimal("0.05")
"""Part of a day's volume that trades in each of its auctions."""


class BarMarket:
    """A market out of the bars of a lake; splits and dividends are given, and read once."""

    def __init__(
        self,
        lake: BarLake,
        *,
        listings: Iterable[Listing],
        splits: Iterable[Split] = (),
        dividends: Iterable[Dividend] = (),
        seed: int = 7,
    ) -> None:
        self._listings = {listing.symbol: listing for listing in listings}
        self._lake = lake
        self._provider = ReplayProvider(lake, symbols=sorted(self._listings), seed=seed)
        self._splits = sorted(splits, key=lambda split: (split.ex_date, split.symbol))
        self._dividends = sorted(dividends, key=lambda paid: (paid.ex_date, paid.symbol))
        self._newest: tuple[datetime, dict[str, QuoteUpdate]] | None = None

    @property
    def listings(self) -> Mapping[str, Listing]:
        """Return every security by symbol."""
        return self._listings

    def quote(self, symbol: str, at: datetime) -> QuoteUpdate | None:
        """Return the view of a symbol at an instant, None without a bar of the session."""
        return self._quotes(at).get(symbol)

    def quotes_at(self, at: datetime) -> list[QuoteUpdate]:
        """Return the view of every symbol that has a bar of the session."""
        return list(self._quotes(at).values())

    def tick(self, symbol: str, *, after: datetime, until: datetime) -> QuoteTick | None:
        """Return what can be traded with, nothing out of session."""
        if not calendar.is_open(until):
            return None
        quote = self.quote(symbol, until)
        if quote is None or quote.last is None:
            return None
        day = calendar.trading_date(until)
        opened, closed = calendar.session_open(day), calendar.session_close(day)
        traded = self._provider.bars_on(day)[symbol].volume
        part = Decimal((until - max(after, opened)) // MICROSECOND) / ((closed - opened) // MICROSECOND)
        return QuoteTick(symbol, quote.bid, quote.ask, quote.last, traded * max(part, Decimal(0)), until)

    def opening(self, day: date) -> Mapping[str, Print]:
        """Return the prints of the opening auction."""
        return _prints(self._provider.opening_prints(day))

    def closing(self, day: date) -> Mapping[str, Print]:
        """Return the prints of the closing auction."""
        return _prints(self._provider.closing_prints(day))

    def previous_close(self, symbol: str, day: date) -> Decimal | None:
        """Return the close of the session before, in the shares of this one."""
        before = calendar.previous_session(day)
        bar = self._provider.bars_on(before).get(symbol)
        if bar is None:
            return None
        close = bar.close
        for split in self._splits:
            if split.symbol == symbol and before < split.ex_date <= day:
                close /= split.ratio
        return close

    def bars(self, symbol: str, start: date, end: date) -> list[Bar]:
        """Return daily bars."""
        rows = self._lake.scan(Timeframe.DAY, symbols=[symbol], start=start, end=end).collect().iter_rows()
        return [Bar(row[1], *(Decimal(repr(value)) for value in row[2:])) for row in rows]

    def splits(self, start: date, end: date) -> list[Split]:
        """Return the splits."""
        return [split for split in self._splits if start <= split.ex_date <= end]

    def dividends(self, start: date, end: date) -> list[Dividend]:
        """Return the dividends."""
        return [dividend for dividend in self._dividends if start <= dividend.ex_date <= end]

    def _quotes(self, at: datetime) -> dict[str, QuoteUpdate]:
        if self._newest is None or self._newest[0] != at:
            self._newest = (at, {quote.symbol: quote for quote in self._provider.quotes_at(at)})
        return self._newest[1]


class SampleMarket(BarMarket):
    """The built-in sample, in memory: five securities, 2000 to 2013, with the splits and dividends of its prices."""

    def __init__(self, *, symbols: Collection[str] | None = None, seed: int = 7) -> None:
        wanted = sorted(symbols or SAMPLE_NAMES)
        frame = SampleProvider().bars(wanted)
        splits, dividends = read_actions(derive_actions(frame).actions)
        super().__init__(
            MemoryLake(frame),
            listings=[
                Listing(symbol=symbol, name=SAMPLE_NAMES[symbol][0], exchange=exchange_of(SAMPLE_NAMES[symbol][1]))
                for symbol in wanted
            ],
            splits=splits,
            dividends=dividends,
            seed=seed,
        )


class MemoryLake(BarLake):
    """Bars of one frame, which never change."""

    def __init__(self, frame: pl.DataFrame) -> None:
        super().__init__(Path())
        self._bars = frame.select(bar_schema(Timeframe.DAY).names()).sort("symbol", "date")

    def generation(self) -> str:
        """Return the one word there is."""
        return "memory"

    def scan(
        self,
        timeframe: str = Timeframe.DAY,
        symbols: Iterable[str] | None = None,
        start: date | None = None,
        end: date | None = None,
    ) -> pl.LazyFrame:
        """Read bars lazily; there are daily ones only."""
        frame = self._bars.lazy()
        if symbols is not None:
            frame = frame.filter(pl.col("symbol").is_in(list(symbols)))
        if start is not None:
            frame = frame.filter(pl.col("date") >= start)
        if end is not None:
            frame = frame.filter(pl.col("date") <= end)
        return frame if timeframe == Timeframe.DAY else frame.filter(pl.lit(value=False))


def read_actions(actions: pl.DataFrame) -> tuple[list[Split], list[Dividend]]:
    """Return splits and dividends out of a frame with the columns of `ACTION_SCHEMA`."""
    splits: list[Split] = []
    dividends: list[Dividend] = []
    for symbol, kind, ex_date, ratio, cash in actions.select(ACTION_SCHEMA.names()).iter_rows():
        if kind == ActionKind.SPLIT.value:
            splits.append(Split(symbol, ex_date, Decimal(repr(ratio))))
        else:
            dividends.append(Dividend(symbol, ex_date, Decimal(repr(cash))))
    return splits, dividends


def _prints(found: Mapping[str, tuple[Decimal, Decimal]]) -> dict[str, Print]:
    return {symbol: Print(price, volume * AUCTION_SHARE) for symbol, (price, volume) in sorted(found.items())}
