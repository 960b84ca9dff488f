"""Ports of market data: where bars come from, where quotes come from, and who tells a live market."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Protocol

import polars as pl

from marketdata.types import GapReason, MarketEvent, QuoteUpdate


class MarketDataProvider(Protocol):
    """A source of bars."""

    @property
    def name(self) -> str:
        """Return the word stored with what comes from here."""
        ...

    def bars(
        self, symbols: Sequence[str] | None = None, start: date | None = None, end: date | None = None
    ) -> pl.DataFrame:
        """Return raw bars with the columns of `lake.bar_schema`, and `adj_close` where the source has it.

        :raises MarketDataError: the source cannot be read
        """
        ...


class QuoteProvider(Protocol):
    """A source of quotes that can be asked for any market instant."""

    @property
    def name(self) -> str:
        """Return the word stored with what comes from here."""
        ...

    def quotes_at(self, at: datetime) -> list[QuoteUpdate]:
        """Return the newest quote of each instrument at a market instant."""
        ...


class LiveListener(Protocol):
    """Who is told by a live source; called on the source's thread, returns at once."""

    def connected(self) -> None:
        """Note that the stream runs, with everything subscribed that is wanted."""
        ...

    def lost(self, reason: GapReason, detail: str, *, silent_seconds: float = 0) -> None:
        """Note that the stream tells nothing, and why; told again when the reason changes.

        `silent_seconds` is for how long (wall time) it has told nothing already.
        """
        ...

    def degraded(self, detail: str) -> None:
        """Note what the stream does not give although it runs; empty when it gives everything."""
        ...

    def told(self, events: Sequence[MarketEvent], *, source: str, streamed: bool) -> None:
        """Take what the market said; `streamed` is False for answers to a poll."""
        ...

    def unreadable(self, frame: bytes, problem: str) -> None:
        """Keep a frame, or a part of one, that could not be read."""
        ...


class LiveProvider(Protocol):
    """A source that tells quotes, trades, halts and price bands as they happen."""

    @property
    def name(self) -> str:
        """Return the word stored with what comes from here."""
        ...

    def latest(self, symbols: Sequence[str]) -> list[MarketEvent]:
        """Return the newest quote and trade of each symbol, asked for once; symbols nobody knows are left out.

        :raises LiveSourceError: no answer that can be read
        """
        ...

    def want(self, symbols: Collection[str]) -> None:
        """Say which symbols are wanted from now on, the most important first; from any thread."""
        ...

    async def listen(self, listener: LiveListener) -> None:
        """Tell the listener until the task is cancelled; connects again and subscribes again by itself."""
        ...
