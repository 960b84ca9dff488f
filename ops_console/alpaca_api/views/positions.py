"""Positions: list, find, close."""

from rest_framework.request import Request
from rest_framework.response import Response

from execution.alpaca_wire import params
from execution.alpaca_wire.errors import malformed
from ops_console.alpaca_api import closing
from ops_console.alpaca_api.base import AlpacaView, wire_query
from ops_console.alpaca_api.holdings import holding, holdings, holdings_told, symbol_of
from ops_console.alpaca_api.orders import order_told
from ops_console.api.base import caller_of
from ops_console.api.desk import desk
from ops_console.api.throttling import Rate
from ops_console.scopes import Scope


class PositionsView(AlpacaView):
    """GET and DELETE /v2/positions."""

    scopes = {"GET": Scope.READ, "DELETE": Scope.TRADE}

    def get(self, request: Request) -> Response:
        """Answer with what is held, one line a symbol."""
        now = desk()
        return Response(holdings_told(holdings(now.account, now.wall_now), now.market_now))

    def delete(self, request: Request) -> Response:
        """Close everything: 207 with what became of each."""
        caller, now = caller_of(request), desk()
        if params.flag(wire_query(request), "cancel_orders"):
            closing.cancel_before(account=now.account, caller=caller, wall_now=now.wall_now)
            now = desk()  # prices have gone on while the cancels were waited for
        answers = closing.close_all(account=now.account, caller=caller, wall_now=now.wall_now)
        return Response(answers, status=207)


class PositionView(AlpacaView):
    """GET and DELETE /v2/positions/{symbol or asset id}."""

    scopes = {"GET": Scope.READ, "DELETE": Scope.TRADE}
    rates = {"DELETE": Rate.ORDERS}

    def get(self, request: Request, symbol: str) -> Response:
        """Answer with one position."""
        now = desk()
        found = holding(now.account, now.wall_now, symbol_of(symbol))
        return Response(holdings_told([found], now.market_now)[0])

    def delete(self, request: Request, symbol: str) -> Response:
        """Answer with the order that closes it, or `qty` shares or `percentage` of it."""
        given, now = wire_query(request), desk()
        quantity, percentage = params.decimal(given, "qty"), params.decimal(given, "percentage")
        if quantity is not None and percentage is not None:
            raise malformed("percentage", given["percentage"], "only one of qty and percentage")
        if quantity is not None and quantity <= 0:
            raise malformed("qty", given["qty"], "a number above 0")
        if percentage is not None and not 0 < percentage <= closing.HUNDRED:
            raise malformed("percentage", given["percentage"], "a number above 0 and at most 100")
        order = closing.close_one(
            account=now.account,
            symbol=symbol_of(symbol),
            quantity=quantity,
            percentage=percentage,
            caller=caller_of(request),
            wall_now=now.wall_now,
        )
        return Response(order_told(now.account, order))
