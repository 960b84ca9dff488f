"""What moved the account, and its equity over time."""

from rest_framework.request import Request
from rest_framework.response import Response

from execution.alpaca_wire import params
from execution.alpaca_wire.errors import malformed
from marketdata.clock import NEW_YORK
from ops_console.alpaca_api.activities import TYPES, ActivityQuery, activities_told
from ops_console.alpaca_api.base import AlpacaView, wire_query
from ops_console.alpaca_api.history import first_day, history_told
from ops_console.api.desk import desk

MOST = 100


class ActivitiesView(AlpacaView):
    """GET /v2/account/activities and /v2/account/activities/{type}."""

    def get(self, request: Request, kind: str = "") -> Response:
        """Answer with one page."""
        given = wire_query(request)
        types = (kind,) if kind else params.words(given, "activity_types")
        for name in types:
            if name not in TYPES:
                raise malformed("activity_types", name, f"one of {', '.join(TYPES)}")
        query = ActivityQuery(
            types=types,
            day=params.day(given, "date"),
            after=params.instant(given, "after"),
            until=params.instant(given, "until"),
            newest_first=params.choice(given, "direction", ("asc", "desc"), "desc") == "desc",
            page_size=params.whole(given, "page_size", default=MOST, least=1, most=MOST),
            page_token=given.get("page_token", ""),
        )
        return Response(activities_told(desk().account, query))


class PortfolioHistoryView(AlpacaView):
    """GET /v2/account/portfolio/history."""

    def get(self, request: Request) -> Response:
        """Answer with the equity of the sessions asked for; of the last month when nothing is."""
        given, now = wire_query(request), desk()
        end = params.day(given, "end") or params.day(given, "date_end")
        start = params.day(given, "start")
        if start is None:
            start = first_day(given.get("period") or "1M", end or now.market_now.astimezone(NEW_YORK).date())
        return Response(
            history_told(now.account, wall_now=now.wall_now, timeframe=given.get("timeframe", ""), start=start, end=end)
        )
