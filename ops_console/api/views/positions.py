"""Positions, P&L, performance, the account."""

from rest_framework.request import Request
from rest_framework.response import Response

from execution import selectors
from execution.models import Account, Order
from execution.services.orders import stored_denials, submit_order
from execution.types import SubmitResult
from ops_console.api import fields
from ops_console.api.answers.orders import OrderSerializer
from ops_console.api.answers.positions import (
    AccountSerializer,
    DayListSerializer,
    PositionListSerializer,
    RealtimePnlSerializer,
    account_answer,
    day_answer,
    pnl_answer,
    position_answer,
)
from ops_console.api.base import ApiView, body_of, caller_of, query_of
from ops_console.api.codes import ProblemCode
from ops_console.api.desk import desk, known_strategy
from ops_console.api.openapi import documented
from ops_console.api.order_input import IDEMPOTENCY_KEY, key_from, source_of
from ops_console.api.problems import Problem, invalid
from ops_console.api.throttling import Rate
from ops_console.api.views.orders import ORDER_PROBLEMS, placed
from ops_console.scopes import Scope
from ops_console.services.closing import NothingToClose, StrategyNeeded, closing_intent
from risk.types import OrderType, Origin, TimeInForce

MOST_DAYS = 5_000
POSITION_FIELDS: dict[str, fields.Field] = {
    "strategy": fields.strategy(),
    "symbol": fields.symbol(),
    "include_flat": fields.flag("Lines that hold nothing as well.", default=False),
}
DAILY_FIELDS: dict[str, fields.Field] = {
    "from": fields.day("First session."),
    "to": fields.day("Last session."),
    "strategy": fields.strategy("Of one strategy; of the whole account when left out."),
}
CLOSE_FIELDS: dict[str, fields.Field] = {
    "strategy": fields.strategy("Whose position; needed when several strategies hold the symbol."),
    "quantity": fields.decimal_number("Shares; all that no open order closes yet when left out."),
    "order_type": fields.choice(OrderType, "market or limit.", default=OrderType.MARKET),
    "time_in_force": fields.choice(TimeInForce, "", default=TimeInForce.DAY),
    "limit_price": fields.decimal_number("For a limit order."),
}


class PositionsView(ApiView):
    """What is held."""

    @documented("positions_list", "List positions", query=POSITION_FIELDS, answers={200: PositionListSerializer})
    def get(self, request: Request) -> Response:
        """Return every line of the sub-ledgers."""
        wanted = query_of(request, POSITION_FIELDS)
        now = desk()
        lines = selectors.positions(now.account, now.wall_now, include_flat=wanted["include_flat"])
        return Response(
            {
                "results": [
                    position_answer(line)
                    for line in lines
                    if wanted["strategy"] in (None, line.strategy) and wanted["symbol"] in (None, line.symbol)
                ]
            }
        )


class ClosePositionView(ApiView):
    """Close a position through the gate."""

    scopes = {"POST": Scope.TRADE}
    rates = {"POST": Rate.ORDERS}

    @documented(
        "positions_close",
        "Close a position",
        description="Places a reduce-only order for what is held and no open order closes yet. Open entries of the "
        "name are left alone: cancel them, or flatten the symbol by the kill switch, which cancels, waits, closes and "
        "verifies.",
        body=CLOSE_FIELDS,
        example={"strategy": "manual"},
        headers=[IDEMPOTENCY_KEY],
        answers={201: OrderSerializer, 200: OrderSerializer},
        problems=[*ORDER_PROBLEMS, ProblemCode.POSITION_FLAT],
    )
    def post(self, request: Request, symbol: str) -> Response:
        """Answer like placing an order."""
        values = fields.read_fields({**body_of(request), "symbol": symbol}, {**CLOSE_FIELDS, "symbol": fields.symbol()})
        now, key = desk(), key_from(request.META)
        repeated = repeated_close(now.account, symbol, key)
        if repeated is not None:
            return placed(repeated)
        try:
            intent = closing_intent(
                account=now.account,
                origin=Origin.API,
                source_ref=source_of(caller_of(request)),
                idempotency_key=key,
                **{**values, "strategy": values["strategy"] or ""},
            )
        except StrategyNeeded as error:
            raise invalid("strategy", "", f"one of {', '.join(error.strategies)}") from error
        except NothingToClose as error:
            raise Problem(ProblemCode.POSITION_FLAT, str(error)) from error
        return placed(submit_order(intent=intent, account=now.account, wall_now=now.wall_now))


def repeated_close(account: Account, symbol: str, key: str) -> SubmitResult | None:
    """Return the close that was placed with this key; what is left to close is another number by now."""
    if not key:
        return None
    found = Order.objects.filter(account=account, idempotency_key=key, instrument__symbol=symbol, reduce_only=True)
    order = found.select_related("strategy", "instrument", "decision").first()
    return None if order is None else SubmitResult(order, False, stored_denials(order), order.decision_id)


class RealtimePnlView(ApiView):
    """P&L now."""

    @documented("positions_pnl_realtime", "P&L at the latest prices", answers={200: RealtimePnlSerializer})
    def get(self, request: Request) -> Response:
        """Return account, strategies and lines."""
        now = desk()
        return Response(pnl_answer(now.account, selectors.realtime_pnl(now.account, now.wall_now)))


class DailyPerformanceView(ApiView):
    """Closed sessions."""

    @documented(
        "performance_daily", "Closed sessions, oldest first", query=DAILY_FIELDS, answers={200: DayListSerializer}
    )
    def get(self, request: Request) -> Response:
        """Return the days, at most the newest 5,000 of the range."""
        wanted = query_of(request, DAILY_FIELDS)
        if wanted["from"] and wanted["to"] and wanted["from"] > wanted["to"]:
            raise invalid("from", wanted["from"].isoformat(), f"a date up to {wanted['to'].isoformat()}")
        strategy = known_strategy(wanted["strategy"]).name if wanted["strategy"] else ""
        days = selectors.daily_performance(desk().account, start=wanted["from"], end=wanted["to"], strategy=strategy)
        newest = reversed(days.order_by("-date")[:MOST_DAYS])
        return Response({"results": [day_answer(row) for row in newest]})


class AccountView(ApiView):
    """The account."""

    @documented("account_get", "The account at the latest prices", answers={200: AccountSerializer})
    def get(self, request: Request) -> Response:
        """Return the totals."""
        now = desk()
        return Response(account_answer(now.account, selectors.account_summary(now.account, now.wall_now)))
