"""The data API: bars, quotes, trades, snapshots and corporate actions of the market that fills the orders."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from execution.alpaca_wire import params
from execution.alpaca_wire.answers import bar_answer, quote_answer
from execution.alpaca_wire.errors import forbidden, malformed
from execution.alpaca_wire.text import moment
from execution.emulator import history
from execution.emulator.actions import actions_between
from execution.emulator.history import PastBar, Timeframe
from execution.emulator.prices import ROUND_LOT
from execution.emulator.rest import answer, query_of
from execution.emulator.surface import Surface
from marketdata.clock import NEW_YORK
from marketdata.types import QuoteUpdate

DEFAULT_LIMIT = 1_000
SIP_AGE = timedelta(minutes=15)
MOST_ROWS = 10_000
MOST_SYMBOLS = 500
ADJUSTMENTS = ("raw", "split", "dividend", "all")
FEEDS = ("iex", "sip", "delayed_sip", "otc", "boats", "overnight")
DAILY = Timeframe(1, "Day")
Row = dict[str, Any]
Rows = Callable[[str], Iterable[Row]]


class DataApi:
    """The endpoints under /v2/stocks, and /v1/corporate-actions."""

    def __init__(self, surface: Surface) -> None:
        self.surface = surface

    def routes(self) -> list[Route]:
        """Return all of them."""
        return [
            Route("/v2/stocks/bars", self.bars, methods=["GET"]),
            Route("/v2/stocks/quotes", self.quotes, methods=["GET"]),
            Route("/v2/stocks/trades", self.trades, methods=["GET"]),
            Route("/v2/stocks/bars/latest", self.latest_bars, methods=["GET"]),
            Route("/v2/stocks/quotes/latest", self.latest_quotes, methods=["GET"]),
            Route("/v2/stocks/trades/latest", self.latest_trades, methods=["GET"]),
            Route("/v2/stocks/snapshots", self.snapshots, methods=["GET"]),
            Route("/v1/corporate-actions", self.corporate_actions, methods=["GET"]),
        ]

    # the past

    async def bars(self, request: Request) -> Response:
        """GET /v2/stocks/bars."""
        given = query_of(request)
        timeframe = history.read_timeframe(given.get("timeframe", ""))
        adjustment = params.choice(given, "adjustment", ADJUSTMENTS, "raw")
        start, end, now = self._span(given)
        if timeframe.within_session:
            history.check_minutes(_symbols(given), start, min(end, now))

        def rows(symbol: str) -> Iterator[Row]:
            market = self.surface.market_view
            found = history.bars(market, symbol, timeframe, start=start, end=end, now=now, adjust=adjustment)
            return (_bar(bar) for bar in found)

        return self._page("bars", given, rows)

    async def quotes(self, request: Request) -> Response:
        """GET /v2/stocks/quotes."""
        return self._sampled("quotes", query_of(request), _quote)

    async def trades(self, request: Request) -> Response:
        """GET /v2/stocks/trades."""
        return self._sampled("trades", query_of(request), _trade)

    def _sampled(self, key: str, given: Mapping[str, str], write: Callable[[QuoteUpdate], Row]) -> Response:
        start, end, now = self._span(given)
        history.check_minutes(_symbols(given), start, min(end, now))

        def rows(symbol: str) -> Iterator[Row]:
            found = history.samples(self.surface.market_view, symbol, start=start, end=end, now=now)
            return (write(quote) for quote in found)

        return self._page(key, given, rows)

    def _span(self, given: Mapping[str, str]) -> tuple[datetime, datetime, datetime]:
        """Return from when to when, and now; without a start it is the beginning of this day in New York."""
        now = self.surface.clock.now()
        today = datetime.combine(now.astimezone(NEW_YORK).date(), time(), NEW_YORK)
        start, end = params.new_york_instant(given, "start"), params.new_york_instant(given, "end")
        if self._feed(given) == "sip" and self.surface.iex_only and (end is None or end > now - SIP_AGE):
            raise forbidden("subscription does not permit querying recent SIP data")
        return start or today, end or now, now

    def _feed(self, given: Mapping[str, str]) -> str:
        """Return the feed that was asked for; without a word, the best of the subscription."""
        return params.choice(given, "feed", FEEDS, "iex" if self.surface.iex_only else "sip")

    def _page(self, key: str, given: Mapping[str, str], rows: Rows) -> Response:
        """Return one page: symbols one behind the other, `limit` rows of all of them together."""
        limit = params.whole(given, "limit", default=DEFAULT_LIMIT, least=1, most=MOST_ROWS)
        descending = params.choice(given, "sort", ("asc", "desc"), "asc") == "desc"
        symbols = sorted(_symbols(given))
        first, after = _read_token(given.get("page_token", ""))
        found: dict[str, list[Row]] = {}
        room = limit
        for symbol in symbols:
            if symbol < first:
                continue
            of_symbol = _ordered(rows(symbol), descending=descending)
            left = _behind(of_symbol, after if symbol == first else "", descending=descending)
            if left[:room]:
                found[symbol] = left[:room]
            if len(left) > room or (room == len(left) and symbol != symbols[-1]):
                shown = found.get(symbol)
                return answer({key: found, "next_page_token": _token(symbol, shown[-1]["t"] if shown else after)})
            room -= len(left)
        return answer({key: found, "next_page_token": None})

    # the newest

    async def latest_bars(self, request: Request) -> Response:
        """GET /v2/stocks/bars/latest: the minute bar that was finished last."""
        return self._latest("bars", request, self._minute_bar)

    async def latest_quotes(self, request: Request) -> Response:
        """GET /v2/stocks/quotes/latest."""
        return self._latest("quotes", request, lambda symbol: _written(self._quote(symbol), _quote))

    async def latest_trades(self, request: Request) -> Response:
        """GET /v2/stocks/trades/latest."""
        return self._latest("trades", request, lambda symbol: _written(self._quote(symbol), _trade))

    async def snapshots(self, request: Request) -> Response:
        """GET /v2/stocks/snapshots: symbols at the top, without a key around them."""
        symbols = _symbols(self._newest(request))
        return answer({symbol: self._snapshot(symbol) for symbol in symbols if self._quote(symbol) is not None})

    def _latest(self, key: str, request: Request, row: Callable[[str], Row | None]) -> Response:
        found = {symbol: row(symbol) for symbol in _symbols(self._newest(request))}
        return answer({key: {symbol: each for symbol, each in found.items() if each is not None}})

    def _newest(self, request: Request) -> Mapping[str, str]:
        """Return what is asked about the newest of everything.

        :raises WireError: 403, the feed is not in the subscription
        """
        given = query_of(request)
        if self._feed(given) == "sip" and self.surface.iex_only:
            raise forbidden("subscription does not permit querying recent SIP data")
        return given

    def _snapshot(self, symbol: str) -> Row:
        now = self.surface.clock.now()
        market = self.surface.market_view
        quote = self._quote(symbol)
        today = history.day_so_far(market, symbol, now)
        before = history.bars(market, symbol, DAILY, start=now - 14 * history.DAY, end=now, now=now, adjust="raw")
        previous = [bar for bar in before if today is None or bar.at < today.at]
        newest = today or (previous.pop() if previous else None)
        return {
            "latestTrade": _written(quote, _trade),
            "latestQuote": _written(quote, _quote),
            "minuteBar": self._minute_bar(symbol),
            "dailyBar": None if newest is None else _bar(newest),
            "prevDailyBar": _bar(previous[-1]) if previous else None,
        }

    def _quote(self, symbol: str) -> QuoteUpdate | None:
        return self.surface.market_view.quote(symbol, self.surface.clock.now())

    def _minute_bar(self, symbol: str) -> Row | None:
        quote = self._quote(symbol)
        if quote is None:
            return None
        minute = Timeframe(1, "Min").begins(quote.at)
        market = self.surface.market_view
        made = history.minute_bar(market, symbol, minute, self.surface.clock.now())
        return None if made is None else _bar(made)

    # corporate actions

    async def corporate_actions(self, request: Request) -> Response:
        """GET /v1/corporate-actions: splits and cash dividends with an ex-date from start to end."""
        given = query_of(request)
        today = self.surface.clock.now().astimezone(NEW_YORK).date()
        found = actions_between(
            self.surface.market_view,
            start=params.day(given, "start") or today,
            end=params.day(given, "end") or today,
            symbols=params.words(given, "symbols"),
            types=params.words(given, "types"),
        )
        return answer({"corporate_actions": found, "next_page_token": None})


def _symbols(given: Mapping[str, str]) -> tuple[str, ...]:
    symbols = params.words(given, "symbols")
    if not 1 <= len(symbols) <= MOST_SYMBOLS:
        raise malformed("symbols", given.get("symbols", ""), f"1 to {MOST_SYMBOLS} symbols")
    return symbols


def _ordered(rows: Iterable[Row], *, descending: bool) -> list[Row]:
    return sorted(rows, key=lambda row: str(row["t"]), reverse=descending)


def _behind(rows: Sequence[Row], after: str, *, descending: bool) -> list[Row]:
    if not after:
        return list(rows)
    return [row for row in rows if (row["t"] < after if descending else row["t"] > after)]


def _token(symbol: str, after: str) -> str:
    return base64.urlsafe_b64encode(f"{symbol}|{after}".encode()).decode()


def _read_token(token: str) -> tuple[str, str]:
    if not token:
        return "", ""
    try:
        symbol, _, after = base64.b64decode(token, altchars="-_", validate=True).decode().partition("|")
    except (binascii.Error, ValueError):
        raise malformed("page_token", token, "the next_page_token of an answer") from None
    return symbol, after


def _written(quote: QuoteUpdate | None, write: Callable[[QuoteUpdate], Row]) -> Row | None:
    return None if quote is None else write(quote)


def _bar(bar: PastBar) -> Row:
    return bar_answer(bar.prices(), at=bar.at)


def _quote(quote: QuoteUpdate) -> Row:
    return quote_answer(bid=quote.bid, ask=quote.ask, at=quote.at)


def _trade(quote: QuoteUpdate) -> Row:
    """Return the last trade; its size is not known, so it is a round lot."""
    return {"t": moment(quote.at), "x": "V", "p": quote.last, "s": ROUND_LOT, "c": ["@"], "i": 1, "z": "C"}
