"""Orders: submit, list, find, replace, cancel."""

from typing import Any
from uuid import uuid4

from django.db.models import Exists, OuterRef, Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from execution.alpaca_wire import params
from execution.alpaca_wire.errors import malformed, not_unique, unprocessable
from execution.alpaca_wire.orders import INTENTS, OrderBody, read_order, read_replace
from execution.errors import InvalidGroup, OrderNotOpen, ReplaceRefused
from execution.models import Account, Order, Strategy
from execution.services.cancels import cancel_open_orders, request_cancel
from execution.services.groups import make_legs, submit_group
from execution.services.orders import submit_order
from execution.services.replaces import request_replace
from execution.states import OPEN, TERMINAL, OrderStatus
from execution.types import SubmitResult
from marketdata import calendar
from marketdata.clock import wall_now
from ops_console.alpaca_api.base import AlpacaView, wire_body, wire_query
from ops_console.alpaca_api.failures import refused
from ops_console.alpaca_api.identity import ORDER, uuid_of
from ops_console.alpaca_api.orders import STATUSES, Story, find_by_client_id, find_order, order_told, orders_told
from ops_console.api.authentication import Caller
from ops_console.api.base import caller_of
from ops_console.api.desk import desk, order_account
from ops_console.api.order_input import source_of
from ops_console.api.throttling import Rate
from ops_console.scopes import Scope
from risk.types import OrderIntent, OrderType, Origin, Side, TimeInForce

DEFAULT_ORDERS, MOST_ORDERS = 50, 500
OPEN_WORDS = sorted(OPEN - {OrderStatus.HELD})  # a leg that waits for its entry is not in Alpaca's open list
CLOSED_WORDS = sorted(TERMINAL - {OrderStatus.DENIED})
# What the gate denied never became an order at Alpaca; it is found by its id, and by /api/v1, and is in no list.
LISTED = {"open": OPEN_WORDS, "closed": CLOSED_WORDS, "all": sorted({*OPEN, *CLOSED_WORDS})}
REASON = "asked for through the Alpaca-compatible API"


class OrdersView(AlpacaView):
    """POST, GET and DELETE /v2/orders."""

    scopes = {"GET": Scope.READ, "POST": Scope.TRADE, "DELETE": Scope.TRADE}
    rates = {"POST": Rate.ORDERS}

    def post(self, request: Request) -> Response:
        """Answer 200 with the new order."""
        raw = wire_body(request)
        body, account = read_order(raw), order_account()
        intent = intent_of(body, caller=caller_of(request), reduce_only=closes(raw))
        if body.order_class:
            return Response(group_told(account, body, intent))
        order = placed(submit_order(intent=intent, account=account, wall_now=wall_now()))
        return Response(order_told(account, order))

    def get(self, request: Request) -> Response:
        """Answer with a list."""
        given, account = wire_query(request), desk().account
        nested = params.flag(given, "nested")
        limit = params.whole(given, "limit", default=DEFAULT_ORDERS, least=1, most=MOST_ORDERS)
        oldest_first = params.choice(given, "direction", ("asc", "desc"), "desc") == "asc"
        found = listed(account, given, nested=nested).order_by("pk" if oldest_first else "-pk")[:limit]
        return Response(orders_told(account, list(found), nested=nested))

    def delete(self, request: Request) -> Response:
        """Ask for the cancel of everything that is open: 207 with what became of each."""
        now = desk()
        _, _, keys = cancel_open_orders(
            orders=Q(),
            account=now.account,
            operator=caller_of(request).username,
            wall_now=now.wall_now,
            reason=REASON,
        )
        return Response([{"id": uuid_of(now.account, ORDER, key), "status": 200} for key in keys], status=207)


class OrderView(AlpacaView):
    """GET, PATCH and DELETE /v2/orders/{id}."""

    scopes = {"GET": Scope.READ, "PATCH": Scope.TRADE, "DELETE": Scope.TRADE}
    rates = {"PATCH": Rate.ORDERS, "DELETE": Rate.ORDERS}

    def get(self, request: Request, order_id: str) -> Response:
        """Answer with the order."""
        account = desk().account
        nested = params.flag(wire_query(request), "nested")
        return Response(orders_told(account, [find_order(account, order_id)], nested=nested)[0])

    def patch(self, request: Request, order_id: str) -> Response:
        """Ask for new terms: 200 with the order that is to take this one's place."""
        body, account = read_replace(wire_body(request)), desk().account
        order = find_order(account, order_id)
        try:
            result = request_replace(
                order=order,
                quantity=body.quantity,
                limit_price=body.limit_price,
                stop_price=body.stop_price,
                time_in_force=None if body.time_in_force is None else TimeInForce(body.time_in_force),
                client_order_id=body.client_order_id,
                operator=caller_of(request).username,
                origin=Origin.ALPACA_API,
                wall_now=wall_now(),
            )
        except ReplaceRefused as error:
            raise unprocessable(str(error)) from None
        return Response(order_told(account, placed(result)))

    def delete(self, request: Request, order_id: str) -> Response:
        """Ask for the cancel: 204, and the outcome comes as an update."""
        now = desk()
        order = find_order(now.account, order_id)
        try:
            request_cancel(order=order, operator=caller_of(request).username, wall_now=now.wall_now, reason=REASON)
        except OrderNotOpen:
            word = STATUSES[Order.objects.values_list("status", flat=True).get(pk=order.pk)]
            raise unprocessable(f'order is already in "{word}" state') from None
        return Response(status=204)


class OrderByClientIdView(AlpacaView):
    """GET /v2/orders:by_client_order_id."""

    def get(self, request: Request) -> Response:
        """Answer with the order."""
        client_order_id = wire_query(request).get("client_order_id", "")
        if not client_order_id:
            raise malformed("client_order_id", client_order_id, "the id of an order")
        account = desk().account
        return Response(orders_told(account, [find_by_client_id(account, client_order_id)])[0])


def intent_of(body: OrderBody, *, caller: Caller, reduce_only: bool = False) -> OrderIntent:
    """Return the wish of a body; without an id of the client's it gets a fresh one, so that none is taken for another.

    It belongs to the strategy of the token, which is `manual` unless the token was made for one.
    """
    return OrderIntent(
        strategy=caller.strategy or Strategy.MANUAL,
        symbol=body.symbol,
        side=Side(body.side),
        quantity=body.quantity,
        order_type=OrderType(body.order_type),
        time_in_force=TimeInForce(body.time_in_force),
        limit_price=body.limit_price,
        stop_price=body.stop_price,
        extended_hours=body.extended_hours,
        reduce_only=reduce_only,
        client_order_id=body.client_order_id or str(uuid4()),
        order_class=body.order_class,
        origin=Origin.ALPACA_API,
        source_ref=source_of(caller),
    )


def group_told(account: Account, body: OrderBody, entry: OrderIntent) -> dict[str, Any]:
    """Place a bracket, OCO or OTO and return its first order with its legs.

    :raises WireError: denied, the client's id was used before, or the legs do not belong together
    """
    legs = make_legs(
        entry,
        take_profit=body.take_profit_price,
        stop_loss=body.stop_loss_price,
        stop_loss_limit=body.stop_loss_limit_price,
    )
    try:
        results = submit_group(entry=entry, legs=legs, account=account, wall_now=wall_now())
    except InvalidGroup as error:
        raise unprocessable(str(error)) from None
    first, *rest = [placed(result) for result in results]
    story = Story(first.market_at, legs=[order_told(account, leg) for leg in rest])
    return order_told(account, first, story)


def closes(raw: dict[str, Any]) -> bool:
    """Tell whether the body says that the order may only bring a position nearer to flat.

    :raises WireError: 422, another word
    """
    wanted = raw.get("position_intent")
    if wanted is not None and wanted not in INTENTS:
        raise malformed("position_intent", wanted, f"one of {', '.join(INTENTS)}")
    return wanted in ("buy_to_close", "sell_to_close")


def placed(result: SubmitResult) -> Order:
    """Return the order that the gate let pass.

    :raises WireError: denied, or the client's id was used before
    """
    if not result.created:
        raise not_unique()
    order = result.order
    if result.denials or order is None:
        client_order_id = None if order is None else order.client_order_id
        raise refused(result.denials, decision_id=result.decision_id, client_order_id=client_order_id)
    return order


def listed(account: Account, given: dict[str, str], *, nested: bool) -> QuerySet[Order]:
    """Return the account's orders that match the query."""
    words = LISTED[params.choice(given, "status", ("open", "closed", "all"), "open")]
    found = Order.objects.filter(account=account).select_related("instrument")
    wanted = Q(status__in=words)
    if nested:  # a group is one entry of the list, there as long as one of its members is wanted
        legs = Order.objects.filter(entry_id=OuterRef("pk"), status__in=words)
        found = found.filter(entry__isnull=True)
        wanted |= Q(Exists(legs))
    found = found.filter(wanted)
    side = params.choice(given, "side", ("", "buy", "sell"), "")
    if side:
        found = found.filter(side=side)
    symbols = params.words(given, "symbols")
    if symbols:
        found = found.filter(instrument__symbol__in=symbols)
    return _within(found, given)


def _within(found: QuerySet[Order], given: dict[str, str]) -> QuerySet[Order]:
    after, until = params.instant(given, "after"), params.instant(given, "until")
    # The trading date follows the market instant, and is the one of the two that is indexed.
    if after is not None:
        found = found.filter(market_at__gt=after)
        if calendar.covers(after):
            found = found.filter(trading_date__gte=calendar.trading_date(after))
    if until is not None:
        found = found.filter(market_at__lt=until)
        if calendar.covers(until):
            found = found.filter(trading_date__lte=calendar.trading_date(until))
    return found
