"""Bars of the lake and quotes of the desk's feed in the words of Alpaca's data API.

Nothing is told that the desk may not know yet: a replay does not see its own future.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl

from execution.alpaca_wire.answers import bar_answer, quote_answer
from execution.alpaca_wire.errors import malformed
from execution.alpaca_wire.text import moment
from marketdata import calendar
from marketdata.adjustment import AdjustmentMode
from marketdata.clock import NEW_YORK
from marketdata.lake import default_lake
from marketdata.models import Feed, Quote
from marketdata.selectors import bars
from marketdata.types import Timeframe
from ops_console.alpaca_api.holdings import price

Row = dict[str, Any]
MINUTE = timedelta(minutes=1)
ADJUSTMENTS: dict[str, AdjustmentMode] = {"raw": "raw", "split": "split", "all": "total_return"}
TIMEFRAMES = {"1Day": Timeframe.DAY, "1D": Timeframe.DAY, "1Min": Timeframe.MINUTE, "1T": Timeframe.MINUTE}
ROUND_LOT = 100  # the size of a trade is not kept


@dataclass(frozen=True, slots=True, kw_only=True)
class BarQuery:
    """What is asked for: bars that begin from start to end, `limit` of all symbols together."""

    symbols: tuple[str, ...]
    timeframe: Timeframe
    adjustment: AdjustmentMode
    start: datetime
    end: datetime
    limit: int
    newest_first: bool = False
    page_token: str = ""


def bars_told(query: BarQuery, *, market_at: datetime) -> Row:
    """Return one page: symbols one behind the other.

    :raises WireError: 422, the token is none of ours
    """
    frame = _daily(query, market_at) if query.timeframe == Timeframe.DAY else _minutes(query, market_at)
    # polars compares instants of one zone only
    frame = frame.filter(pl.col("t") >= query.start.astimezone(UTC), pl.col("t") <= query.end.astimezone(UTC))
    frame = frame.sort("symbol", "t", descending=[False, query.newest_first])
    frame = _behind(frame, query)
    page = frame.head(query.limit)
    found: dict[str, list[Row]] = {}
    for row in page.iter_rows(named=True):
        found.setdefault(row["symbol"], []).append(_bar(row))
    more = frame.height > query.limit
    return {"bars": found, "next_page_token": _token(page.row(-1, named=True)) if more else None}


def latest_bars(symbols: Sequence[str], *, market_at: datetime) -> dict[str, Row]:
    """Return each symbol's newest minute bar, its newest daily bar where there are no minutes."""
    day = calendar.last_closed_session(market_at)
    newest = {}
    for timeframe in (Timeframe.DAY, Timeframe.MINUTE):
        query = BarQuery(
            symbols=tuple(symbols),
            timeframe=timeframe,
            adjustment="raw",
            start=_midnight(day),
            end=market_at,
            limit=1,
        )
        frame = _daily(query, market_at) if timeframe == Timeframe.DAY else _minutes(query, market_at)
        for row in frame.sort("t").iter_rows(named=True):
            newest[row["symbol"]] = _bar(row)
    return newest


def quotes_of(feed: Feed, symbols: Sequence[str], *, market_at: datetime) -> dict[str, Quote]:
    """Return the feed's quotes that may be known now, by symbol. One query."""
    rows = Quote.objects.filter(feed=feed, instrument__symbol__in=symbols).select_related("instrument")
    return {row.instrument.symbol: row for row in rows if feed.price_age(row.at, market_at) >= 0}


def quote_told(quote: Quote) -> Row:
    """Return bid and ask."""
    return quote_answer(bid=quote.bid, ask=quote.ask, at=quote.at)


def trade_told(quote: Quote) -> Row | None:
    """Return the last trade, None when there was none; its size is not kept, so it is a round lot."""
    if quote.last is None:
        return None
    return {"t": moment(quote.at), "x": "V", "p": quote.last, "s": ROUND_LOT, "c": ["@"], "i": 1, "z": "C"}


def snapshots(feed: Feed, symbols: Sequence[str], *, market_at: datetime) -> dict[str, Row]:
    """Return the newest of everything, for symbols that have a quote."""
    quotes = quotes_of(feed, symbols, market_at=market_at)
    days = calendar.latest_sessions(calendar.last_closed_session(market_at), 2)
    daily: dict[str, list[Row]] = {}
    query = BarQuery(
        symbols=tuple(quotes),
        timeframe=Timeframe.DAY,
        adjustment="raw",
        start=_midnight(days[0]),
        end=market_at,
        limit=1,
    )
    for row in _daily(query, market_at).sort("t").iter_rows(named=True):
        daily.setdefault(row["symbol"], []).append(_bar(row))
    minutes = latest_bars(list(quotes), market_at=market_at)
    return {
        symbol: {
            "latestTrade": trade_told(quote),
            "latestQuote": quote_told(quote),
            "minuteBar": minutes.get(symbol),
            "dailyBar": next(iter(daily.get(symbol, [])[-1:]), None),
            "prevDailyBar": next(iter(daily.get(symbol, [])[-2:-1]), None),
        }
        for symbol, quote in quotes.items()
    }


def _daily(query: BarQuery, market_at: datetime) -> pl.DataFrame:
    newest = calendar.last_closed_session(market_at)
    start, end = _day(query.start), min(_day(query.end), newest)
    frame = bars(query.symbols, start=start, end=end, adjustment=query.adjustment, as_of=newest)
    begins = pl.col("date").cast(pl.Datetime("us")).dt.replace_time_zone(NEW_YORK.key).dt.convert_time_zone("UTC")
    return frame.with_columns(t=begins)


def _minutes(query: BarQuery, market_at: datetime) -> pl.DataFrame:
    scan = default_lake().scan(Timeframe.MINUTE, query.symbols, query.start.date(), query.end.date())
    # A minute's bar is known when the minute is over.
    return scan.filter(pl.col("at") <= market_at - MINUTE).collect().with_columns(t=pl.col("at"))


def _behind(frame: pl.DataFrame, query: BarQuery) -> pl.DataFrame:
    if not query.page_token:
        return frame
    symbol, at = _read_token(query.page_token)
    later = pl.col("t") < at if query.newest_first else pl.col("t") > at
    return frame.filter((pl.col("symbol") > symbol) | ((pl.col("symbol") == symbol) & later))


def _token(row: Row) -> str:
    return base64.urlsafe_b64encode(f"{row['symbol']}|{row['t'].isoformat()}".encode()).decode()


def _read_token(token: str) -> tuple[str, datetime]:
    try:
        symbol, _, at = base64.urlsafe_b64decode(token.encode()).decode().partition("|")
        read = datetime.fromisoformat(at)
        if read.tzinfo is None:
            raise ValueError(at)
        return symbol, read.astimezone(UTC)
    except (binascii.Error, ValueError, OverflowError):
        raise malformed("page_token", token, "the next_page_token of an answer") from None


def _bar(row: Row) -> Row:
    values = {name: price(row[name]) for name in ("open", "high", "low", "close", "volume")}
    return bar_answer(values, at=row["t"])


def _day(at: datetime) -> date:
    return at.astimezone(NEW_YORK).date()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), NEW_YORK)


def beginning_of_day(market_at: datetime) -> datetime:
    """Return New York's midnight before an instant, where a query without a start begins."""
    return _midnight(_day(market_at))
