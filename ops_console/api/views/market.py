"""Quotes and bars."""

from datetime import date, datetime

from rest_framework.request import Request
from rest_framework.response import Response

from marketdata import calendar
from marketdata.models import Instrument, Quote
from marketdata.selectors import bars
from ops_console.api import fields
from ops_console.api.answers.market import BarPageSerializer, QuotesSerializer, bar_answer, quotes_answer
from ops_console.api.base import ApiView, query_of
from ops_console.api.desk import desk
from ops_console.api.openapi import documented
from ops_console.api.pagination import PAGE_FIELDS, read_cursor, write_cursor
from ops_console.api.problems import invalid
from risk.selectors import limit_book

MOST_BARS = 5_000
QUOTE_FIELDS: dict[str, fields.Field] = {"symbols": fields.symbols()}
ADJUSTMENTS = ("raw", "split", "total_return")
BAR_FIELDS: dict[str, fields.Field] = {
    "symbols": fields.symbols(required=True),
    "from": fields.day("First session."),
    "to": fields.day("Last session."),
    "adjustment": fields.pattern(
        f"^({'|'.join(ADJUSTMENTS)})$",
        f"one of {', '.join(ADJUSTMENTS)}",
        "How splits and dividends are counted.",
        "raw",
    ).but(default="raw"),
    "limit": fields.whole("Bars on a page.", least=1, most=MOST_BARS, default=1_000),
    "cursor": PAGE_FIELDS["cursor"],
}


class QuotesView(ApiView):
    """The latest quotes."""

    @documented(
        "quotes_latest", "Latest quotes of the desk's feed", query=QUOTE_FIELDS, answers={200: QuotesSerializer}
    )
    def get(self, request: Request) -> Response:
        """Return quotes with their age; of every tradable instrument when no symbol is named."""
        wanted = query_of(request, QUOTE_FIELDS)["symbols"]
        now = desk()
        names = wanted or list(
            Instrument.objects.filter(tradable=True).order_by("symbol").values_list("symbol", flat=True)
        )
        rows = Quote.objects.filter(feed=now.account.feed, instrument__symbol__in=names).select_related("instrument")
        oldest = int(limit_book().resolve(strategy="", symbol="").account.max_price_age_seconds)
        quotes = list(rows.order_by("instrument__symbol"))
        return Response(quotes_answer(now.account.feed, quotes, market_at=now.market_now, oldest=oldest, wanted=names))


class BarsView(ApiView):
    """Stored bars."""

    @documented(
        "bars_list",
        "Daily bars by symbol and date",
        description="Up to the desk's market time: a replay does not see its own future.",
        query=BAR_FIELDS,
        answers={200: BarPageSerializer},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        wanted = query_of(request, BAR_FIELDS)
        if wanted["from"] and wanted["to"] and wanted["from"] > wanted["to"]:
            raise invalid("from", wanted["from"].isoformat(), f"a date up to {wanted['to'].isoformat()}")
        frame = bars(
            wanted["symbols"],
            start=wanted["from"],
            end=wanted["to"],
            adjustment=wanted["adjustment"],
            as_of=last_closed_session(desk().market_now),
        )
        first = read_cursor(wanted["cursor"]) if wanted["cursor"] else 0
        rows = frame.slice(first, wanted["limit"]).to_dicts()
        after = first + len(rows)
        return Response(
            {
                "results": [bar_answer(row) for row in rows],
                "next_cursor": write_cursor(after) if after < frame.height else None,
            }
        )


def last_closed_session(market_at: datetime) -> date:
    """Return the newest session whose close has passed."""
    day = calendar.trading_date(market_at)
    return day if market_at >= calendar.session_close(day) else calendar.previous_session(day)
