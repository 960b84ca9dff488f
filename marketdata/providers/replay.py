"""Play stored bars back as quotes.

The way a price takes between a bar's open, high, low and close is not known: it is made up here, the same each time for
the same seed, symbol and day. The open, the extremes and the close are the bar's own. Every quote says so in its
source.
"""

import hashlib
import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

import polars as pl

from marketdata.calendar import latest_session, session_close, session_open
from marketdata.lake import BarLake
from marketdata.types import QuoteUpdate, Timeframe

TICK = Decimal("0.01")
HALF_SPREAD = Decimal("0.0001")
"""Half of the spread as a share of the price (1 basis point), one tick at least."""
NOISE = 0.15
"""Size of the wiggle between two turning points, as a share of the day's range."""
SOURCE = "replay (synthetic path)"


@dataclass(frozen=True, slots=True)
class DayBar:
    """One day of one symbol: exact prices of the stored bar, and the shares traded in the whole day."""

    symbol: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class ReplayProvider:
    """Quotes, opening and closing prints out of the daily bars of a lake; follows the lake when it changes."""

    name = "replay"

    def __init__(self, lake: BarLake, symbols: Sequence[str] | None = None, seed: int = 7) -> None:
        self._lake = lake
        self._symbols = None if symbols is None else frozenset(symbols)
        self._seed = seed
        self._generation: str | None = None
        self._frame = pl.DataFrame()
        self._offsets: dict[date, tuple[int, int]] = {}
        self._days: dict[date, dict[str, DayBar]] = {}
        self._paths: dict[tuple[str, date], list[float]] = {}

    def bars_on(self, day: date) -> dict[str, DayBar]:
        """Return the bars of a session by symbol; empty when the lake has none."""
        self._follow_lake()
        if day not in self._days:
            offset, length = self._offsets.get(day, (0, 0))
            rows = self._frame.slice(offset, length).iter_rows()
            self._days[day] = {row[0]: DayBar(row[0], *(_exact(value) for value in row[2:])) for row in rows}
        return self._days[day]

    def opening_prints(self, day: date) -> dict[str, tuple[Decimal, Decimal]]:
        """Return each symbol's opening price, exact, with the shares traded in the whole day."""
        return {symbol: (bar.open, bar.volume) for symbol, bar in self.bars_on(day).items()}

    def closing_prints(self, day: date) -> dict[str, tuple[Decimal, Decimal]]:
        """Return each symbol's closing price, exact, with the shares traded in the whole day."""
        return {symbol: (bar.close, bar.volume) for symbol, bar in self.bars_on(day).items()}

    def quotes_at(self, at: datetime) -> list[QuoteUpdate]:
        """Return the newest quotes at a market instant; outside sessions the last close, stamped with its own time.

        A symbol without a bar in the session has no quote.
        """
        day = latest_session(at)
        closing = session_close(day)
        bars = self.bars_on(day).values()
        if at >= closing:
            return [_quote(bar.symbol, bar.close, closing) for bar in bars]
        minute = (at - session_open(day)) / timedelta(minutes=1)
        return [_quote(bar.symbol, self._price(bar, day, minute), at) for bar in bars]

    def _price(self, bar: DayBar, day: date, minute: float) -> Decimal:
        if minute == 0:
            return bar.open
        path = self._path(bar, day)
        left = min(int(minute), len(path) - 2)
        return Decimal(path[left] + (path[left + 1] - path[left]) * (minute - left))

    def _path(self, bar: DayBar, day: date) -> list[float]:
        key = (bar.symbol, day)
        if key not in self._paths:
            self._paths = {kept: path for kept, path in self._paths.items() if kept[1] == day}
            minutes = (session_close(day) - session_open(day)) // timedelta(minutes=1)
            self._paths[key] = minute_path(bar, minutes, f"{self._seed}|{bar.symbol}|{day.isoformat()}")
        return self._paths[key]

    def _follow_lake(self) -> None:
        """Index the lake's bars by day, again after a write."""
        generation = self._lake.generation()
        if generation == self._generation:
            return
        frame = self._lake.scan(Timeframe.DAY, symbols=self._symbols).collect().sort("date", "symbol")
        counts = frame.group_by("date", maintain_order=True).len()
        starts = counts["len"].cum_sum() - counts["len"]
        self._offsets = dict(zip(counts["date"], zip(starts, counts["len"], strict=True), strict=True))
        self._frame, self._generation = frame, generation
        self._days.clear()
        self._paths.clear()


def minute_path(bar: DayBar, minutes: int, seed: str) -> list[float]:
    """Return `minutes + 1` prices: from the open to one extreme, to the other, to the close, wiggling inside the range.

    The order of the extremes and their minutes come from the seed.
    """
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8])
    chance = random.Random(number)
    low, high = float(bar.low), float(bar.high)
    first = 1 + int(chance.random() * (minutes - 2))
    second = first + 1 + int(chance.random() * (minutes - 1 - first))
    extremes = (high, low) if chance.random() < 0.5 else (low, high)
    turns = [(0, float(bar.open)), (first, extremes[0]), (second, extremes[1]), (minutes, float(bar.close))]
    marks = [minute for minute, _ in turns]
    wiggle = (high - low) * NOISE
    path: list[float] = []
    for minute in range(minutes + 1):
        leg = min(bisect_right(marks, minute), len(turns) - 1) - 1
        (start, opening), (end, closing) = turns[leg], turns[leg + 1]
        done = (minute - start) / (end - start)
        # The wiggle vanishes at the turning points, so that they are met exactly.
        noise = wiggle * (2 * chance.random() - 1) * min(done, 1 - done) * 2
        path.append(min(max(opening * (1 - done) + closing * done + noise, low), high))
    return path


def _quote(symbol: str, price: Decimal, at: datetime) -> QuoteUpdate:
    last = price.quantize(TICK, ROUND_HALF_EVEN)
    half = max((last * HALF_SPREAD).quantize(TICK, ROUND_HALF_EVEN), TICK)
    bid = last - half
    return QuoteUpdate(symbol, bid if bid > 0 else None, last + half, last, at, SOURCE)


def _exact(value: float) -> Decimal:
    """Return the shortest decimal that is this number: what the source wrote."""
    return Decimal(repr(value))
