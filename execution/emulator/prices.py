"""What the stock stream says about a market: quotes, trades, minute bars and the day so far, made from quotes.

Messages are Alpaca's, with their time as an aware datetime; how it is written depends on the connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from execution.alpaca_wire.answers import PRICE_STEP
from marketdata.clock import NEW_YORK
from marketdata.types import QuoteUpdate

MINUTE = timedelta(minutes=1)
ROUND_LOT = 100
"""Shares of a trade whose size nobody knows: the market says prices only."""
Message = dict[str, Any]


@dataclass(slots=True)
class Candle:
    """One bar in the making; `volume` in shares."""

    at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int = 0
    trades: int = 0

    def take(self, price: Decimal, size: int) -> None:
        """Add a trade."""
        self.high, self.low, self.close = max(self.high, price), min(self.low, price), price
        self.volume += size
        self.trades += 1

    def message(self, kind: str, symbol: str) -> Message:
        """Return it as a bar of this kind (`b` minute, `u` updated minute, `d` day)."""
        typical = ((self.high + self.low + self.close) / 3).quantize(PRICE_STEP)
        prices = {"o": self.open, "h": self.high, "l": self.low, "c": self.close}
        return {"T": kind, "S": symbol, **prices, "v": self.volume, "n": self.trades, "vw": typical, "t": self.at}


class Tape:
    """Turns the quotes of a market into what is printed on the tape; remembers the newest of each symbol."""

    def __init__(self) -> None:
        self._seen: dict[str, QuoteUpdate] = {}
        self._minutes: dict[str, Candle] = {}
        self._days: dict[str, tuple[date, Candle]] = {}
        self._trades = 0

    def print(self, quotes: Iterable[QuoteUpdate], now: datetime) -> list[Message]:
        """Return what is new since the call before, oldest first."""
        messages: list[Message] = []
        for quote in quotes:
            if quote != self._seen.get(quote.symbol):
                self._seen[quote.symbol] = quote
                messages += self._printed(quote)
        return messages + self._finished_minutes(now)

    def _printed(self, quote: QuoteUpdate) -> list[Message]:
        # A quote is told again when only its time is new: REST tells that time, and the two must not contradict.
        messages = [quote_message(quote)]
        if quote.last is not None:
            messages += self._finished_minutes(quote.at, symbol=quote.symbol)
            self._trades += 1
            messages.append(trade_message(quote, self._trades))
            self._count(quote.symbol, quote.last, quote.at)
        return messages

    def _count(self, symbol: str, price: Decimal, at: datetime) -> None:
        minute = at.replace(second=0, microsecond=0)
        candle = self._minutes.setdefault(symbol, Candle(minute, price, price, price, price))
        candle.take(price, ROUND_LOT)
        day = at.astimezone(NEW_YORK).date()
        known = self._days.get(symbol)
        if known is None or known[0] != day:
            midnight = datetime.combine(day, datetime.min.time(), NEW_YORK)
            known = (day, Candle(midnight, price, price, price, price))
            self._days[symbol] = known
        known[1].take(price, ROUND_LOT)

    def _finished_minutes(self, now: datetime, symbol: str | None = None) -> list[Message]:
        """Return the bars of minutes that are over, each with the day so far."""
        names = list(self._minutes) if symbol is None else [symbol]
        messages: list[Message] = []
        for name in names:
            candle = self._minutes.get(name)
            if candle is not None and now >= candle.at + MINUTE:
                del self._minutes[name]
                messages += [candle.message("b", name), self._days[name][1].message("d", name)]
        return messages


def quote_message(quote: QuoteUpdate) -> Message:
    """Return a quote; an absent side is 0."""
    sides = {"ap": quote.ask or 0, "as": int(quote.ask is not None), "bp": quote.bid or 0, "bs": int(bool(quote.bid))}
    return {"T": "q", "S": quote.symbol, "ax": "V", "bx": "V", **sides, "c": ["R"], "z": "C", "t": quote.at}


def trade_message(quote: QuoteUpdate, number: int) -> Message:
    """Return the last trade."""
    return {
        "T": "t",
        "S": quote.symbol,
        "i": number,
        "x": "V",
        "p": quote.last,
        "s": ROUND_LOT,
        "c": ["@"],
        "z": "C",
        "t": quote.at,
    }


def status_message(symbol: str, *, halted: bool, at: datetime) -> Message:
    """Return a halt, or the end of one, as the Nasdaq's tape says it."""
    code, words = ("H", "Trading Halt") if halted else ("T", "Trading Resumption")
    reason, why = ("T12", "Trading Halted; For information requested") if halted else ("", "")
    return {"T": "s", "S": symbol, "sc": code, "sm": words, "rc": reason, "rm": why, "z": "C", "t": at}


def band_message(symbol: str, *, low: Decimal, high: Decimal, at: datetime) -> Message:
    """Return the price band (limit up, limit down) of a symbol."""
    return {"T": "l", "S": symbol, "u": high, "d": low, "i": "B", "z": "C", "t": at}
