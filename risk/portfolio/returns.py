"""Daily returns of several names on the days that all of them have."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

Closes = Mapping[str, Sequence[tuple[date, Decimal]]]
"""Closing prices by name, each sorted by date, adjusted for splits and dividends."""


@dataclass(frozen=True, slots=True)
class ReturnTable:
    """Simple returns: `of[symbol][i]` is the return of day `dates[i]`, from the common day before it."""

    dates: tuple[date, ...]
    of: Mapping[str, tuple[Decimal, ...]]

    def last(self, days: int) -> "ReturnTable":
        """Return the newest days only."""
        return ReturnTable(self.dates[-days:], {symbol: rows[-days:] for symbol, rows in self.of.items()})


def daily_returns(closes: Closes) -> ReturnTable:
    """Return the simple returns of names on their common days; prices that are none are days that are missing."""
    prices = {
        symbol: {day: price for day, price in rows if price.is_finite() and price > 0}
        for symbol, rows in closes.items()
    }
    if not prices:
        return ReturnTable((), {})
    common = sorted(set.intersection(*(set(rows) for rows in prices.values())))
    of = {
        symbol: tuple(rows[after] / rows[before] - 1 for before, after in itertools.pairwise(common))
        for symbol, rows in prices.items()
    }
    return ReturnTable(tuple(common[1:]), of)
