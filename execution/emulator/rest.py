"""The trading API: each endpoint reads its parameters, asks the venue once, and writes the answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from execution.alpaca_wire import params
from execution.alpaca_wire.errors import MALFORMED, WireError, malformed
from execution.alpaca_wire.json import decode_object, encode
from execution.alpaca_wire.orders import read_order, read_replace
from execution.emulator.surface import Surface
from execution.emulator.venue import ActivityQuery, HistoryQuery, OrderQuery
from marketdata.clock import NEW_YORK

MOST_ORDERS = 500
DEFAULT_ORDERS = 50
MOST_ACTIVITIES = 100
JSON = "application/json; charset=UTF-8"


def answer(content: Any, status: int = 200) -> Response:
    """Return an answer of JSON."""
    return Response(encode(content), status, media_type=JSON)


def query_of(request: Request) -> Mapping[str, str]:
    """Return the query's parameters, the last of each name."""
    return dict(request.query_params)


class TradingApi:
    """The endpoints under /v2 that are about the account."""

    def __init__(self, surface: Surface) -> None:
        self.surface = surface

    def routes(self) -> list[Route]:
        """Return all of them."""
        return [
            Route("/v2/orders", self.submit, methods=["POST"]),
            Route("/v2/orders", self.orders, methods=["GET"]),
            Route("/v2/orders", self.cancel_all, methods=["DELETE"]),
            Route("/v2/orders:by_client_order_id", self.order_by_client_id, methods=["GET"]),
            Route("/v2/orders/{order_id}", self.order, methods=["GET"]),
            Route("/v2/orders/{order_id}", self.replace, methods=["PATCH"]),
            Route("/v2/orders/{order_id}", self.cancel, methods=["DELETE"]),
            Route("/v2/positions", self.positions, methods=["GET"]),
            Route("/v2/positions", self.close_all, methods=["DELETE"]),
            Route("/v2/positions/{symbol}", self.position, methods=["GET"]),
            Route("/v2/positions/{symbol}", self.close_position, methods=["DELETE"]),
            Route("/v2/account", self.account, methods=["GET"]),
            Route("/v2/account/configurations", self.configurations, methods=["GET"]),
            Route("/v2/account/configurations", self.configure, methods=["PATCH"]),
            Route("/v2/account/activities", self.activities, methods=["GET"]),
            Route("/v2/account/activities/{kind}", self.activities, methods=["GET"]),
            Route("/v2/account/portfolio/history", self.portfolio_history, methods=["GET"]),
            Route("/v2/clock", self.clock, methods=["GET"]),
            Route("/v2/calendar", self.calendar, methods=["GET"]),
            Route("/v2/assets", self.assets, methods=["GET"]),
            Route("/v2/assets/{symbol:path}", self.asset, methods=["GET"]),
        ]

    # orders

    async def submit(self, request: Request) -> Response:
        """POST /v2/orders."""
        body = read_order(decode_object(await request.body()))
        return answer(self.surface.venue.submit(body))

    async def orders(self, request: Request) -> Response:
        """GET /v2/orders."""
        given = query_of(request)
        query = OrderQuery(
            status=params.choice(given, "status", ("open", "closed", "all"), "open"),
            limit=params.whole(given, "limit", default=DEFAULT_ORDERS, least=1, most=MOST_ORDERS),
            after=params.instant(given, "after"),
            until=params.instant(given, "until"),
            direction=params.choice(given, "direction", ("asc", "desc"), "desc"),
            nested=params.flag(given, "nested"),
            side=params.choice(given, "side", ("", "buy", "sell"), "") or None,
            symbols=params.words(given, "symbols"),
        )
        return answer(self.surface.venue.orders(query))

    async def order(self, request: Request) -> Response:
        """GET /v2/orders/{id}."""
        nested = params.flag(query_of(request), "nested")
        return answer(self.surface.venue.order(request.path_params["order_id"], nested=nested))

    async def order_by_client_id(self, request: Request) -> Response:
        """GET /v2/orders:by_client_order_id."""
        client_order_id = query_of(request).get("client_order_id", "")
        if not client_order_id:
            raise malformed("client_order_id", client_order_id, "the id of an order")
        return answer(self.surface.venue.order_by_client_id(client_order_id))

    async def replace(self, request: Request) -> Response:
        """PATCH /v2/orders/{id}."""
        body = read_replace(decode_object(await request.body()))
        return answer(self.surface.venue.replace(request.path_params["order_id"], body))

    async def cancel(self, request: Request) -> Response:
        """DELETE /v2/orders/{id}: asks, and answers at once."""
        self.surface.venue.cancel(request.path_params["order_id"])
        return Response(status_code=204)

    async def cancel_all(self, request: Request) -> Response:
        """DELETE /v2/orders."""
        return answer(self.surface.venue.cancel_all(), 207)

    # positions

    async def positions(self, request: Request) -> Response:
        """GET /v2/positions."""
        return answer(self.surface.venue.positions())

    async def position(self, request: Request) -> Response:
        """GET /v2/positions/{symbol or asset id}."""
        return answer(self.surface.venue.position(request.path_params["symbol"]))

    async def close_all(self, request: Request) -> Response:
        """DELETE /v2/positions."""
        cancel_orders = params.flag(query_of(request), "cancel_orders")
        return answer(self.surface.venue.close_all(cancel_orders), 207)

    async def close_position(self, request: Request) -> Response:
        """DELETE /v2/positions/{symbol or asset id}: all of it, `qty` shares or `percentage` of it."""
        given = query_of(request)
        quantity, percentage = params.decimal(given, "qty"), params.decimal(given, "percentage")
        if quantity is not None and percentage is not None:
            raise WireError(422, MALFORMED, "qty and percentage cannot be given together")
        for name, value in (("qty", quantity), ("percentage", percentage)):
            if value is not None and value <= 0:
                raise malformed(name, given[name], "a number above 0")
        if percentage is not None and percentage > 100:
            raise malformed("percentage", given["percentage"], "at most 100")
        symbol = request.path_params["symbol"]
        return answer(self.surface.venue.close_position(symbol, quantity=quantity, percentage=percentage))

    # account

    async def account(self, request: Request) -> Response:
        """GET /v2/account."""
        return answer(self.surface.venue.account())

    async def configurations(self, request: Request) -> Response:
        """GET /v2/account/configurations."""
        return answer(self.surface.venue.configurations())

    async def configure(self, request: Request) -> Response:
        """PATCH /v2/account/configurations; the client sends its whole model, with null for what it does not know."""
        given = decode_object(await request.body())
        return answer(self.surface.venue.configure({name: value for name, value in given.items() if value is not None}))

    async def activities(self, request: Request) -> Response:
        """GET /v2/account/activities, or one type of them."""
        given = query_of(request)
        kind = request.path_params.get("kind")
        query = ActivityQuery(
            types=(kind,) if kind else params.words(given, "activity_types"),
            day=params.day(given, "date"),
            after=params.instant(given, "after"),
            until=params.instant(given, "until"),
            direction=params.choice(given, "direction", ("asc", "desc"), "desc"),
            page_size=params.whole(given, "page_size", default=MOST_ACTIVITIES, least=1, most=MOST_ACTIVITIES),
            page_token=given.get("page_token", ""),
        )
        return answer(self.surface.venue.activities(query))

    async def portfolio_history(self, request: Request) -> Response:
        """GET /v2/account/portfolio/history."""
        given = query_of(request)
        query = HistoryQuery(start=params.day(given, "start"), end=params.day(given, "end"))
        return answer(self.surface.venue.portfolio_history(query))

    # market

    async def clock(self, request: Request) -> Response:
        """GET /v2/clock; a replay says besides how its time passes, so that a drill can run on it."""
        state = self.surface.clock.state
        told = dict(self.surface.venue.clock())
        if state.start_at is not None and state.anchor_at is not None:
            told["replay"] = {
                "start_at": state.start_at.isoformat(),
                "anchor_at": state.anchor_at.isoformat(),
                "speed": f"{state.speed:f}",
                "end_at": None if state.end_at is None else state.end_at.isoformat(),
                "paused_at": None if state.paused_at is None else state.paused_at.isoformat(),
            }
        return answer(told)

    async def calendar(self, request: Request) -> Response:
        """GET /v2/calendar; without dates, this year's sessions."""
        given = query_of(request)
        year = self.surface.clock.now().astimezone(NEW_YORK).year
        start = params.day(given, "start") or date(year, 1, 1)
        end = params.day(given, "end") or date(max(year, start.year), 12, 31)
        return answer(self.surface.venue.calendar(start, end))

    async def assets(self, request: Request) -> Response:
        """GET /v2/assets."""
        given = query_of(request)
        status = params.choice(given, "status", ("", "active", "inactive"), "")
        asset_class = params.choice(given, "asset_class", ("us_equity", "crypto", "us_option"), "us_equity")
        exchange = given.get("exchange", "")
        found = [
            asset
            for asset in self.surface.venue.assets()
            if asset["class"] == asset_class and status in ("", asset["status"]) and exchange in ("", asset["exchange"])
        ]
        return answer(found)

    async def asset(self, request: Request) -> Response:
        """GET /v2/assets/{symbol or asset id}."""
        return answer(self.surface.venue.asset(request.path_params["symbol"]))
