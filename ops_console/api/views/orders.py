"""Orders: place, preview, list, explain, cancel."""

from decimal import Decimal
from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from execution.models import Account, Order, Position
from execution.services.cancels import cancel_open_orders, left_to_others, request_cancel
from execution.services.orders import Judged, preview_orders, submit_order
from execution.services.replaces import request_replace
from execution.states import OPEN, TERMINAL, OrderStatus
from execution.types import SubmitResult
from marketdata.clock import wall_now
from ops_console.api import fields
from ops_console.api.answers.orders import (
    CancelAllSerializer,
    EventPageSerializer,
    ExplanationSerializer,
    OrderPageSerializer,
    OrderSerializer,
    PreviewSerializer,
    event_answer,
    explanation_answer,
    linked,
    order_answer,
    preview_answer,
)
from ops_console.api.base import ApiView, body_of, caller_of, query_of
from ops_console.api.codes import ProblemCode
from ops_console.api.desk import desk, order_account
from ops_console.api.openapi import documented
from ops_console.api.order_input import (
    IDEMPOTENCY_KEY,
    ORDER_EXAMPLE,
    ORDER_FIELDS,
    REPLACE_EXAMPLE,
    REPLACE_FIELDS,
    key_from,
    order_intent,
)
from ops_console.api.pagination import PAGE_FIELDS, newest_first
from ops_console.api.problems import Problem, denied
from ops_console.api.throttling import Rate
from ops_console.scopes import Scope
from risk.correlations import alike
from risk.types import Origin

ADDRESS = "/api/v1/orders/"
OPEN_OR_CLOSED = {"open": sorted(OPEN), "closed": sorted(TERMINAL)}
STATUSES = (*OPEN_OR_CLOSED, *OrderStatus.values)
LIST_FIELDS: dict[str, fields.Field] = {
    "status": fields.pattern(
        f"^({'|'.join(STATUSES)})$", f"one of {', '.join(STATUSES)}", "open, closed, or one status.", "open"
    ),
    "symbol": fields.symbol(),
    "strategy": fields.strategy(),
    "since": fields.instant("Decided at this market time or later."),
    "until": fields.instant("Decided before this market time."),
    **PAGE_FIELDS,
}
CANCEL_ALL_FIELDS: dict[str, fields.Field] = {
    "strategy": fields.strategy("Only orders of this strategy."),
    "symbol": fields.symbol(),
    "everything": fields.boolean("Cancel orders that are not ours as well.", default=False),
    "reason": fields.reason(default=""),
}
CANCEL_FIELDS: dict[str, fields.Field] = {"reason": fields.reason(default="")}
ORDER_PROBLEMS = (ProblemCode.RISK_DENIED, ProblemCode.KILL_SWITCH, ProblemCode.ORDER_CONFLICT)
ORDER_ID = OpenApiParameter("client_order_id", str, OpenApiParameter.PATH, description="The order's own id.")


class OrdersView(ApiView):
    """Place an order, and list them."""

    scopes = {"GET": Scope.READ, "POST": Scope.TRADE}
    rates = {"POST": Rate.ORDERS}

    @documented(
        "orders_place",
        "Place an order",
        description=(
            "Every check is made and the order is stored before the answer comes; it goes to the broker right after. "
            "A refusal lists every rule that refused: 409, or 503 when the kill switch is among them."
        ),
        body=ORDER_FIELDS,
        example=ORDER_EXAMPLE,
        headers=[IDEMPOTENCY_KEY],
        answers={201: OrderSerializer, 200: OrderSerializer},
        problems=ORDER_PROBLEMS,
    )
    def post(self, request: Request) -> Response:
        """Answer 201 with a new order, 200 with the same order again."""
        intent = order_intent(body_of(request), caller=caller_of(request), idempotency_key=key_from(request.META))
        return placed(submit_order(intent=intent, account=order_account(), wall_now=wall_now()))

    @documented("orders_list", "List orders, newest first", query=LIST_FIELDS, answers={200: OrderPageSerializer})
    def get(self, request: Request) -> Response:
        """Return one page; two queries besides the caller's."""
        wanted = query_of(request, LIST_FIELDS)
        found = filtered(desk().account, wanted)
        page = newest_first(found, limit=wanted["limit"], cursor=wanted["cursor"])
        return Response(page.body(order_answer))


class PreviewView(ApiView):
    """Ask the gate without placing anything."""

    scopes = {"POST": Scope.TRADE}
    rates = {"POST": Rate.ORDERS}

    @documented(
        "orders_preview",
        "Preview an order",
        description="What the gate would say now. Nothing is stored or locked.",
        body=ORDER_FIELDS,
        example=ORDER_EXAMPLE,
        headers=[IDEMPOTENCY_KEY],
        answers={200: PreviewSerializer},
    )
    def post(self, request: Request) -> Response:
        """Answer 200 whatever the gate would say."""
        intent = order_intent(body_of(request), caller=caller_of(request), idempotency_key=key_from(request.META))
        account = order_account()
        judged = preview_orders(intents=[intent], account=account, wall_now=wall_now())[0]
        existing = None
        if judged.existing is not None:
            existing = Order.objects.values_list("client_order_id", flat=True).get(pk=judged.existing)
        return Response(preview_answer(judged, existing, new_name_alike(account, judged)))


def new_name_alike(account: Account, judged: Judged) -> list[tuple[str, Decimal]]:
    """Return the held names that a name which is not held yet moved alike with; none for one that is held."""
    case = judged.case
    if case is None or case.book.account_line.quantity:
        return []
    held = Position.objects.filter(account=account).exclude(quantity=0)
    symbols = held.values_list("instrument__symbol", flat=True).distinct()
    return alike(case.intent.symbol, symbols, above_pct=case.limits.account.max_correlation_pct)


class CancelAllView(ApiView):
    """Cancel what is open."""

    scopes = {"POST": Scope.TRADE}

    @documented(
        "orders_cancel_all",
        "Cancel every open order",
        description=(
            "Of one strategy or symbol when given. Never refused by the kill switch. Orders of others at the broker, "
            "which the book has adopted, stay unless `everything` is true."
        ),
        body=CANCEL_ALL_FIELDS,
        example={"strategy": "manual", "reason": "stale prices since the open"},
        answers={200: CancelAllSerializer},
    )
    def post(self, request: Request) -> Response:
        """Answer with what became of the orders."""
        values = fields.read_fields(body_of(request), CANCEL_ALL_FIELDS)
        matching = Q()
        if values["strategy"]:
            matching &= Q(strategy__name=values["strategy"])
        if values["symbol"]:
            matching &= Q(instrument__symbol=values["symbol"])
        now = desk()
        unsent, requested, ids = cancel_open_orders(
            orders=matching,
            account=now.account,
            operator=caller_of(request).username,
            wall_now=now.wall_now,
            reason=values["reason"],
            everything=values["everything"],
        )
        left = 0 if values["everything"] else left_to_others(account=now.account, orders=matching)
        names = Order.objects.filter(pk__in=ids).order_by("pk").values_list("client_order_id", flat=True)
        told = {"canceled": unsent, "cancel_requested": requested, "left_to_others": left}
        return Response(told | {"client_order_ids": list(names)})


class OrderView(ApiView):
    """One order."""

    scopes = {"GET": Scope.READ, "PATCH": Scope.TRADE}
    rates = {"PATCH": Rate.ORDERS}

    @documented(
        "orders_get",
        "Get an order",
        headers=[ORDER_ID],
        answers={200: OrderSerializer},
        problems=[ProblemCode.NOT_FOUND],
    )
    def get(self, request: Request, client_order_id: str) -> Response:
        """Return the order."""
        return Response(order_answer(find_order(desk().account, client_order_id)))

    @documented(
        "orders_replace",
        "Change an order's terms",
        description=(
            "New terms are a new order with an id of its own, which is answered; what is left out stays. 202: the "
            "broker is asked, and until it has decided the old order is `pending_replace` and may still fill. 201: the "
            "old order was never sent and has given way. Every check is made as if the old order were not there; after "
            "a refusal it is as it was."
        ),
        headers=[ORDER_ID, IDEMPOTENCY_KEY],
        body=REPLACE_FIELDS,
        example=REPLACE_EXAMPLE,
        answers={200: OrderSerializer, 201: OrderSerializer, 202: OrderSerializer},
        problems=[ProblemCode.NOT_FOUND, ProblemCode.ORDER_NOT_REPLACEABLE, *ORDER_PROBLEMS],
    )
    def patch(self, request: Request, client_order_id: str) -> Response:
        """Answer with the order that is to take this one's place."""
        values = fields.read_fields(body_of(request), REPLACE_FIELDS)
        now = desk()
        result = request_replace(
            order=find_order(now.account, client_order_id),
            quantity=values["quantity"],
            limit_price=values["limit_price"],
            stop_price=values["stop_price"],
            time_in_force=values["time_in_force"],
            client_order_id=values["client_order_id"] or "",
            idempotency_key=key_from(request.META),
            operator=caller_of(request).username,
            origin=Origin.API,
            wall_now=now.wall_now,
        )
        response = placed(result)
        if result.created and result.order is not None and result.order.total_quantity is not None:
            response.status_code = 202
        return response


class OrderEventsView(ApiView):
    """The steps of one order's life."""

    @documented(
        "orders_events",
        "List an order's events, newest first",
        headers=[ORDER_ID],
        query=PAGE_FIELDS,
        answers={200: EventPageSerializer},
        problems=[ProblemCode.NOT_FOUND],
    )
    def get(self, request: Request, client_order_id: str) -> Response:
        """Return one page."""
        wanted = query_of(request, PAGE_FIELDS)
        order = find_order(desk().account, client_order_id)
        page = newest_first(order.events.all(), limit=wanted["limit"], cursor=wanted["cursor"])
        return Response(page.body(event_answer))


class OrderExplainView(ApiView):
    """Why an order is what it is."""

    @documented(
        "orders_explain",
        "Explain an order",
        description="The gate's decision with every number it compared, the events, and the fills.",
        headers=[ORDER_ID],
        answers={200: ExplanationSerializer},
        problems=[ProblemCode.NOT_FOUND],
    )
    def get(self, request: Request, client_order_id: str) -> Response:
        """Return the whole story."""
        order = find_order(desk().account, client_order_id)
        return Response(explanation_answer(order, order.events.order_by("sequence"), order.fills.order_by("pk")))


class OrderCancelView(ApiView):
    """Cancel one order."""

    scopes = {"POST": Scope.TRADE}

    @documented(
        "orders_cancel",
        "Cancel an order",
        description=(
            "200 when it was never sent and is canceled; 202 when the broker is asked. Asking again changes nothing. "
            "Never refused by the kill switch."
        ),
        headers=[ORDER_ID],
        body=CANCEL_FIELDS,
        example={"reason": "price moved away"},
        answers={200: OrderSerializer, 202: OrderSerializer},
        problems=[ProblemCode.NOT_FOUND, ProblemCode.ORDER_NOT_OPEN],
    )
    def post(self, request: Request, client_order_id: str) -> Response:
        """Answer with the order as it stands now."""
        values = fields.read_fields(body_of(request), CANCEL_FIELDS)
        now = desk()
        order = find_order(now.account, client_order_id)
        operator = caller_of(request).username
        request_cancel(order=order, operator=operator, wall_now=now.wall_now, reason=values["reason"])
        canceled = find_order(now.account, client_order_id)
        return Response(order_answer(canceled), status=200 if canceled.status == OrderStatus.CANCELED else 202)


def placed(result: SubmitResult) -> Response:
    """Answer for a judged order.

    :raises Problem: the gate refused
    """
    order = result.order
    if result.denials or order is None:
        raise denied(
            result.denials,
            decision_id=result.decision_id,
            client_order_id=None if order is None else order.client_order_id,
        )
    response = Response(order_answer(order), status=201 if result.created else 200)
    response.headers["Location"] = ADDRESS + order.client_order_id
    return response


def filtered(account: Account, wanted: dict[str, Any]) -> QuerySet[Order]:
    """Return the account's orders that match the query."""
    found = linked(Order.objects.filter(account=account)).select_related("strategy", "instrument", "replaces")
    if wanted["status"]:
        found = found.filter(status__in=OPEN_OR_CLOSED.get(wanted["status"], [wanted["status"]]))
    if wanted["symbol"]:
        found = found.filter(instrument__symbol=wanted["symbol"])
    if wanted["strategy"]:
        found = found.filter(strategy__name=wanted["strategy"])
    if wanted["since"]:
        found = found.filter(market_at__gte=wanted["since"])
    if wanted["until"]:
        found = found.filter(market_at__lt=wanted["until"])
    return found


def find_order(account: Account, client_order_id: str) -> Order:
    """Return the account's order of that id with all that answers need. One query.

    :raises Problem: there is none
    """
    found = linked(Order.objects.filter(account=account, client_order_id=client_order_id))
    order = found.select_related("strategy", "instrument", "replaces", "decision", "account__feed").first()
    if order is None:
        raise Problem(ProblemCode.NOT_FOUND, f"there is no order {client_order_id}")
    return order
