"""Ports of market data: where bars come from, and where quotes come from."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol

import polars as pl

from marketdata.types import QuoteUpdate


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
