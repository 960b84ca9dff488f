"""The data API: bars of the lake, and the newest quotes, trades and bars of the desk's feed."""

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from execution.alpaca_wire import params
from execution.alpaca_wire.errors import malformed, unprocessable
from marketdata.types import Timeframe
from ops_console.alpaca_api import prices
from ops_console.alpaca_api.base import AlpacaView, wire_query
from ops_console.alpaca_api.prices import BarQuery
from ops_console.api.desk import desk

MOST_SYMBOLS = 500
DEFAULT_ROWS, MOST_ROWS = 1_000, 10_000
FEEDS = ("iex", "sip", "delayed_sip", "otc", "boats", "overnight")


class BarsView(AlpacaView):
    """GET /v2/stocks/bars."""

    def get(self, request: Request) -> Response:
        """Answer with one page."""
        given, now = wire_query(request), desk()
        params.choice(given, "feed", FEEDS, "iex")
        query = BarQuery(
            symbols=symbols_of(given),
            timeframe=_timeframe(given),
            adjustment=prices.ADJUSTMENTS[_adjustment(given)],
            start=params.new_york_instant(given, "start") or prices.beginning_of_day(now.market_now),
            end=params.new_york_instant(given, "end") or now.market_now,
            limit=params.whole(given, "limit", default=DEFAULT_ROWS, least=1, most=MOST_ROWS),
            newest_first=params.choice(given, "sort", ("asc", "desc"), "asc") == "desc",
            page_token=given.get("page_token", ""),
        )
        if query.timeframe == Timeframe.MINUTE and query.adjustment != "raw":
            raise unprocessable("adjustment: bars of a minute are kept raw; give adjustment=raw or timeframe=1Day")
        return Response(prices.bars_told(query, market_at=now.market_now))


class LatestBarsView(AlpacaView):
    """GET /v2/stocks/bars/latest."""

    def get(self, request: Request) -> Response:
        """Answer with the newest bar of each symbol."""
        given = wire_query(request)
        params.choice(given, "feed", FEEDS, "iex")
        return Response({"bars": prices.latest_bars(symbols_of(given), market_at=desk().market_now)})


class LatestQuotesView(AlpacaView):
    """GET /v2/stocks/quotes/latest."""

    def get(self, request: Request) -> Response:
        """Answer with bid and ask of each symbol that has a quote."""
        quotes = _quotes(request)
        return Response({"quotes": {symbol: prices.quote_told(quote) for symbol, quote in quotes.items()}})


class LatestTradesView(AlpacaView):
    """GET /v2/stocks/trades/latest."""

    def get(self, request: Request) -> Response:
        """Answer with the last trade of each symbol that has one."""
        told = {symbol: prices.trade_told(quote) for symbol, quote in _quotes(request).items()}
        return Response({"trades": {symbol: trade for symbol, trade in told.items() if trade is not None}})


class SnapshotsView(AlpacaView):
    """GET /v2/stocks/snapshots."""

    def get(self, request: Request) -> Response:
        """Answer with the newest of everything; symbols stand at the top, as at Alpaca."""
        given, now = wire_query(request), desk()
        return Response(prices.snapshots(now.account.feed, symbols_of(given), market_at=now.market_now))


class NoHistoryView(AlpacaView):
    """GET /v2/stocks/quotes and /v2/stocks/trades."""

    def get(self, request: Request) -> Response:
        """Say that single quotes and trades are not kept; an empty list would look like a quiet market."""
        raise unprocessable("quotes and trades of the past are not kept here: ask for bars, or for the latest ones")


def symbols_of(given: Mapping[str, str]) -> tuple[str, ...]:
    """Return the symbols asked for.

    :raises WireError: 422, none or too many
    """
    symbols = params.words(given, "symbols")
    if not 1 <= len(symbols) <= MOST_SYMBOLS:
        raise malformed("symbols", given.get("symbols", ""), f"1 to {MOST_SYMBOLS} symbols")
    return symbols


def _quotes(request: Request) -> dict[str, Any]:
    given, now = wire_query(request), desk()
    params.choice(given, "feed", FEEDS, "iex")
    return dict(sorted(prices.quotes_of(now.account.feed, symbols_of(given), market_at=now.market_now).items()))


def _timeframe(given: Mapping[str, str]) -> Timeframe:
    text = given.get("timeframe", "")
    found = prices.TIMEFRAMES.get(text)
    if found is None:
        raise malformed("timeframe", text, "1Min or 1Day: bars are kept of minutes and of days")
    return found


def _adjustment(given: Mapping[str, str]) -> str:
    word = params.choice(given, "adjustment", (*prices.ADJUSTMENTS, "dividend"), "raw")
    if word == "dividend":
        raise unprocessable("adjustment: dividends alone are not adjusted for here; raw, split and all are")
    return word
