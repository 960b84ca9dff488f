"""The price table: one row an instrument, its cells fed by the database or by the live channel."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

import structlog
from django.conf import settings
from django.template.loader import render_to_string
from polars.exceptions import PolarsError

from marketdata import calendar
from marketdata.models import Feed, Quote, TradingStatus
from marketdata.selectors import bars
from ops_console import figures
from ops_console.snapshot.board import Cell, Topic
from ops_console.snapshot.market import status_cells

log = structlog.get_logger(__name__)
ROW = "ops_console/rows/price.html"
FIELDS = ("last", "bid", "ask", "change", "change_pct", "age")


def prices(feed: Feed, market_at: datetime) -> Topic:
    """Return the stored quotes of a feed and what is halted; two queries, and once a session the closes before it."""
    quotes = list(Quote.objects.filter(feed=feed).select_related("instrument").order_by("instrument__symbol"))
    session = session_shown(market_at)
    closes = closes_before(session, tuple(quote.instrument.symbol for quote in quotes))
    statuses = {status.instrument_id: status for status in TradingStatus.objects.filter(feed=feed)}
    cells: dict[str, Cell] = {}
    for quote in quotes:
        symbol = quote.instrument.symbol
        close = closes.get(symbol)
        cells |= price_cells(
            symbol, last=quote.last, bid=quote.bid, ask=quote.ask, at=quote.at, market_at=market_at, close=close
        )
        cells |= status_cells(symbol, statuses.get(quote.instrument_id), session)
    return Topic(cells=cells, rows={quote.instrument.symbol: _row(quote.instrument.symbol) for quote in quotes})


def price_cells(
    symbol: str,
    *,
    last: Decimal | None,
    bid: Decimal | None,
    ask: Decimal | None,
    at: datetime,
    market_at: datetime,
    close: Decimal | None,
) -> dict[str, Cell]:
    """Write one quote; its age counts in market time, and one past the limit reads as stale."""
    age = max(int((market_at - at).total_seconds()), 0)
    stale = calendar.trading_seconds_between(at, market_at) > settings.DATA_FRESHNESS_MINUTES * 60
    change = None if last is None or close is None else last - close
    share = None if change is None or not close else change / close
    tone = "stale" if stale else ""
    return {
        f"price.{symbol}.last": Cell(figures.number(last), tone),
        f"price.{symbol}.bid": Cell(figures.number(bid), tone),
        f"price.{symbol}.ask": Cell(figures.number(ask), tone),
        f"price.{symbol}.change": Cell(figures.marked(change), figures.tone(change)),
        f"price.{symbol}.change_pct": Cell(figures.percent(share), figures.tone(change)),
        f"price.{symbol}.age": Cell(f"stale, {figures.duration(age)}" if stale else figures.duration(age), tone),
    }


def live_cells(
    batch: Iterable[Mapping[str, str | None]], *, market_at: datetime, closes: Mapping[str, Decimal]
) -> dict[str, Cell]:
    """Write a batch of the live channel: `symbol, last, bid, ask, at`, prices as strings."""
    cells: dict[str, Cell] = {}
    for quote in batch:
        symbol = str(quote["symbol"])
        cells |= price_cells(
            symbol,
            last=_decimal(quote.get("last")),
            bid=_decimal(quote.get("bid")),
            ask=_decimal(quote.get("ask")),
            at=datetime.fromisoformat(str(quote["at"])),
            market_at=market_at,
            close=closes.get(symbol),
        )
    return cells


def session_shown(market_at: datetime) -> date:
    """Return the session that prices belong to: the coming one before its open, else the last that opened."""
    coming = calendar.trading_date(market_at)
    return coming if calendar.market_phase(market_at) == "pre" else calendar.latest_session(market_at)


@lru_cache(maxsize=4)
def closes_before(session: date, symbols: tuple[str, ...]) -> dict[str, Decimal]:
    """Return the closes of the session before, in shares of the session shown; without bars it is empty."""
    before = calendar.previous_session(session)
    try:
        frame = bars(symbols, start=before, end=session, adjustment="split", as_of=session)
    except (PolarsError, OSError) as error:
        log.warning("console.closes_unreadable", session=session.isoformat(), error=str(error))
        return {}
    rows = frame.select("symbol", "date", "close").iter_rows()
    return {symbol: Decimal(str(close)).quantize(Decimal("0.0001")) for symbol, day, close in rows if day == before}


@lru_cache(maxsize=2_000)
def _row(symbol: str) -> str:
    return render_to_string(ROW, {"symbol": symbol, "fields": FIELDS})


def _decimal(text: str | None) -> Decimal | None:
    return None if text in (None, "") else Decimal(str(text))
