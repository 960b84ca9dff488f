"""The market: clock and calendar of the desk's feed, and the assets."""

from datetime import date
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from execution.alpaca_wire import params
from execution.alpaca_wire.answers import asset_answer, calendar_day, clock_answer, exchange_of
from execution.alpaca_wire.errors import NOT_FOUND, WireError
from marketdata import calendar
from marketdata.clock import NEW_YORK
from marketdata.models import Instrument
from ops_console.alpaca_api.base import AlpacaView, wire_query
from ops_console.alpaca_api.holdings import symbol_of
from ops_console.api.desk import desk

CLASSES = ("us_equity", "crypto", "us_option")


class ClockView(AlpacaView):
    """GET /v2/clock."""

    def get(self, request: Request) -> Response:
        """Answer with market time: a replay's while the desk replays."""
        at = desk().market_now
        session = calendar.trading_date(at)  # the one that closes next
        opens = calendar.session_open(session)
        if opens <= at:
            opens = calendar.session_open(calendar.next_session(session))
        closes = calendar.session_close(session)
        if closes <= at:
            closes = calendar.session_close(calendar.next_session(session))
        return Response(clock_answer(at=at, is_open=calendar.is_open(at), next_open=opens, next_close=closes))


class CalendarView(AlpacaView):
    """GET /v2/calendar."""

    def get(self, request: Request) -> Response:
        """Answer with the sessions from start to end, all that are known when they are left out."""
        given = wire_query(request)
        table = calendar.session_table()
        first = params.day(given, "start") or table.days[0]
        last = params.day(given, "end") or table.days[-1]
        return Response([_session(day) for day in calendar.sessions_between(first, last)])


class AssetsView(AlpacaView):
    """GET /v2/assets."""

    def get(self, request: Request) -> Response:
        """Answer with the instruments that match."""
        given = wire_query(request)
        status = params.choice(given, "status", ("", "active", "inactive"), "")
        if params.choice(given, "asset_class", CLASSES, CLASSES[0]) != CLASSES[0] or given.get("attributes"):
            return Response([])
        rows: QuerySet[Instrument] = Instrument.objects.order_by("symbol")
        if status:
            rows = rows.filter(tradable=status == "active")
        told = [asset_told(row) for row in rows]
        exchange = given.get("exchange", "")
        return Response([each for each in told if exchange in ("", each["exchange"])])


class AssetView(AlpacaView):
    """GET /v2/assets/{symbol or id}."""

    def get(self, request: Request, symbol: str) -> Response:
        """Answer with the instrument."""
        # The database cannot even look for a NUL.
        row = Instrument.objects.filter(symbol=symbol_of(symbol)).first() if symbol.isprintable() else None
        if row is None:
            raise WireError(404, NOT_FOUND, f"asset not found for {symbol[:40]}")
        return Response(asset_told(row))


def asset_told(row: Instrument) -> dict[str, Any]:
    """Return an instrument as an asset."""
    return asset_answer(
        symbol=row.symbol,
        name=row.name or row.symbol,
        exchange=exchange_of(row.exchange),
        tradable=row.tradable,
        shortable=row.shortable,
        fractionable=row.fractionable,
        active=row.tradable,
    )


def _session(day: date) -> dict[str, str]:
    opens, closes = (at.astimezone(NEW_YORK) for at in (calendar.session_open(day), calendar.session_close(day)))
    return calendar_day(day=day, opens_at=f"{opens:%H:%M}", closes_at=f"{closes:%H:%M}")
