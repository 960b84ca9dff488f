"""What a market has to say about the past: bars of any length, quotes and trades, never later than now.

Daily bars are the market's own. Everything within a session is sampled from its quotes once a minute, so the day in
the making and the minute bars agree with what the streams have said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from execution.alpaca_wire.errors import malformed
from execution.emulator.market import Market
from marketdata.calendar import is_session, session_close, session_open, sessions_between
from marketdata.clock import NEW_YORK
from marketdata.types import QuoteUpdate

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
PRICE_STEP = Decimal("0.0001")
MOST_SESSIONS_OF_MINUTES = 150
"""Sessions of all symbols together for which one request may ask minutes: each is sampled 390 times."""
PATTERN = re.compile(r"(\d{1,3})(Min|T|Hour|H|Day|D|Week|W|Month|M)")
UNITS = {"T": "Min", "H": "Hour", "D": "Day", "W": "Week", "M": "Month"}
LARGEST = {"Min": 59, "Hour": 23, "Day": 1, "Week": 1, "Month": 12}


@dataclass(frozen=True, slots=True)
class Timeframe:
    """Length of a bar."""

    amount: int
    unit: str

    @property
    def within_session(self) -> bool:
        """Whether bars are shorter than a session."""
        return self.unit in ("Min", "Hour")

    def begins(self, at: datetime) -> datetime:
        """Return the start of the bar that an instant falls into, New York time."""
        local = at.astimezone(NEW_YORK)
        midnight = datetime.combine(local.date(), time(), NEW_YORK)
        if self.unit == "Min":
            return local.replace(second=0, microsecond=0) - timedelta(minutes=local.minute % self.amount)
        if self.unit == "Hour":
            return local.replace(minute=0, second=0, microsecond=0) - timedelta(hours=local.hour % self.amount)
        if self.unit == "Week":
            return datetime.combine(local.date() - timedelta(days=local.weekday()), time(), NEW_YORK)
        if self.unit == "Month":
            month = (local.month - 1) // self.amount * self.amount + 1
            return datetime.combine(local.date().replace(month=month, day=1), time(), NEW_YORK)
        return midnight


@dataclass(frozen=True, slots=True)
class PastBar:
    """A bar; prices account currency a share, volume in shares (0 where the market does not tell)."""

    at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = Decimal(0)

    def prices(self) -> dict[str, Decimal]:
        """Return it for `alpaca_wire.answers.bar_answer`."""
        return {"open": self.open, "high": self.high, "low": self.low, "close": self.close, "volume": self.volume}


def read_timeframe(text: str) -> Timeframe:
    """Read a length such as 1Min, 5Min, 1Hour, 1Day, 1Week, 1Month.

    :raises WireError: 422, another one
    """
    match = PATTERN.fullmatch(text)
    unit = UNITS.get(match[2], match[2]) if match else ""
    if match is None or not 1 <= int(match[1]) <= LARGEST[unit]:
        raise malformed("timeframe", text, "1-59Min, 1-23Hour, 1Day, 1Week or 1-12Month")
    return Timeframe(int(match[1]), unit)


def bars(
    market: Market, symbol: str, timeframe: Timeframe, *, start: datetime, end: datetime, now: datetime, adjust: str
) -> list[PastBar]:
    """Return the bars that begin from start to end, as known now; the newest may be unfinished."""
    end = min(end, now)
    if start > end:
        return []
    first = timeframe.begins(start)
    if timeframe.within_session:
        pieces = list(_minutes(market, symbol, first, end, now))
    else:
        pieces = _days(market, symbol, first.date(), end.astimezone(NEW_YORK).date(), now)
    pieces = _adjusted(pieces, market, symbol, now=now, mode=adjust)
    merged = _merged(pieces, timeframe.begins)
    return [bar for bar in merged if start <= bar.at <= end]


def samples(market: Market, symbol: str, *, start: datetime, end: datetime, now: datetime) -> Iterator[QuoteUpdate]:
    """Yield the market's view at each minute of the sessions from start to end, as known now; unchanged ones once."""
    newest: datetime | None = None
    for at in _minute_marks(start, min(end, now)):
        quote = known_quote(market, symbol, at)
        if quote is not None and (newest is None or quote.at > newest) and start <= quote.at <= end:
            newest = quote.at
            yield quote


def day_so_far(market: Market, symbol: str, now: datetime) -> PastBar | None:
    """Return the bar of the session that runs now, or ran last today; None on other days."""
    today = now.astimezone(NEW_YORK).date()
    if not is_session(today) or now < session_open(today):
        return None
    found = _days(market, symbol, today, today, now)
    return found[-1] if found else None


def _days(market: Market, symbol: str, first: date, last: date, now: datetime) -> list[PastBar]:
    """Return one bar a session; of the session that runs now only what has been."""
    today = now.astimezone(NEW_YORK).date()
    done = [
        PastBar(_midnight(bar.date), bar.open, bar.high, bar.low, bar.close, bar.volume)
        for bar in market.bars(symbol, first, last)
        if bar.date < today or (bar.date == today and now >= session_close(today))
    ]
    if first <= today <= last and is_session(today) and session_open(today) <= now and not _has(done, today):
        made = list(_merged(_minutes(market, symbol, session_open(today), now, now), lambda _: _midnight(today)))
        done += made
    return done


def _has(found: list[PastBar], day: date) -> bool:
    return bool(found) and found[-1].at == _midnight(day)


def known_quote(market: Market, symbol: str, at: datetime) -> QuoteUpdate | None:
    """Return the market's view at an instant; a market that only knows its newest one may not tell the future."""
    quote = market.quote(symbol, at)
    return None if quote is None or quote.at > at else quote


def minute_bar(market: Market, symbol: str, at: datetime, now: datetime) -> PastBar | None:
    """Return the bar of one minute, from the price at its start to the price at its end; None when none was made."""
    return _made(at, known_quote(market, symbol, at), known_quote(market, symbol, min(at + MINUTE, now)))


def _made(at: datetime, before: QuoteUpdate | None, after: QuoteUpdate | None) -> PastBar | None:
    if after is None or after.last is None or after.at < at:
        return None
    if before is None and after.at >= at + MINUTE:  # the first price ever, and the next minute's
        return None
    opened = after.last
    if before is not None and before.last is not None and before.at >= at - MINUTE:
        opened = before.last
    return PastBar(at, opened, max(opened, after.last), min(opened, after.last), after.last)


def _minutes(market: Market, symbol: str, start: datetime, end: datetime, now: datetime) -> Iterator[PastBar]:
    """Yield the bars of the minutes; the end of one is the start of the next, and asked for once."""
    reached: tuple[datetime, QuoteUpdate | None] | None = None
    for at in _minute_marks(start, end):
        before = reached[1] if reached is not None and reached[0] == at else known_quote(market, symbol, at)
        until = min(at + MINUTE, now)
        reached = (until, known_quote(market, symbol, until))
        bar = _made(at, before, reached[1])
        if bar is not None:
            yield bar


def check_minutes(symbols: Collection[str], start: datetime, end: datetime) -> None:
    """Refuse a request for minutes that would hold up the venue.

    :raises WireError: 422, too many sessions of all symbols together
    """
    asked = len(_sessions(start, end)) * len(symbols)
    if asked > MOST_SESSIONS_OF_MINUTES:
        allowed = f"sessions × symbols up to {MOST_SESSIONS_OF_MINUTES} for minutes ({asked} were asked for)"
        raise malformed("start", start.isoformat(), allowed)


def _sessions(start: datetime, end: datetime) -> list[date]:
    return sessions_between(start.astimezone(NEW_YORK).date(), end.astimezone(NEW_YORK).date())


def _minute_marks(start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the starts of the minutes of regular trading between two instants."""
    for day in _sessions(start, end):
        at, closing = session_open(day), session_close(day)
        while at < closing and at <= end:
            if at >= start:
                yield at
            at += MINUTE


def _merged(pieces: Iterable[PastBar], begins: Callable[[datetime], datetime]) -> list[PastBar]:
    merged: list[PastBar] = []
    for piece in pieces:
        at = begins(piece.at)
        if merged and merged[-1].at == at:
            last = merged[-1]
            merged[-1] = PastBar(
                at,
                last.open,
                max(last.high, piece.high),
                min(last.low, piece.low),
                piece.close,
                last.volume + piece.volume,
            )
        else:
            merged.append(replace(piece, at=at))
    return merged


def _adjusted(pieces: list[PastBar], market: Market, symbol: str, *, now: datetime, mode: str) -> list[PastBar]:
    """Return bars in today's shares (split), less dividends since (dividend), both (all), or as they were (raw)."""
    if mode == "raw" or not pieces:
        return pieces
    first, today = pieces[0].at.date(), now.astimezone(NEW_YORK).date()
    steps: list[tuple[date, Decimal, Decimal]] = []
    if mode in ("split", "all"):
        steps += [
            (each.ex_date, 1 / each.ratio, each.ratio) for each in market.splits(first, today) if each.symbol == symbol
        ]
    if mode in ("dividend", "all"):
        for each in market.dividends(first, today):
            close = market.previous_close(symbol, each.ex_date) if each.symbol == symbol else None
            if close and close > each.cash:
                steps.append((each.ex_date, 1 - each.cash / close, Decimal(1)))
    return [_scaled(bar, steps) for bar in pieces]


def _scaled(bar: PastBar, steps: list[tuple[date, Decimal, Decimal]]) -> PastBar:
    day = bar.at.astimezone(NEW_YORK).date()
    price = shares = Decimal(1)
    for ex_date, price_factor, share_factor in steps:
        if day < ex_date:
            price, shares = price * price_factor, shares * share_factor
    if price == 1 and shares == 1:
        return bar
    opened, high, low, close = (
        (value * price).quantize(PRICE_STEP) for value in (bar.open, bar.high, bar.low, bar.close)
    )
    return PastBar(bar.at, opened, high, low, close, (bar.volume * shares).to_integral_value())


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), NEW_YORK)
